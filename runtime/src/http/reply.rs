//! What an input led to, for a sender who asks for it: the one event that was committed for it, whenever that was.

use axum::http::HeaderMap;

use crate::core::broker::{Stored, Stream};
use crate::core::inbound::Cause;
use crate::http::outgoing::Outgoing;
use crate::sequel::Sequel;
use crate::state::Unavailable;

/// The header by which a sender asks for the event (RFC 7240), and what it says then. Knative's brokers do.
const PREFER: &str = "prefer";
pub(crate) const REPLY: &str = "reply";
/// How many messages are looked at behind the first: a receipt may stand before the one event, and a second event after it.
const LOOK_BEHIND: usize = 2;

/// Whether the sender asks for the event that follows.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|preference| {
        let name = preference.split([';', '=']).next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(REPLY)
    })
}

/// The event that was committed for `cause`, if it was exactly one.
///
/// It is read from the stream, by this run's own guard, and not taken from the run: the same input again runs nothing, and
/// is to be answered the same.
pub(crate) async fn to<B: Sequel>(broker: &B, cause: &Cause) -> Result<Option<Outgoing>, Unavailable> {
    let Some(first) = broker.last_at_leader(Stream::Events, &cause.scope()).await? else { return Ok(None) };
    let sequence = first.sequence;
    let mut found = (!is_receipt(&first)).then_some(first);
    for index in 1..=LOOK_BEHIND {
        // The events of a commit come one right behind the other.
        let Some(next) = broker.at(Stream::Events, sequence.saturating_add(index as u64)).await? else {
            break;
        };
        if next.subject.parse_event().is_none_or(|parts| parts.event_id != cause.id(index)) {
            break;
        }
        if found.is_some() {
            return Ok(None);
        }
        found = Some(next);
    }
    Ok(found.as_ref().and_then(Outgoing::of))
}

/// Whether it only says that something was done.
pub(crate) fn is_receipt(stored: &Stored) -> bool {
    stored.subject.is_receipt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_wanted_however_the_preference_is_written() {
        let wanted = |texts: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(PREFER, text.parse().unwrap());
            }
            is_wanted(&headers)
        };
        for texts in [&["reply"][..], &["wait=10, Reply"], &["respond-async", "reply; soon"], &["reply=\"\""]]
        {
            assert!(wanted(texts), "{texts:?}");
        }
        for texts in [&[][..], &["replying"], &["return=minimal"], &["x;reply"], &["x=reply"]] {
            assert!(!wanted(texts), "{texts:?}");
        }
    }
}
