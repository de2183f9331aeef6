//! Inputs whose headers the client cannot read. The server takes any bytes for headers; this client ends its connection at
//! some of them, and itself at others, before anybody here has seen the message. What a consumer has delivered and not
//! heard of again is therefore read once more in another form, JSON, and what is unreadable in it is buried.

use async_nats::StatusCode;
use async_nats::header::HeaderName;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessage;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::broker::{Delivery, Stream};
use crate::core::dead_letter::bury_unreadable;
use crate::failure::{Reason, chain};
use crate::jetstream::api::{ApiError, Caller, RequestFailed, request};
use crate::jetstream::broker::JetStream;
use crate::subject::Subject;

/// How many sequences are looked through at each end of what is unanswered, which may be far apart: an input that has just
/// been delivered is at the upper end, and the one that was delivered longest ago at the lower.
const REACH: u64 = 5_000;
/// The broker's code that means: there is no such message, or none from there on.
const NO_MESSAGE: u64 = 10037;
/// The name under which headers stand in a dead letter that are not text, or no headers: escaped, as one.
const RAW: &str = "raw";

/// Why what is unanswered could not be looked through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLookedThrough {
    #[error("{0}")]
    Request(String),
    #[error("the broker refuses: {0}")]
    Refused(String),
    #[error("an odd answer of the broker")]
    Odd(#[from] serde_json::Error),
    #[error("{0}")]
    NotBuried(String),
}

impl From<RequestFailed> for NotLookedThrough {
    fn from(failed: RequestFailed) -> Self {
        Self::Request(failed.to_string())
    }
}

/// Buries every input that `function` has been given of `stream`, has not answered, and never can: its headers are
/// unreadable. Gives how many those were.
pub(super) async fn bury_what_cannot_be_read(
    broker: &JetStream,
    function: &'static str,
    stream: Stream,
) -> Result<usize, NotLookedThrough> {
    let (caller, name) = (broker.caller(), JetStream::name(stream));
    let info = ask(caller, &format!("$JS.API.CONSUMER.INFO.{name}.{function}"), &Value::Null).await?;
    let Some(info) = info else { return Ok(0) };
    let number = |pointer: &str| info.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    if number("/num_ack_pending") == 0 {
        return Ok(0);
    }
    let (first, last) = (number("/ack_floor/stream_seq") + 1, number("/delivered/stream_seq"));
    let mut buried = 0;
    for filter in filters(&info) {
        let mut next = first;
        loop {
            let distance_to_last = last.saturating_sub(next);
            if next - first > REACH && distance_to_last > REACH {
                next = last - REACH;
            }
            let wanted = json!({"seq": next, "next_by_subj": filter});
            let Some(answer) = ask(caller, &format!("$JS.API.STREAM.MSG.GET.{name}"), &wanted).await? else {
                break;
            };
            #[derive(Deserialize)]
            struct Answer {
                message: RawMessage,
            }
            let Answer { message } = serde_json::from_value(answer)?;
            let sequence = message.sequence;
            if sequence > last {
                break;
            }
            next = sequence + 1;
            let headers = decoded(message.headers.clone().unwrap_or_default(), &message)?;
            if headers.is_empty() {
                continue;
            }
            if let Err(why) = readable(&headers) {
                bury(broker, function, stream, message, &headers, why).await?;
                buried += 1;
            }
        }
    }
    Ok(buried)
}

async fn bury(
    broker: &JetStream,
    function: &'static str,
    stream: Stream,
    mut message: RawMessage,
    headers: &[u8],
    why: &str,
) -> Result<(), NotLookedThrough> {
    let (name, sequence, time) = (JetStream::name(stream), message.sequence, message.time);
    let payload = decoded(std::mem::take(&mut message.payload), &message)?;
    // In the form of an answer to a delivery; of its numbers only the sequence in the stream counts.
    let receipt = format!("$JS.ACK.{name}.{function}.1.{sequence}.1.{}.0", time.unix_timestamp_nanos());
    let delivery = Delivery {
        stream,
        subject: Subject::from_broker(&message.subject),
        headers: told(headers),
        payload,
        sequence,
        time,
        delivered: 1,
        receipt: receipt.clone().into(),
    };
    let error = format!("its headers cannot be read: {why}");
    bury_unreadable(broker, &delivery, function, Reason::NotAnEvent, &error)
        .await
        .map_err(|failed| NotLookedThrough::NotBuried(chain(&failed)))?;
    request(broker.caller(), &receipt, None, Bytes::from_static(b"+ACK")).await?;
    let subject = message.subject;
    tracing::error!(stream = name, sequence, subject, error, "an input is a dead letter: it cannot be read");
    Ok(())
}

