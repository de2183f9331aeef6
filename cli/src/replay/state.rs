//! The state that inputs left, and the state that they would leave today.
//!
//! The stream has the last value of each key only, so it is the end that is compared: for each key, what the last of the
//! inputs left, if nobody wrote it later.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::compare::{Compared, Kind, Verdict, difference, without};
use super::read::Left;

/// The value of a key at the end, then and today.
#[derive(Debug, Serialize)]
pub(crate) struct State {
    /// `<kind>/<key>`.
    pub(crate) key: String,
    /// How they stand to each other; never new.
    pub(crate) what: Kind,
    /// Then.
    pub(crate) then: Value,
    /// Today.
    pub(crate) today: Option<Value>,
}

impl State {
    /// Both values as `diff -u` prints them.
    pub(crate) fn difference(&self, ignored: &[String]) -> String {
        difference(Some(&self.then), self.today.as_ref(), ignored)
    }
}

/// Holds what was `left` against what all of `compared` would leave; fields of these names count nowhere. What belongs to an
/// input that there is nothing to compare of is left out.
pub(crate) fn compare(
    left: &BTreeMap<String, Left>,
    compared: &[Compared],
    ignored: &[String],
) -> Vec<State> {
    let is_open = |one: &&Compared| one.verdict == Verdict::NothingThen;
    let open: BTreeSet<&str> = compared.iter().filter(is_open).map(|one| one.subject.as_str()).collect();
    let written = || compared.iter().flat_map(|one| one.state.iter().map(move |written| (one, written)));
    let unclear: BTreeSet<&str> =
        written().filter(|(one, _)| is_open(one)).map(|(_, written)| written.key.as_str()).collect();
    let today: BTreeMap<&str, &Value> = written().map(|(_, last)| (last.key.as_str(), &last.value)).collect();
    let is_clear = |(key, left): &(&String, &Left)| {
        !unclear.contains(key.as_str()) && !open.contains(left.input.as_str())
    };
    let state = |(key, left): (&String, &Left)| {
        let today = today.get(key.as_str()).copied();
        let what = match today {
            None => Kind::Missing,
            Some(today) if without(today, ignored) == without(&left.value, ignored) => Kind::Unchanged,
            Some(_) => Kind::Different,
        };
        State { key: key.clone(), what, then: left.value.clone(), today: today.cloned() }
    };
    left.iter().filter(is_clear).map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::super::compare::Written;
    use super::*;
    use serde_json::json;

    fn ran(subject: &str, verdict: Verdict, state: &[(&str, Value)]) -> Compared {
        let written = |(key, value): &(&str, Value)| Written { key: (*key).into(), value: value.clone() };
        Compared {
            sequence: 1,
            subject: subject.into(),
            verdict,
            redriven: false,
            then: Outcome::Acknowledged,
            today: Outcome::Acknowledged,
            events: Vec::new(),
            state: state.iter().map(written).collect(),
        }
    }

    fn left(all: &[(&str, &str, Value)]) -> BTreeMap<String, Left> {
        let one = |(key, input, value): &(&str, &str, Value)| {
            ((*key).to_owned(), Left { value: value.clone(), input: (*input).to_owned() })
        };
        all.iter().map(one).collect()
    }

    fn kinds(states: &[State]) -> Vec<(&str, Kind)> {
        states.iter().map(|state| (state.key.as_str(), state.what)).collect()
    }

    #[test]
    fn the_last_value_of_each_key_counts_in_whatever_order_it_came_about() {
        // Then the second was committed first.
        let then = left(&[
            ("k/a", "one", json!(2)),
            ("k/b", "two", json!({"n": 7, "at": 1})),
            ("k/c", "two", json!(0)),
        ]);
        let today = [
            ran("one", Verdict::Same, &[("k/a", json!(1))]),
            ran("two", Verdict::Same, &[("k/a", json!(2)), ("k/b", json!({"n": 7, "at": 2}))]),
        ];
        let states = compare(&then, &today, &[]);
        assert_eq!(
            kinds(&states),
            [("k/a", Kind::Unchanged), ("k/b", Kind::Different), ("k/c", Kind::Missing)]
        );
        assert!(states[1].difference(&[]).contains("-  \"at\": 1"), "{}", states[1].difference(&[]));
        let states = compare(&then, &today, &["at".into()]);
        assert_eq!(kinds(&states)[1], ("k/b", Kind::Unchanged));
    }

    #[test]
    fn what_an_input_without_an_end_wrote_or_would_write_is_not_compared() {
        let then = left(&[("k/a", "open", json!(1)), ("k/b", "one", json!(1)), ("k/c", "one", json!(1))]);
        let today = [
            ran("one", Verdict::Same, &[("k/b", json!(1)), ("k/c", json!(1))]),
            ran("open", Verdict::NothingThen, &[("k/b", json!(2))]),
        ];
        assert_eq!(kinds(&compare(&then, &today, &[])), [("k/c", Kind::Unchanged)]);
        // What nobody left is nobody's: it may have been written later for another input, or be gone.
        assert_eq!(kinds(&compare(&left(&[]), &today, &[])), []);
    }
}
