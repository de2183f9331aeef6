//! Points in time, and in a stream, as a person gives them.

use jetlag::rfc3339;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The message with this sequence, or the first one after it.
    Sequence(u64),
    /// The first message that was stored then or later.
    Time(#[serde(with = "time::serde::rfc3339")] OffsetDateTime),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sequence(sequence) => write!(f, "sequence {sequence}"),
            Self::Time(at) => f.write_str(&rfc3339(*at)),
        }
    }
}

/// A time, or an age such as `15m`.
pub(crate) fn time(text: &str) -> Result<OffsetDateTime, String> {
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(at);
    }
    let wrong = || "a time such as 2025-01-31T08:00:00Z, or an age such as 90s, 15m, 2h, 3d".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match text.strip_prefix(digits) {
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        Some("d") => 86_400,
        _ => return Err(wrong()),
    };
    let age = digits.parse::<u32>().map_err(|_| wrong())?;
    let age = Duration::seconds(i64::from(age).saturating_mul(seconds));
    OffsetDateTime::now_utc().checked_sub(age).ok_or_else(wrong)
}

/// A time, an age, or a sequence such as `41`.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(sequence) = text.parse()
    {
        return Ok(Place::Sequence(sequence));
    }
    time(text).map(Place::Time).map_err(|told| format!("a sequence such as 41, {told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_told() {
        for text in ["", "h", "-1h", "1w", "1", "9999999999d", "2025-13-01T00:00:00Z"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(time("2025-01-31T08:00:00Z").unwrap().unix_timestamp(), 1_738_310_400);
    }

    #[test]
    fn digits_are_a_sequence_and_anything_else_a_time() {
        assert_eq!(place("41"), Ok(Place::Sequence(41)));
        assert!(matches!(place("41s"), Ok(Place::Time(_))));
        assert!(place("").unwrap_err().contains("a sequence such as 41"));
        assert!(place("99999999999999999999").is_err());
    }
}
