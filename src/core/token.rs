//! A secret that a backend publishes with: compared in constant time, shown to
//! nobody. Knows no header and no file.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;

/// The secret of a namespace.
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
}
