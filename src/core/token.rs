//! A secret that a backend publishes with: compared in constant time, shown to
//! nobody. Knows no header and no file.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use ring::rand::{SystemRandom, generate};
use subtle::ConstantTimeEq;

/// The secret of a namespace, of a room, or of a door.
#[derive(Clone)]
pub struct Token(Box<str>);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It could be guessed.
    #[error("a token has {least} characters at least", least = Token::LEAST_CHARS)]
    TooShort,
    /// It does not fit in a header.
    #[error("a token has letters, digits and signs of ASCII only, and no blanks")]
    NotAscii,
}

impl Token {
    /// The shortest token: 64 bits, if they are written in hexadecimal.
    pub const LEAST_CHARS: usize = 16;

    /// Takes visible ASCII characters.
    ///
    /// # Errors
    /// The text is too short, or no header could hold it. It is not repeated.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NotAscii);
        }
        if text.len() < Self::LEAST_CHARS {
            return Err(TokenError::TooShort);
        }
        Ok(Self(text.into()))
    }

    /// A token that nobody had before: 256 bits from the operating system, in
    /// hexadecimal.
    pub fn random() -> Self {
        let bits: [u8; 32] = generate(&SystemRandom::new())
            .expect("TLS needs the system's random numbers too")
            .expose();
        Self(bits.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The token itself, for the one whose it is.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// Whether this is what somebody offers, in a time that says nothing of how
    /// much of it is right.
    pub fn is(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::parse(text)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What is kept of a token where many are: good to check one, not to guess it.
///
/// SHA-256 without a salt or rounds: a random token of 256 bits can't be found by
/// trying, as a password could.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; SHA256_OUTPUT_LEN]);

impl TokenHash {
    fn of(token: &str) -> Self {
        let digest = digest(&SHA256, token.as_bytes());
        Self::stored(digest.as_ref()).expect("SHA-256 has this length")
    }

    /// Takes a hash back from where it was written down; none if it is no hash.
    pub fn stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash, to be written down.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is of the token that somebody offers, in constant time.
    pub fn is_of(&self, offered: &str) -> bool {
        *self == Self::of(offered)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_fits_in_a_header() {
        for (text, parsed) in [
            ("0123456789abcdef", Ok(())),
            ("0123456789abcde", Err(TokenError::TooShort)),
            ("", Err(TokenError::TooShort)),
            ("0123456789abcde f", Err(TokenError::NotAscii)),
            ("0123456789abcdef\n", Err(TokenError::NotAscii)),
            ("0123456789abcdeé", Err(TokenError::NotAscii)),
        ] {
            assert_eq!(Token::parse(text).map(drop), parsed, "{text:?}");
        }
    }

    #[test]
    fn a_token_is_itself_alone_and_is_not_shown() {
        let token = Token::parse("0123456789abcdef").unwrap();
        assert!(token.is("0123456789abcdef"));
        for other in ["", "0123456789abcdeF", "0123456789abcdef0"] {
            assert!(!token.is(other), "{other}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn a_random_token_has_256_bits_and_is_known_by_its_hash() {
        let (token, other) = (Token::random(), Token::random());
        assert_eq!(token.reveal().len(), 64);
        assert!(token.reveal().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(token, other);
        let hash = TokenHash::stored(token.hash().as_bytes()).unwrap();
        assert!(hash.is_of(token.reveal()));
        for wrong in ["", other.reveal(), &token.reveal()[1..]] {
            assert!(!hash.is_of(wrong), "{wrong}");
        }
        assert_eq!(format!("{hash:?}"), "TokenHash");
        assert_eq!(TokenHash::stored(&[0; 31]), None);
    }
}
