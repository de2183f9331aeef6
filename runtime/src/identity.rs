//! Ids that are derived rather than drawn: the same work twice gives the same ids twice.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A UUID of version 8 (RFC 9562) made of `parts` by SHA-256: equal for equal parts, and for no others.
pub fn derive(parts: &[&str]) -> String {
    Uuid::new_v8(digest(parts)).hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()
}

/// A W3C trace id made of `seed`: 32 lower-case hexadecimal digits, never all zero.
pub(crate) fn trace_id(seed: &str) -> String {
    Uuid::new_v8(digest(&["trace", seed])).simple().encode_lower(&mut Uuid::encode_buffer()).to_owned()
}

/// `given` as a W3C trace id where it is one (hyphens and case aside), else one derived from `event_id`.
pub(crate) fn normal_trace_id(given: &str, event_id: &str) -> String {
    if is_trace_id(given) {
        return given.to_owned();
    }
    match Uuid::try_parse(given) {
        Ok(uuid) if !uuid.is_nil() => uuid.simple().to_string(),
        _ => trace_id(event_id),
    }
}

/// Whether `id` is a W3C trace id: 32 lower-case hexadecimal digits, and not all of them zero.
pub(crate) fn is_trace_id(id: &str) -> bool {
    id.len() == 32
        && id.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
        && id.bytes().any(|b| b != b'0')
}

fn digest(parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut first = [0; 16];
    first.copy_from_slice(hash.finalize().split_at(16).0);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_give_equal_ids_and_a_shifted_border_another() {
        assert_eq!(derive(&["ab", "c"]), derive(&["ab", "c"]));
        assert_ne!(derive(&["ab", "c"]), derive(&["a", "bc"]));
        assert_eq!(Uuid::try_parse(&derive(&["x"])).unwrap().get_version_num(), 8);
    }

    #[test]
    fn the_nil_trace_id_is_not_kept() {
        assert_eq!(normal_trace_id(&"0".repeat(32), "e"), trace_id("e"));
    }
}