/// What the consumer takes of its stream.
fn filters(info: &Value) -> Vec<String> {
    let several = info.pointer("/config/filter_subjects").and_then(Value::as_array);
    let one = info.pointer("/config/filter_subject").filter(|filter| filter.as_str() != Some(""));
    let all: Vec<String> = several
        .into_iter()
        .flatten()
        .chain(one)
        .filter_map(|filter| filter.as_str().map(str::to_owned))
        .collect();
    if all.is_empty() { vec![">".to_owned()] } else { all }
}

async fn ask(caller: &Caller, subject: &str, what: &Value) -> Result<Option<Value>, NotLookedThrough> {
    let payload = if what.is_null() { Bytes::new() } else { what.to_string().into() };
    let json: Value = serde_json::from_slice(&request(caller, subject, None, payload).await?.payload)?;
    match json.get("error") {
        None => Ok(Some(json)),
        Some(error) => match serde_json::from_value::<ApiError>(error.clone())? {
            error if error.err_code == NO_MESSAGE => Ok(None),
            error => Err(NotLookedThrough::Refused(error.to_string())),
        },
    }
}

/// Bytes out of base 64, which the client decodes for payloads: whatever is to be decoded is given to it as one.
fn decoded(base64: String, of: &RawMessage) -> Result<Bytes, NotLookedThrough> {
    let stand_in = RawMessage {
        subject: of.subject.clone(),
        sequence: of.sequence,
        payload: base64,
        headers: None,
        time: of.time,
    };
    let message = StreamMessage::try_from(stand_in);
    message.map(|message| message.payload).map_err(|error| NotLookedThrough::NotBuried(error.to_string()))
}

/// Whether the client can read these headers: its own steps (`async-nats` 0.51, `connection.rs`), and nothing stricter, as
/// what it can read is being handled.
fn readable(headers: &[u8]) -> Result<(), &'static str> {
    let text = std::str::from_utf8(headers).map_err(|_| "they are not UTF-8")?;
    let mut lines = text.lines().peekable();
    let version = lines.next().and_then(|line| line.strip_prefix("NATS/1.0")).map(str::trim);
    let version = version.ok_or("they do not begin with NATS/1.0")?;
    let status = version.split_once(' ').map_or(version, |(status, _)| status.trim());
    if !status.is_empty() && status.parse::<StatusCode>().is_err() {
        return Err("their first line has a status that is none");
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or("a line has no colon")?;
        name.parse::<HeaderName>().map_err(|_| "a name has characters that it must not have")?;
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        if value.trim_end().contains(['\r', '\n']) {
            return Err("a value has a line break in it");
        }
    }
    Ok(())
}

/// The headers for a dead letter: as pairs, if that is what they are, and escaped otherwise.
fn told(headers: &[u8]) -> Vec<(String, String)> {
    let pairs = std::str::from_utf8(headers).ok().and_then(|text| {
        let lines = text.strip_prefix("NATS/1.0\r\n")?.trim_end_matches("\r\n");
        let pair = |line: &str| line.split_once(':').map(|(name, value)| (name.into(), value.trim().into()));
        lines.split("\r\n").map(pair).collect()
    });
    pairs.unwrap_or_else(|| vec![(RAW.to_owned(), headers.escape_ascii().to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unreadable_exactly_if_the_client_cannot_read_them() {
        let good: [&[u8]; 6] = [
            b"NATS/1.0\r\n\r\n",
            b"NATS/1.0\r\nX: a\r\nX:\r\n\r\n",
            b"NATS/1.0\nX: a\n\n",
            b"NATS/1.0\r\nX: a\r\r\n\r\n",
            b"NATS/1.0\r\nX: a\r\n folded: on\r\n\r\n",
            b"NATS/1.0 503 no\r\nX: \xc3\xa9:\t\x00\r\n\r\n",
        ];
        for headers in good {
            assert_eq!(readable(headers), Ok(()), "{}", headers.escape_ascii());
        }
        let bad: [&[u8]; 8] = [
            b"",
            b"HTTP/1.0\r\n\r\n",
            b"NATS/1.0 x\r\n\r\n",
            b"NATS/1.0\r\nX: a\rb\r\n\r\n",
            b"NATS/1.0\r\nX: \xff\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\nX: a\nb\r\n\r\n",
            b"NATS/1.0\r\nX\xc3\xa9: a\r\n\r\n",
        ];
        for headers in bad {
            assert!(readable(headers).is_err(), "{}", headers.escape_ascii());
        }
    }

    #[test]
    fn headers_are_told_without_loss() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(told(b"NATS/1.0\r\nX: a\rb\r\nY:c\r\n\r\n"), [pair("X", "a\rb"), pair("Y", "c")]);
        assert_eq!(told(b"NATS/1.0\r\nX: \xff\r\n\r\n"), [pair(RAW, r"NATS/1.0\r\nX: \xff\r\n\r\n")]);
        assert_eq!(told(b"NATS/1.0\r\nno\r\n\r\n"), [pair(RAW, r"NATS/1.0\r\nno\r\n\r\n")]);
    }
}
