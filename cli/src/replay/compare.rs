//! What a function did with an event, and what it would do with it today.

use jetlag::invoke::{Delivered, Disposition, Reran};
use serde::Serialize;
use serde_json::Value;

use super::read::Input;
use super::{Emitted, Outcome};
use crate::difference::unified;

/// One event, then and today.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    /// Its sequence in EVENTS.
    pub(crate) sequence: u64,
    /// Its subject.
    pub(crate) subject: String,
    /// Whether it is the same.
    pub(crate) verdict: Verdict,
    /// Whether it was sent again as a dead letter, maybe with other data than the stream has.
    pub(crate) redriven: bool,
    /// What became of it then.
    pub(crate) then: Outcome,
    /// What would become of it today.
    pub(crate) today: Outcome,
    /// The events of both, in pairs as far as there are pairs.
    pub(crate) events: Vec<Pair>,
    /// State that it would write today. What it wrote then is known only where nobody wrote it later: see [`super::state`].
    pub(crate) state: Vec<Written>,
}

/// A value of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Written {
    /// `<kind>/<key>`.
    pub(crate) key: String,
    /// The value.
    pub(crate) value: Value,
}

/// Whether an event is handled today as it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It is.
    Same,
    /// It is not.
    Different,
    /// It had not come to an end then, so that there is nothing to compare.
    NothingThen,
}

/// An event then and the one that stands for it today.
#[derive(Debug, Serialize)]
pub(crate) struct Pair {
    /// How they stand to each other.
    pub(crate) what: Kind,
    /// Then.
    pub(crate) then: Option<Emitted>,
    /// Today.
    pub(crate) today: Option<Emitted>,
}

/// How two events stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The same data.
    Unchanged,
    /// The same type about the same, with other data.
    Different,
    /// There was none then.
    New,
    /// There is none today.
    Missing,
}

impl Compared {
    /// `input` then, and what its function made of it today; fields of these names count nowhere.
    pub(crate) fn of(input: &Input, reran: &Reran, ignored: &[String]) -> Self {
        let (today, events, state) = today(reran);
        let pairs = pairs(&input.emitted, events, ignored);
        let is_same = same(&input.outcome, &today) && pairs.iter().all(|pair| pair.what == Kind::Unchanged);
        let verdict = match (&input.outcome, is_same) {
            (Outcome::Unknown, _) => Verdict::NothingThen,
            (_, true) => Verdict::Same,
            // What was sent again may have had other data than the stream has.
            (_, false) if input.is_redriven => Verdict::NothingThen,
            (_, false) => Verdict::Different,
        };
        let (sequence, subject, then) = (input.sequence, input.subject.clone(), input.outcome.clone());
        Self { sequence, subject, verdict, redriven: input.is_redriven, then, today, events: pairs, state }
    }
}

/// What became of it, and what was committed.
fn today(reran: &Reran) -> (Outcome, Vec<Emitted>, Vec<Written>) {
    let report = match reran {
        Reran::Report(report) => report,
        Reran::Refused(why) => return (Outcome::Failed { error: why.clone() }, Vec::new(), Vec::new()),
    };
    let value = |json: &str| serde_json::from_str(json).unwrap_or(Value::Null);
    let delivered = || report.deliveries.iter();
    let events = delivered().flat_map(|d: &Delivered| &d.events).map(|event| Emitted {
        kind: event.kind.clone(),
        aggregate_id: event.key.clone(),
        data: value(event.data.get()),
    });
    let state = delivered().flat_map(|d| &d.state).map(|state| Written {
        key: format!("{}/{}", state.kind, state.key),
        value: value(state.data.get()),
    });
    let outcome = match delivered().last().map(|d| &d.disposition) {
        Some(Disposition::Ack { .. }) => Outcome::Acknowledged,
        Some(Disposition::DeadLetter { reason, error }) => {
            Outcome::DeadLetter { reason: reason.clone(), error: Some(error.clone()) }
        }
        Some(Disposition::Retry { error, .. }) => Outcome::Failed { error: error.clone() },
        _ => Outcome::Failed { error: "it did not come to an end".to_owned() },
    };
    (outcome, events.collect(), state.collect())
}

/// Whether two ends are the same: the words of an error may be others.
fn same(then: &Outcome, today: &Outcome) -> bool {
    match (then, today) {
        (Outcome::DeadLetter { reason: then, .. }, Outcome::DeadLetter { reason: today, .. }) => {
            then == today
        }
        (Outcome::Failed { .. }, Outcome::Failed { .. }) => true,
        (then, today) => then == today,
    }
}

/// Every event of `then` with the one of `today` that stands for it: one with the same data, or else one of its type about
/// the same. What is left of `today` is new.
fn pairs(then: &[Emitted], today: Vec<Emitted>, ignored: &[String]) -> Vec<Pair> {
    let mut today: Vec<Option<Emitted>> = today.into_iter().map(Some).collect();
    let mut take = |fits: &dyn Fn(&Emitted) -> bool| {
        today.iter_mut().find(|one| one.as_ref().is_some_and(fits)).and_then(Option::take)
    };
    let is_alike =
        |one: &Emitted, then: &Emitted| one.kind == then.kind && one.aggregate_id == then.aggregate_id;
    let is_same = |one: &Emitted, then: &Emitted| {
        is_alike(one, then) && without(&one.data, ignored) == without(&then.data, ignored)
    };
    // Those that have their like first: none of them is to be paired with another.
    let same: Vec<Option<Emitted>> = then.iter().map(|then| take(&|one| is_same(one, then))).collect();
    let mut pairs: Vec<Pair> = Vec::with_capacity(then.len());
    for (then, same) in then.iter().zip(same) {
        let (what, today) = match same {
            Some(today) => (Kind::Unchanged, Some(today)),
            None => match take(&|one| is_alike(one, then)) {
                Some(today) => (Kind::Different, Some(today)),
                None => (Kind::Missing, None),
            },
        };
        pairs.push(Pair { what, then: Some(then.clone()), today });
    }
    pairs.extend(today.into_iter().flatten().map(|today| Pair {
        what: Kind::New,
        then: None,
        today: Some(today),
    }));
    pairs
}

