//! What a redrive would do with one dead letter, said before it is done.

use jetlag::jetstream::{Operator, OperatorError};
use jetlag::{DeadLetter, Envelope, Subject};
use serde::Serialize;

use super::{Pick, Row, each};

/// What would become of one dead letter.
#[derive(Debug, Clone, Serialize)]
pub struct Intent {
    /// Which.
    #[serde(flatten)]
    pub row: Row,
    /// Whether it would be sent; otherwise it would be left where it is.
    pub sends: bool,
    /// The subject that it would be sent on.
    pub to: Option<String>,
    /// The subject of the entry in the trail that would tell of it.
    pub note: Option<String>,
    /// Why it would be left.
    pub why: Option<String>,
}

/// What a redrive of those that `pick` means would do, with these bytes instead of its own where there is but one.
///
/// # Errors
/// The stream cannot be read.
pub async fn intents(
    operator: &Operator,
    pick: &Pick,
    with: Option<&[u8]>,
) -> Result<Vec<Intent>, OperatorError> {
    let mut intents = Vec::new();
    each(operator, pick, async |mut letter| {
        if let Some(bytes) = with {
            letter.payload = bytes.to_vec().into();
        }
        intents.push(Intent::of(&letter));
        Ok(())
    })
    .await?;
    Ok(intents)
}

impl Intent {
    /// What would become of `letter`.
    pub fn of(letter: &DeadLetter) -> Self {
        let row = Row::of(letter);
        let left = |row, why: String| Self { row, sends: false, to: None, note: None, why: Some(why) };
        let event = match Envelope::read(&letter.payload) {
            Ok(event) => event,
            Err(error) => {
                return left(row, format!("its bytes are no event: {:#}", anyhow::Error::new(error)));
            }
        };
        // What was never admitted goes back to the door, and has no trail yet.
        if letter.input.parse_event().is_none() {
            return Self { row, sends: true, to: Some(event.kind), note: None, why: None };
        }
        if event.subject() != letter.input {
            let why =
                format!("its bytes are the event {}, and what died is {}", event.subject(), letter.input);
            return left(row, why);
        }
        let (function, id) = (&letter.function, letter.redrive_id());
        let to = Subject::of_retry(function, &id, 1).to_string();
        let note = Subject::of_receipt(function, &event.aggregate_id, &id).to_string();
        Self { row, sends: true, to: Some(to), note: Some(note), why: None }
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let Self { row: Row { sequence, function, kind, aggregate_id, .. }, to, note, why, .. } = self;
        let event = kind.as_deref().unwrap_or("what is no event");
        let about = aggregate_id.as_deref().map(|id| format!(" of {id}")).unwrap_or_default();
        let Some(to) = to else {
            let why = why.as_deref().unwrap_or("it cannot be sent");
            return format!("{sequence:>8}  left where it is: {why}\n");
        };
        let mut text =
            format!("{sequence:>8}  {event}{about}, to {function} and to no other, from attempt 1 on\n");
        text.push_str(&format!("{:>8}  sent on       {to}\n", ""));
        match note {
            Some(note) => text.push_str(&format!("{:>8}  noted on      {note}\n", "")),
            None => text.push_str(&format!(
                "{:>8}  not noted     it was never admitted, so it has no trail yet\n",
                ""
            )),
        }
        text.push_str(&format!("{:>8}  then removed  from DLQ\n", ""));
        text
    }
}
