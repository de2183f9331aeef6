//! What changed, and how everything stood then.

use std::collections::BTreeMap;

use serde::Serialize;

/// A change of one function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When, since scaling began.
    pub at_ms: u64,
    /// Whose.
    pub function: String,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
    /// How many processes are wanted from now on.
    pub replicas: u32,
    /// How many of them do their work.
    pub ready: u32,
    /// How many are not wanted any more, and finish what they have begun.
    pub stopping: u32,
    /// By trigger; nothing where it could not be read.
    pub lag: BTreeMap<String, Option<u64>>,
}

/// What a change is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum What {
    /// Another number of processes is wanted.
    Replicas {
        /// How many were, before.
        before: u32,
        /// Who decided.
        by: By,
        /// Why.
        why: String,
    },
    /// A process is ready, began to stop, or has ended.
    Processes,
    /// Another lag was read.
    Lag,
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// From zero, and to zero.
    Keda,
    /// Everything in between.
    Hpa,
}

impl Change {
    /// All lags that are known, together: for who watches. Nothing is decided by it.
    pub fn lag_known(&self) -> u64 {
        self.lag.values().flatten().fold(0, |sum, lag| sum.saturating_add(*lag))
    }

    /// How many processes there are.
    pub const fn processes(&self) -> u32 {
        self.replicas.saturating_add(self.stopping)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A change of payment's, whose one trigger is `events`.
    pub(in super::super) fn change(at_ms: u64, what: What, replicas: u32, lag: Option<u64>) -> Change {
        let lag = BTreeMap::from([("events".to_owned(), lag), ("retry".to_owned(), Some(0))]);
        Change { at_ms, function: "payment".to_owned(), what, replicas, ready: 0, stopping: 0, lag }
    }

    /// KEDA's, from `before`.
    pub(in super::super) fn replicas(at_ms: u64, before: u32, after: u32, lag: u64) -> Change {
        let what = What::Replicas { before, by: By::Keda, why: "there is lag on events".to_owned() };
        change(at_ms, what, after, Some(lag))
    }

    #[test]
    fn a_change_is_one_flat_object() {
        let written = serde_json::to_value(replicas(2_400, 0, 1, 596)).unwrap();
        let expected = serde_json::json!({
            "at_ms": 2400, "function": "payment", "change": "replicas", "before": 0, "by": "keda",
            "why": "there is lag on events", "replicas": 1, "ready": 0, "stopping": 0, "lag": {"events": 596, "retry": 0},
        });
        assert_eq!(written, expected);
        let unread = serde_json::to_value(change(1, What::Lag, 1, None)).unwrap();
        assert_eq!((&unread["change"], &unread["lag"]["events"]), (&"lag".into(), &serde_json::Value::Null));
    }
}
