use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 128 bits, written the way Kafka writes them: URL-safe base64 without padding, 22 characters (KIP-516).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uuid(pub [u8; 16]);

/// A text that is not 22 characters of URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id: expected 22 characters of URL-safe base64")]
pub struct ParseUuidError(String);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// All zeros: "no id" on the wire.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// Shapes 16 random bytes into a version-4 UUID that Kafka's own tools accept: never zero and, like
    /// Kafka's generator, never starting with `-` (which a command line would take for a flag).
    pub fn from_random(mut bytes: [u8; 16]) -> Uuid {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        if bytes[0] >> 2 == 62 {
            bytes[0] ^= 0x80;
        }
        Uuid(bytes)
    }

    /// Whether this is the "no id" value.
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        // 128 bits are 21 whole sextets and two bits, which base64 pads with four zero bits.
        let text: String = (0..22)
            .map(|i| {
                let shift = 122 - 6 * i;
                let sextet = if shift >= 0 { bits >> shift } else { bits << -shift };
                ALPHABET[(sextet & 63) as usize] as char
            })
            .collect();
        f.write_str(&text)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Uuid, ParseUuidError> {
        let wrong = || ParseUuidError(text.chars().take(64).collect());
        let text_bytes = text.trim_end_matches('=').as_bytes();
        if text_bytes.len() != 22 {
            return Err(wrong());
        }
        let mut bits: u128 = 0;
        for (i, byte) in text_bytes.iter().enumerate() {
            let sextet = ALPHABET.iter().position(|c| c == byte).ok_or_else(wrong)? as u128;
            bits = if i < 21 { (bits << 6) | sextet } else { (bits << 2) | (sextet >> 4) };
        }
        Ok(Uuid(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_kafkas_base64() {
        // The id Kafka reserves for __cluster_metadata: fifteen zero bytes and a one.
        let mut bytes = [0; 16];
        bytes[15] = 1;
        assert_eq!(Uuid(bytes).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        for seed in 0u8..=255 {
            let id = Uuid(std::array::from_fn(|i| seed.wrapping_mul(31).wrapping_add(i as u8 * 17)));
            assert_eq!(id.to_string().parse::<Uuid>(), Ok(id));
        }
    }

    #[test]
    fn refuses_what_is_no_id() {
        assert!("short".parse::<Uuid>().is_err());
        assert!("AAAAAAAAAAAAAAAAAAAA/Q".parse::<Uuid>().is_err());
    }

    #[test]
    fn random_ids_never_look_like_a_flag() {
        for first in 0u8..=255 {
            assert!(!Uuid::from_random([first; 16]).to_string().starts_with('-'));
        }
    }
}
