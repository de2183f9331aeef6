//! Looking for what no function answered for, and sending it to its function again.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::core::broker::{Broker, PublishError, Stored, Stream};
use crate::core::known::{Answered, Known, unreadable_id};
use crate::core::rescue::carrier;
use crate::headers;
use crate::jetstream::archive::kept;
use crate::jetstream::operator::{Operator, OperatorError, read_some};
use crate::jetstream::provision::{self, ProvisionError};
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::topology::{ADVISORIES, EVENTS, INTAKE, RETRY, Topology};

/// An input that the broker will not deliver again, and that its function has not answered for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unanswered {
    /// The function.
    pub function: String,
    /// The stream that it read it from.
    pub stream: String,
    /// The input's sequence there.
    pub sequence: u64,
    /// The input's subject; nothing if it is gone, and nobody can tell what became of it.
    pub subject: Option<String>,
    /// Why the broker does not deliver it again.
    pub why: String,
    /// When that came about.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The sequences of the broker's advisories about it.
    pub advisories: Vec<u64>,
}

/// A receipt of death whose dead letter is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LetterMissing {
    /// The function that gave the input up.
    pub function: String,
    /// The input's subject.
    pub input: String,
    /// Why it was given up.
    pub reason: String,
}

/// A stream or a consumer that is not as the contracts need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which.
    pub what: String,
    /// One line for each field, or nothing if it is missing altogether.
    pub fields: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Advisory {
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
    stream: String,
    consumer: String,
    stream_seq: u64,
    deliveries: Option<u64>,
    reason: Option<String>,
}

/// How the broker calls it that a message went, by its age or by hand, that was delivered and not acknowledged.
const DELETED: &str = "Unacknowledged message was deleted";
/// The same in our words.
const WENT: &str = "it expired, or was deleted, while its function had it and had not answered for it";

impl Advisory {
    fn why(&self, subject: &str) -> String {
        if self.reason.as_deref() == Some(DELETED) {
            return WENT.to_owned();
        }
        if subject.contains(".MSG_TERMINATED.") {
            let reason =
                self.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("no reason told");
            return format!("somebody terminated it: {reason}");
        }
        format!(
            "it was delivered {} times, as often as its consumer allows",
            self.deliveries.unwrap_or_default()
        )
    }
}

