//! One token of a subject, made of user data: exact both ways, and never a dot, a space or a wildcard.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Encodes `text` as a single subject token.
///
/// ASCII letters, digits, `-` and `_` stand for themselves; every other byte of its UTF-8 becomes `%XX` (upper-case
/// hexadecimal). The empty string is a lone `%`, since a subject may not have an empty token.
pub(crate) fn encode(text: &str) -> Cow<'_, str> {
    if text.is_empty() {
        return Cow::Borrowed("%");
    }
    // All bytes, whatever the first ones are: that is done many at a time.
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return Cow::Borrowed(text);
    }
    let mut token = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if is_plain(byte) {
            token.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(token, "%{byte:02X}");
        }
    }
    Cow::Owned(token)
}

/// The text that [`encode`] made `token` of, or `None` if `encode` could not have made it.
pub(crate) fn decode(token: &str) -> Option<String> {
    if token == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let decoded = hex(rest.next()?)? << 4 | hex(rest.next()?)?;
                if is_plain(decoded) {
                    return None;
                }
                decoded
            }
            plain if is_plain(plain) => plain,
            _ => return None,
        });
    }
    if bytes.is_empty() { None } else { String::from_utf8(bytes).ok() }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_stays_readable_and_everything_else_is_escaped() {
        assert_eq!(encode("ORD-1_a"), "ORD-1_a");
        assert_eq!(encode("a.b *>"), "a%2Eb%20%2A%3E");
        assert_eq!(encode(""), "%");
    }

    #[test]
    fn only_the_canonical_form_is_decoded() {
        for wrong in ["", "%4", "%41", "%2e", "a.b", "%FF", "%zz", "a b"] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_survives_and_makes_one_token(text in ".*") {
            let token = encode(&text);
            prop_assert!(!token.is_empty());
            prop_assert!(!token.contains(|c: char| c == '.' || c == '*' || c == '>' || c.is_whitespace()));
            prop_assert_eq!(decode(&token), Some(text));
        }

        #[test]
        fn different_texts_are_different_tokens(one in "[a.% -]{0,6}", other in "[a.% -]{0,6}") {
            prop_assert_eq!(encode(&one) == encode(&other), one == other);
        }

        #[test]
        fn what_decodes_encodes_to_the_same_token(token in "[A-Za-z0-9%_-]{0,24}") {
            if let Some(text) = decode(&token) {
                prop_assert_eq!(encode(&text), token);
            }
        }
    }
}
