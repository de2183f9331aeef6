//! Changes as lines for a person.

use std::collections::BTreeMap;

use super::change::{Change, What};

/// How wide the name of a function is.
const NAME_CHARS: usize = 14;
/// How wide the replicas are.
const REPLICAS_CHARS: usize = 9;
/// How wide the lag is.
const LAG_CHARS: usize = 24;

/// Below this, a lag that doubles or halves is nothing to see.
const LAG_SEEN_MIN: u64 = 16;

/// Writes the changes that a person wants to see: every one of replicas, and of lag when it begins, ends, cannot be read, or is
/// twice or half what was shown. A lag changes at nearly every look.
#[derive(Debug, Default)]
pub struct Text {
    /// The lag that was shown last, by function.
    shown: BTreeMap<String, Lag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lag {
    known: u64,
    /// Some of it could not be read.
    is_partial: bool,
}

impl Text {
    /// The line of a change, without its newline; nothing if there is nothing to see.
    pub fn line(&mut self, change: &Change) -> Option<String> {
        let lag = Lag { known: change.lag_known(), is_partial: change.lag.values().any(Option::is_none) };
        let shown = self.shown.get(&change.function).copied().unwrap_or_default();
        let (replicas, why) = match &change.what {
            What::Replicas { before, why, .. } => (format!("{before} → {}", change.replicas), why.as_str()),
            What::Lag if lag.is_worth_a_line_after(shown) => (change.replicas.to_string(), ""),
            What::Lag | What::Processes => return None,
        };
        self.shown.insert(change.function.clone(), lag);
        let (seconds, tenths) = (change.at_ms / 1000, change.at_ms % 1000 / 100);
        let (name, lag) = (&change.function, in_words(&change.lag));
        let line = format!(
            "{seconds:>5}.{tenths} s  {name:<NAME_CHARS$}{replicas:<REPLICAS_CHARS$}{lag:<LAG_CHARS$}  {why}"
        );
        Some(line.trim_end().to_owned())
    }
}

impl Lag {
    const fn is_worth_a_line_after(self, shown: Self) -> bool {
        let is_new = (self.known == 0) != (shown.known == 0) || self.is_partial != shown.is_partial;
        let is_twice = self.known >= LAG_SEEN_MIN && self.known >= shown.known.saturating_mul(2);
        let is_half = shown.known >= LAG_SEEN_MIN && self.known <= shown.known / 2;
        is_new || is_twice || is_half
    }
}

fn in_words(lag: &BTreeMap<String, Option<u64>>) -> String {
    let part = |(trigger, lag): (&String, &Option<u64>)| match lag {
        Some(0) => None,
        Some(lag) => Some(format!("{trigger} {lag}")),
        None => Some(format!("{trigger} ?")),
    };
    let parts: Vec<String> = lag.iter().filter_map(part).collect();
    if parts.is_empty() { "lag 0".to_owned() } else { format!("lag {}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{change, replicas};
    use super::*;

    #[test]
    fn every_change_of_replicas_is_a_line_with_its_reason() {
        let mut text = Text::default();
        let line = text.line(&replicas(12_345, 0, 1, 596)).unwrap();
        assert_eq!(
            line,
            "   12.3 s  payment       0 → 1    lag events 596            there is lag on events"
        );
        assert!(text.line(&replicas(12_346, 1, 2, 596)).unwrap().contains("1 → 2"));
    }

    #[test]
    fn a_lag_is_a_line_when_it_begins_doubles_halves_or_ends() {
        let mut text = Text::default();
        let mut shown = |lag: Option<u64>| text.line(&change(0, What::Lag, 1, lag));
        assert_eq!(shown(Some(0)), None, "there was none before");
        assert_eq!(shown(Some(10)).unwrap(), "    0.0 s  payment       1        lag events 10");
        assert_eq!(shown(Some(19)), None);
        assert!(shown(Some(20)).is_some());
        assert_eq!((shown(Some(20)), shown(Some(11))), (None, None));
        assert!(shown(Some(10)).is_some());
        assert_eq!((shown(Some(1)), shown(Some(15))), (None, None), "a few come and go all the time");
        assert!(shown(Some(0)).unwrap().ends_with("lag 0"));
        assert_eq!(shown(Some(0)), None);
        assert!(shown(None).unwrap().ends_with("lag events ?"));
        assert_eq!(shown(None), None);
        assert!(shown(Some(0)).unwrap().ends_with("lag 0"));
    }

    #[test]
    fn processes_that_come_and_go_are_told_elsewhere() {
        assert_eq!(Text::default().line(&change(0, What::Processes, 1, Some(5))), None);
    }
}