impl Operator {
    /// What the broker told that it does not deliver again, as far as no function has answered for it, oldest first.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn unanswered(&self, functions: &[String]) -> Result<Vec<Unanswered>, OperatorError> {
        let mut found: Vec<Unanswered> = Vec::new();
        let mut next = 1;
        loop {
            let page = self.page(ADVISORIES, ">", next).await?;
            let Some(last) = page.last() else { break };
            next = last.sequence + 1;
            for message in &page {
                let Ok(advisory) = serde_json::from_slice::<Advisory>(&message.payload) else { continue };
                if !functions.contains(&advisory.consumer) || stream_of(&advisory.stream).is_none() {
                    continue;
                }
                let same = |one: &&mut Unanswered| {
                    one.function == advisory.consumer
                        && one.stream == advisory.stream
                        && one.sequence == advisory.stream_seq
                };
                match found.iter_mut().find(same) {
                    Some(one) => one.advisories.push(message.sequence),
                    None => found.push(Unanswered {
                        why: advisory.why(&message.subject),
                        function: advisory.consumer,
                        stream: advisory.stream,
                        sequence: advisory.stream_seq,
                        subject: None,
                        at: advisory.timestamp,
                        advisories: vec![message.sequence],
                    }),
                }
            }
        }
        let mut unanswered = Vec::new();
        for mut one in found {
            match self.input(&one).await? {
                // Somebody gave it up, and whether it was answered for cannot be looked up any more.
                None if one.stream == EVENTS && one.why != WENT => {}
                // Nothing expires there. Whoever deleted it knew: the rescue deletes only what was answered for.
                None if one.stream != EVENTS && one.why == WENT => {}
                None => unanswered.push(one),
                Some(stored) => {
                    if !self.is_answered(&one, &stored).await? {
                        one.subject = Some(stored.subject.to_string());
                        unanswered.push(one);
                    }
                }
            }
        }
        Ok(unanswered)
    }

    /// Sends `input` to its function alone, once, and takes the broker's advisories about it away.
    ///
    /// # Errors
    /// It is gone, or the broker does not take it: nothing has changed then.
    pub async fn send_again(&self, input: &Unanswered) -> Result<(), OperatorError> {
        let gone = || OperatorError::Refused(format!("{} {} is gone", input.stream, input.sequence));
        let stored = self.input(input).await?.ok_or_else(gone)?;
        let stream = stream_of(&input.stream).ok_or_else(gone)?;
        let broker = self.broker();
        let known = Known::of(&input.function, stream, &stored);
        if stream == Stream::Intake {
            // It knocks at the same door again; its own subject holds it once.
            self.publish(stored.subject.as_str(), &unreadable_id(stream, stored.sequence), stored.payload)
                .await?;
        } else {
            let message = carrier(&input.function, &known, &stored);
            match broker.publish(Stream::Retry, vec![message]).await {
                // Refused: it was sent before.
                Ok(_) | Err(PublishError::Refused) => {}
                Err(error) => return Err(self.denied_or(OperatorError::Refused(error.to_string()))),
            }
        }
        if stream != Stream::Events {
            self.delete(&input.stream, input.sequence).await?;
        }
        for advisory in &input.advisories {
            self.delete(ADVISORIES, *advisory).await?;
        }
        Ok(())
    }

    /// Receipts of death without their dead letter. Those that were redriven have none any more, and are left out.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn letters_missing(&self) -> Result<Vec<LetterMissing>, OperatorError> {
        let broker = self.broker();
        let (mut missing, mut redriven, mut next) = (Vec::new(), Vec::new(), 1);
        loop {
            let page = self.page(EVENTS, "done.*.*.*", next).await?;
            let Some(last) = page.last() else { break };
            next = last.sequence + 1;
            for receipt in &page {
                let (Some(function), Some(input)) =
                    (receipt.header(headers::FUNCTION), receipt.header(headers::CAUSE))
                else {
                    continue;
                };
                if receipt.header(headers::REDRIVE).is_some() {
                    redriven.push((function.to_owned(), input.to_owned()));
                }
                let Some(reason) = receipt.header(headers::REASON) else { continue };
                let Some(id) =
                    Subject::from_broker(&receipt.subject).parse_event().map(|parts| parts.event_id)
                else {
                    continue;
                };
                let letter = Subject::of_dead_letter(function, &id);
                let letter = broker.last(Stream::DeadLetters, &letter).await;
                if letter.map_err(|error| self.no_answer(&error))?.is_none() {
                    missing.push(LetterMissing {
                        function: function.to_owned(),
                        input: input.to_owned(),
                        reason: reason.to_owned(),
                    });
                }
            }
        }
        missing.retain(|one| !redriven.contains(&(one.function.clone(), one.input.clone())));
        Ok(missing)
    }

    /// What of `topology` is missing at the broker or is otherwise there.
    ///
    /// # Errors
    /// No answer.
    pub async fn differences(&self, topology: &Topology) -> Result<Vec<Difference>, ProvisionError> {
        provision::differences(self.caller(), topology).await
    }

    /// What is at the broker in another size than `topology` has: copies, ages, bytes, and how long a consumer waits. They
    /// are the operator's, so that nothing changes them where they are.
    ///
    /// # Errors
    /// No answer.
    pub async fn sizes(&self, topology: &Topology) -> Result<Vec<Difference>, ProvisionError> {
        provision::sizes(self.caller(), topology).await
    }

    /// Whether EVENTS holds an event of the type `kind`.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn has_event_of(&self, kind: &str) -> Result<bool, OperatorError> {
        Ok(!read_some(self.caller(), EVENTS, &format!("{kind}.*.*"), 1, 1).await?.is_empty())
    }

    /// The types of event that EVENTS takes.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn event_types(&self) -> Result<Vec<String>, OperatorError> {
        let info = self.ask(&format!("$JS.API.STREAM.INFO.{EVENTS}")).await?;
        let subjects = info.pointer("/config/subjects").and_then(Value::as_array);
        let subjects = subjects.into_iter().flatten().filter_map(Value::as_str);
        let types = subjects.filter_map(|subject| subject.strip_suffix(".*.*"));
        Ok(types.filter(|kind| crate::event::is_type(kind)).map(str::to_owned).collect())
    }

    fn no_answer(&self, error: &Unavailable) -> OperatorError {
        self.denied_or(OperatorError::NoAnswer(error.to_string()))
    }

    /// That the broker denies something, if it does: the core has only its words.
    fn denied_or(&self, error: OperatorError) -> OperatorError {
        self.denied().map_or(error, OperatorError::Denied)
    }

    async fn input(&self, one: &Unanswered) -> Result<Option<Stored>, OperatorError> {
        let first = read_some(self.caller(), &one.stream, ">", one.sequence, 1).await?;
        Ok(first
            .into_iter()
            .find(|message| message.sequence == one.sequence)
            .map(|message| kept(message).stored))
    }

    async fn is_answered(&self, one: &Unanswered, stored: &Stored) -> Result<bool, OperatorError> {
        let broker = self.broker();
        let Some(stream) = stream_of(&one.stream) else { return Ok(true) };
        let known = Known::of(&one.function, stream, stored);
        let no_answer = |error: Unavailable| self.no_answer(&error);
        if stream == Stream::Intake {
            let letter = Subject::of_dead_letter(&one.function, &unreadable_id(stream, stored.sequence));
            return Ok(broker.last(Stream::Events, &known.subject).await.map_err(no_answer)?.is_some()
                || broker.last(Stream::DeadLetters, &letter).await.map_err(no_answer)?.is_some());
        }
        if known.answered(&broker, &one.function).await.map_err(no_answer)? == Answered::Yes {
            return Ok(true);
        }
        // A retry that the broker does not deliver any more is still there itself.
        let is_own = stream == Stream::Retry;
        Ok(!is_own && known.is_under_way(&broker, &one.function).await.map_err(no_answer)?)
    }
}

fn stream_of(name: &str) -> Option<Stream> {
    match name {
        EVENTS => Some(Stream::Events),
        RETRY => Some(Stream::Retry),
        INTAKE => Some(Stream::Intake),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(kind: &str, rest: &str) -> String {
        let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.EVENTS.payment");
        let json = format!(
            r#"{{"timestamp":"2026-11-21T18:49:56.146167442Z","stream":"EVENTS","consumer":"payment","stream_seq":2,{rest}}}"#
        );
        serde_json::from_str::<Advisory>(&json).unwrap().why(&subject)
    }

    #[test]
    fn what_expired_is_told_from_what_somebody_gave_up() {
        let expired = r#""consumer_seq":2,"deliveries":1,"reason":"Unacknowledged message was deleted""#;
        assert_eq!(why("MSG_TERMINATED", expired), WENT);
        assert_eq!(why("MSG_TERMINATED", r#""reason":"bad""#), "somebody terminated it: bad");
        assert!(why("MAX_DELIVERIES", r#""deliveries":3"#).starts_with("it was delivered 3 times"));
    }
}
