//! Where a message in AUDIT came from: the server copies it there, and notes in a header what it copied.

use jetlag::jetstream::ReadMessage;

/// The header that the server adds to a copy: stream, sequence, filter, destination and the subject that it had.
const HEADER: &str = "Nats-Stream-Source";

/// The place of a message in the stream that it was first stored in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its subject there.
    pub subject: String,
    /// Its sequence there.
    pub sequence: u64,
}

impl Origin {
    /// Where `message` was first stored: here, if it is no copy.
    pub fn of(message: &ReadMessage) -> Self {
        let copied = message.header(HEADER).and_then(|header| {
            let mut fields = header.split(' ');
            let sequence = fields.nth(1)?.parse().ok()?;
            Some(Self { subject: fields.nth(2)?.to_owned(), sequence })
        });
        copied.unwrap_or_else(|| Self { subject: message.subject.clone(), sequence: message.sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_says_where_it_was_and_anything_else_is_where_it_is() {
        let header = "EVENTS 7 *.*.*.* audit.{{partition(8,3)}} orders.placed.536365.e1";
        let mut message = ReadMessage {
            subject: "audit.3".to_owned(),
            sequence: 2,
            stored_at: time::OffsetDateTime::UNIX_EPOCH,
            headers: vec![(HEADER.to_owned(), header.to_owned())],
            payload: bytes::Bytes::new(),
        };
        let origin = Origin { subject: "orders.placed.536365.e1".to_owned(), sequence: 7 };
        assert_eq!(Origin::of(&message), origin);
        message.headers.clear();
        assert_eq!(Origin::of(&message), Origin { subject: "audit.3".to_owned(), sequence: 2 });
    }
}
