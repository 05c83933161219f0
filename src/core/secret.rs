//! A secret that webhooks are signed with, as Standard Webhooks writes one; shown
//! to nobody. Knows no request and no signature.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

/// What whoever signs and whoever checks the signature both have.
#[derive(Clone)]
pub struct SigningSecret(Box<[u8]>);

/// Why a text is no signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningSecretError {
    /// It does not say that it is one.
    #[error("a signing secret begins with {}", SigningSecret::PREFIX)]
    NoPrefix,
    /// What follows can't be decoded.
    #[error(
        "a signing secret is base64 behind {}, with + and / and filled up with =",
        SigningSecret::PREFIX
    )]
    NotBase64,
    /// It could be guessed, or is hardly a secret of this kind.
    #[error(
        "a signing secret has {} to {} bytes, written in base64",
        SigningSecret::BYTES.start(),
        SigningSecret::BYTES.end()
    )]
    Length,
}

impl SigningSecret {
    /// What a secret begins with, so that one that leaks is known for what it is.
    pub const PREFIX: &str = "whsec_";

    /// How many bytes it has: as the specification of Standard Webhooks says.
    pub const BYTES: RangeInclusive<usize> = 24..=64;

    /// The bytes that sign.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for SigningSecret {
    type Err = SigningSecretError;

    /// Takes `whsec_` and base64; what is wrong is said without the text.
    fn from_str(text: &str) -> Result<Self, SigningSecretError> {
        let coded = text
            .strip_prefix(Self::PREFIX)
            .ok_or(SigningSecretError::NoPrefix)?;
        // The decoder's own reason holds a character of the secret.
        let bytes = BASE64_STANDARD
            .decode(coded)
            .map_err(|_| SigningSecretError::NotBase64)?;
        if !Self::BYTES.contains(&bytes.len()) {
            return Err(SigningSecretError::Length);
        }
        Ok(Self(bytes.into()))
    }
}

impl PartialEq for SigningSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SigningSecret {}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret with so many bytes, all the same.
    fn written(byte: u8, count: usize) -> String {
        let coded = BASE64_STANDARD.encode(vec![byte; count]);
        format!("{}{coded}", SigningSecret::PREFIX)
    }

    #[test]
    fn it_is_base64_of_24_to_64_bytes_behind_its_prefix() {
        use SigningSecretError::{Length, NoPrefix, NotBase64};
        let right = written(7, 24);
        let bare = &right[SigningSecret::PREFIX.len()..];
        for (text, parsed) in [
            (&*right, Ok(vec![7; 24])),
            (&written(0xff, 32), Ok(vec![0xff; 32])),
            (&written(7, 64), Ok(vec![7; 64])),
            (&written(7, 23), Err(Length)),
            (&written(7, 65), Err(Length)),
            ("whsec_", Err(Length)),
            ("", Err(NoPrefix)),
            (bare, Err(NoPrefix)),
            (&right.to_uppercase(), Err(NoPrefix)),
            (&format!("{right}\n"), Err(NotBase64)),
            (&format!("{right}="), Err(NotBase64)),
            (&right[..right.len() - 1], Err(NotBase64)),
            // As URLs have it, and without what fills it up.
            (&written(0xff, 32).replace('/', "_"), Err(NotBase64)),
            (written(7, 32).trim_end_matches('='), Err(NotBase64)),
        ] {
            let found = text.parse::<SigningSecret>();
            assert_eq!(found.map(|s| s.bytes().to_vec()), parsed, "{text:?}");
        }
    }

    #[test]
    fn it_is_equal_to_itself_alone_and_is_not_shown() {
        let parse = |text: String| text.parse::<SigningSecret>().unwrap();
        let secret = parse(written(7, 32));
        assert_eq!(secret, parse(written(7, 32)));
        for other in [written(8, 32), written(7, 33), written(7, 31)] {
            assert_ne!(secret, parse(other));
        }
        assert_eq!(format!("{secret:?}"), "SigningSecret");
    }

    #[test]
    fn what_is_wrong_does_not_repeat_it() {
        for (text, words) in [
            ("hunter2", "begins with whsec_"),
            ("whsec_hunter2!", "is base64 behind whsec_"),
            ("whsec_hunter22", "has 24 to 64 bytes"),
        ] {
            let said = text.parse::<SigningSecret>().unwrap_err().to_string();
            assert!(said.contains(words), "{said}\nnot {words}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
