//! The hash of an entry, and the running hash over all of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not 64 lower-case hexadecimal digits")]
pub struct NotAHash;

impl Hash {
    /// Where the chain begins.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of one entry: SHA-256 of its sequence (8 bytes, big-endian) and the SHA-256 of its bytes.
    pub fn of_entry(sequence: u64, bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(sequence.to_be_bytes());
        hash.update(Sha256::digest(bytes));
        Self(hash.finalize().into())
    }

    /// The running hash after `entry`: SHA-256 of the running hash before it and the entry's.
    #[must_use]
    pub fn then(self, entry: Self) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(entry.0);
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let is_hex = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if text.len() != 64 || !is_hex {
            return Err(NotAHash);
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * at..2 * at + 2).ok_or(NotAHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotAHash)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_that_anybody_can_compute() {
        // printf hello | sha256sum, behind eight bytes of sequence, hashed again with coreutils.
        assert_eq!(
            Hash::of_entry(1, b"hello").to_string(),
            "33de03b154b63973d32faf5cd50838f85413df7205f0bd8dab9a10bce397bd4e"
        );
        assert_eq!(
            Hash::ZERO.then(Hash::of_entry(1, b"hello")).to_string(),
            "87201472d4ca13d94566ed85a316ce837838cf976280d19dfa476a30cb23d662"
        );
    }

    #[test]
    fn a_hash_reads_back_and_nothing_else_does() {
        let hash = Hash::of_entry(7, b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for wrong in ["", "0", &"A".repeat(64), &"é".repeat(32), &"0".repeat(65)] {
            assert_eq!(wrong.parse::<Hash>(), Err(NotAHash), "{wrong}");
        }
    }
}
