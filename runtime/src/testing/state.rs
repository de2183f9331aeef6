//! State that lives in a map, for calling a handler directly.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::state::{Load, Loaded, State, Unavailable};
use crate::subject::Subject;
use crate::{Contract, Incoming, Outgoing, Stored};

struct Map(BTreeMap<Subject, Vec<u8>>);

impl Load for Map {
    fn load(
        &self,
        subjects: Vec<Subject>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<Loaded>, Unavailable>> + Send + '_>> {
        let value = |subject| self.0.get(subject).cloned().map(Into::into);
        let loaded = subjects.iter().map(|subject| Loaded { value: value(subject), version: 0 }).collect();
        Box::pin(std::future::ready(Ok(loaded)))
    }

    fn release(&self, _: &mut dyn Iterator<Item = &Subject>) {}
}

/// The state of `contract`'s function holding `entries` of one kind: for calling its handler directly in a test.
///
/// # Panics
/// An entry does not serialise.
#[allow(clippy::expect_used, reason = "only tests call this")]
pub fn state<'k, I: Incoming, O: Outgoing, S: Stored>(
    contract: Contract<I, O>,
    entries: impl IntoIterator<Item = (&'k str, S)>,
) -> State {
    let terms = contract.terms();
    let entries = entries
        .into_iter()
        .map(|(key, value)| {
            let json = serde_json::to_vec(&value).expect("state in a test serialises");
            (Subject::of_state(terms.name, S::KIND, key), json)
        })
        .collect();
    State::new(terms.name, terms.keeps, Arc::new(Map(entries)))
}
