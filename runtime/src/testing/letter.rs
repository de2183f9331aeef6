//! A dead letter, as a test looks at it.

use bytes::Bytes;

use crate::core::broker::Stored;
use crate::headers;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The function that gave up.
    pub function: String,
    /// The code of the [`Reason`](crate::Reason).
    pub reason: String,
    /// What went wrong.
    pub error: String,
    /// The subject of the input.
    pub input: String,
    /// The input, byte for byte.
    pub payload: Bytes,
}

impl DeadLetter {
    pub(crate) fn of(letter: &Stored) -> Self {
        let header = |name| letter.header(name).unwrap_or_default().to_owned();
        Self {
            function: header(headers::FUNCTION),
            reason: header(headers::REASON),
            error: header(headers::ERROR),
            input: header(headers::SUBJECT),
            payload: letter.payload.clone(),
        }
    }
}