/// `value` without the members of these names, however deep.
pub(super) fn without(value: &Value, names: &[String]) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !names.contains(name))
            .map(|(name, value)| (name.clone(), without(value, names)))
            .collect(),
        Value::Array(values) => values.iter().map(|value| without(value, names)).collect(),
        other => other.clone(),
    }
}

impl Pair {
    /// The data of both as `diff -u` prints it, the names of members in order.
    pub(crate) fn difference(&self, ignored: &[String]) -> String {
        let data = |event: &'_ Option<Emitted>| event.as_ref().map(|event| event.data.clone());
        difference(data(&self.then).as_ref(), data(&self.today).as_ref(), ignored)
    }
}

/// Two values as `diff -u` prints them.
pub(super) fn difference(then: Option<&Value>, today: Option<&Value>, ignored: &[String]) -> String {
    let text = |value: Option<&Value>| {
        let value = value.map(|value| without(value, ignored));
        value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_default() + "\n"
    };
    unified("then", "today", &text(then), &text(today))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn emitted(kind: &str, data: Value) -> Emitted {
        Emitted { kind: kind.into(), aggregate_id: "O".into(), data }
    }

    fn input(outcome: Outcome, emitted: Vec<Emitted>) -> Input {
        Input {
            sequence: 7,
            subject: "a.b.O.e".into(),
            event: String::new(),
            is_redriven: false,
            outcome,
            emitted,
        }
    }

    fn ran(disposition: &Value, events: &[(&str, Value)]) -> Reran {
        let events: Vec<_> = events
            .iter()
            .map(|(kind, data)| json!({"subject": "s", "kind": kind, "key": "O", "data": data}))
            .collect();
        let report = json!({"function": "f", "event": "", "trace_id": null, "state": {}, "deliveries": [
            {"attempt": 1, "delivery": 1, "at_ms": 0, "took_us": 1, "disposition": disposition, "events": events, "state": []},
        ]});
        serde_json::from_value(json!({"report": report})).unwrap()
    }

    fn kinds(compared: &Compared) -> Vec<Kind> {
        compared.events.iter().map(|pair| pair.what).collect()
    }

    #[test]
    fn the_same_effects_are_the_same_in_whatever_order_they_are() {
        let ack = json!({"disposition": "ack", "already": false});
        let then = input(
            Outcome::Acknowledged,
            vec![
                emitted("a.b", json!({"x": 1})),
                emitted("a.b", json!({"x": 2})),
                emitted("c.d", json!(null)),
            ],
        );
        let again = ran(&ack, &[("c.d", json!(null)), ("a.b", json!({"x": 2})), ("a.b", json!({"x": 1}))]);
        assert_eq!(Compared::of(&then, &again, &[]).verdict, Verdict::Same);
        let other = ran(&ack, &[("a.b", json!({"x": 2})), ("a.b", json!({"x": 3})), ("e.f", json!({}))]);
        let compared = Compared::of(&then, &other, &[]);
        assert_eq!(compared.verdict, Verdict::Different);
        // What has its like is paired with that, though another was looked at first.
        assert_eq!(kinds(&compared), [Kind::Different, Kind::Unchanged, Kind::Missing, Kind::New]);
    }

    #[test]
    fn a_field_that_is_ignored_counts_nowhere() {
        let ack = json!({"disposition": "ack", "already": false});
        let then =
            input(Outcome::Acknowledged, vec![emitted("a.b", json!({"at": 1, "in": [{"at": 2, "x": 1}]}))]);
        let again = ran(&ack, &[("a.b", json!({"in": [{"at": 9, "x": 1}]}))]);
        assert_eq!(Compared::of(&then, &again, &[]).verdict, Verdict::Different);
        assert_eq!(Compared::of(&then, &again, &["at".into()]).verdict, Verdict::Same);
    }

    #[test]
    fn ends_are_compared_and_what_had_none_is_not() {
        let dead = json!({"disposition": "dead_letter", "reason": "rejected", "error": "no"});
        let rejected = Outcome::DeadLetter { reason: "rejected".into(), error: None };
        let verdict = |then, again: &Reran| Compared::of(&input(then, Vec::new()), again, &[]).verdict;
        assert_eq!(verdict(rejected.clone(), &ran(&dead, &[])), Verdict::Same);
        assert_eq!(verdict(Outcome::Acknowledged, &ran(&dead, &[])), Verdict::Different);
        assert_eq!(verdict(Outcome::Unknown, &ran(&dead, &[])), Verdict::NothingThen);
        assert_eq!(verdict(rejected.clone(), &Reran::Refused("no".into())), Verdict::Different);
        let redriven = Input { is_redriven: true, ..input(rejected, Vec::new()) };
        assert_eq!(Compared::of(&redriven, &Reran::Refused("no".into()), &[]).verdict, Verdict::NothingThen);
    }
}
