//! Whether this process should be given work, and why not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The conditions of readiness: ready while every one of them holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness {
    conditions: Arc<Mutex<BTreeMap<&'static str, Condition>>>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Condition {
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

impl Readiness {
    /// A process that is not ready until each of `names` holds.
    pub(crate) fn waiting_for(names: &[&'static str]) -> Self {
        let waiting = |name: &&'static str| (*name, Condition { ok: false, detail: "not yet".into() });
        Self { conditions: Arc::new(Mutex::new(names.iter().map(waiting).collect())) }
    }

    /// The condition `name` holds.
    pub(crate) fn holds(&self, name: &'static str, detail: impl Into<String>) {
        self.set(name, Condition { ok: true, detail: detail.into() });
    }

    /// The condition `name` does not hold.
    pub(crate) fn fails(&self, name: &'static str, detail: impl Into<String>) {
        self.set(name, Condition { ok: false, detail: detail.into() });
    }

    /// All conditions, and whether every one holds.
    pub(crate) fn report(&self) -> (bool, BTreeMap<&'static str, Condition>) {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (conditions.values().all(|condition| condition.ok), conditions)
    }

    fn set(&self, name: &'static str, condition: Condition) {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).insert(name, condition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_while_every_condition_holds() {
        let readiness = Readiness::waiting_for(&["broker", "consumer"]);
        readiness.holds("broker", "connected");
        assert!(!readiness.report().0);
        readiness.holds("consumer", "there");
        assert!(readiness.report().0);
        readiness.fails("broker", "gone");
        assert!(!readiness.report().0);
    }
}
