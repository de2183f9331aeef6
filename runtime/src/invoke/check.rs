//! Whether a function could read an event, without handling it: its own types decode the data.

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::event::Envelope;
use crate::failure::chain;
use crate::function::{EXIT_USAGE, say};
use crate::invoke::run::{REQUEST_BYTES_MAX, print};
use crate::{DecodeError, Terms};

/// What a function's program says of an event by `--check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Why the function would give it up unread; nothing if it would handle it.
    pub error: Option<String>,
    /// Where in the event's data that is, if it has a place: line and column, from 1.
    pub place: Option<(usize, usize)>,
}

/// Reads an event from standard input, and prints what `terms` have to say of it.
///
/// Exit codes: 0 with an answer, whatever it is; 64 if standard input cannot be read.
pub(crate) fn run(terms: &Terms) -> ExitCode {
    let mut bytes = Vec::new();
    if let Err(error) = std::io::stdin().lock().take(REQUEST_BYTES_MAX).read_to_end(&mut bytes) {
        say(&format!("{}: the event cannot be read: {error}", terms.name));
        return ExitCode::from(EXIT_USAGE);
    }
    print(&serde_json::to_string(&check(terms, &bytes)).unwrap_or_default());
    ExitCode::SUCCESS
}

/// What `terms` have to say of the event in `bytes`.
pub(crate) fn check(terms: &Terms, bytes: &[u8]) -> Checked {
    let wrong = |error: &(dyn Error + 'static)| Checked { error: Some(chain(error)), place: None };
    let envelope = match Envelope::read(bytes) {
        Ok(envelope) => envelope,
        Err(error) => return wrong(&error),
    };
    let takes = || terms.listens_to.iter().chain(terms.admits);
    let Some(kind) = takes().find(|kind| kind.name == envelope.kind || kind.name == "*.*") else {
        let names: Vec<_> = takes().map(|kind| kind.name).collect();
        let error = format!("{} does not take {}: it takes {}", terms.name, envelope.kind, names.join(", "));
        return Checked { error: Some(error), place: None };
    };
    match (kind.check)(&envelope.data) {
        Ok(about) if about != envelope.aggregate_id && kind.name != "*.*" => {
            let error =
                format!("its data is about {about}, and its aggregate_id is {}", envelope.aggregate_id);
            Checked { error: Some(error), place: None }
        }
        Ok(_) => Checked { error: None, place: None },
        Err(error) => {
            let place = match &error {
                DecodeError::Malformed { source, .. } => Some((source.line(), source.column())),
                _ => None,
            };
            Checked { place: place.filter(|(line, _)| *line > 0), ..wrong(&error) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Contract, Nothing, Payload};

    #[derive(Serialize, Deserialize)]
    struct Sent {
        parcel: String,
        grams: u32,
    }

    impl Payload for Sent {
        const TYPE: &'static str = "parcels.sent";
        const AGGREGATE: &'static str = "parcel";
        fn aggregate_id(&self) -> &str {
            &self.parcel
        }
        fn example() -> Self {
            Self { parcel: "P".into(), grams: 1 }
        }
        fn validate(&self) -> Result<(), String> {
            (self.grams > 0).then_some(()).ok_or_else(|| "it weighs nothing".to_owned())
        }
    }

    #[test]
    fn an_event_is_read_as_the_function_would_and_a_fault_has_its_place() {
        let terms = Contract::<Sent, Nothing>::new("scales", "Weighs.").terms();
        let event = |data: &str, kind: &str| {
            format!(
                r#"{{"id":"e","type":"{kind}","aggregate_id":"P","data":{data},"timestamp":"2026-01-01T00:00:00Z"}}"#
            )
        };
        let said = |text: &str| check(&terms, text.as_bytes());
        let good = event(r#"{"parcel":"P","grams":2}"#, "parcels.sent");
        assert_eq!(said(&good), Checked { error: None, place: None });
        let malformed = said(&event("{\"parcel\":\"P\",\n \"grams\":-2}", "parcels.sent"));
        assert_eq!(malformed.place, Some((2, 11)), "{malformed:?}");
        assert!(malformed.error.unwrap().contains("expected u32"));
        for (text, told) in [
            ("{", "not an event"),
            (&event(r#"{"parcel":"P","grams":0}"#, "parcels.sent"), "weighs nothing"),
            (&event(r#"{"parcel":"Q","grams":1}"#, "parcels.sent"), "about Q"),
            (&good.replace("parcels.sent", "parcels.lost"), "it takes parcels.sent"),
        ] {
            let error = said(text).error.unwrap();
            assert!(error.contains(told), "{error}");
        }
    }
}
