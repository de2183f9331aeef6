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
    /// The headers with which the input first came.
    pub headers: Vec<(String, String)>,
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
            headers: letter
                .header(headers::HEADERS)
                .and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or_default(),
            payload: letter.payload.clone(),
        }
    }
}
