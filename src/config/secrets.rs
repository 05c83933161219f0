//! Secrets as the environment has them: a value, or the path of a file that holds
//! it, under a name that ends in `_FILE`. Knows neither which options there are nor
//! any namespace.

use std::ffi::OsStr;
use std::fs;

use super::layers::{Found, Layers};
use super::opt::Opt;
use crate::core::secret::{SigningSecret, SigningSecretError};
use crate::core::token::Token;
use crate::problem::{Fault, Origin};

/// What a variable's name ends in that holds the path of a secret's file.
pub(super) const FILE: &str = "_FILE";

/// What a variable says or, where its name ends in `_FILE`, the file that it names.
///
/// # Errors
/// The file can't be read. Its path is not repeated: some put the secret itself there.
pub(super) fn text(name: &str, value: &OsStr) -> Result<String, String> {
    if !name.ends_with(FILE) {
        return Ok(value.to_string_lossy().into_owned());
    }
    fs::read_to_string(value).map_err(|error| format!("the file can't be read: {error}"))
}

/// A secret that is compared with what somebody offers.
///
/// # Errors
/// What is wrong with it, without it.
pub(super) fn token(text: &str) -> Result<Token, String> {
    // Files end with a newline, which is no part of it.
    Token::parse(text.trim()).map_err(|error| error.to_string())
}

/// A secret that webhooks are signed with.
///
/// # Errors
/// What is wrong with it, without it.
pub(super) fn signing(text: &str) -> Result<SigningSecret, String> {
    text.trim()
        .parse()
        .map_err(|error: SigningSecretError| error.to_string())
}

impl Layers {
    /// The value of what may be in a file, where it was found or in the file that is
    /// named there.
    pub(super) fn told(&mut self, option: &Opt, found: Found) -> Found {
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some((Origin::Variable(one), _)), Some((Origin::Variable(other), _))) => {
                self.set_twice(&format!("--{}", option.name), &one, other);
                Found::new()
            }
            (Some((Origin::Variable(name), value)), _) => match text(&name, value.as_ref()) {
                Ok(text) => {
                    self.warn_of_file(&name, value.as_ref());
                    vec![(Origin::Variable(name), text)]
                }
                Err(why) => {
                    self.note(Origin::Variable(name), Fault::WrongOption(why));
                    Found::new()
                }
            },
            (first, _) => first.into_iter().collect(),
        }
    }

    /// Warns if a variable names a file that other users can read.
    pub(super) fn warn_of_file(&mut self, name: &str, value: &OsStr) {
        if name.ends_with(FILE) {
            self.warn_of_exposed(name, value.as_ref());
        }
    }

    /// Notes that a secret is meant to be there and is not: a door would be open that
    /// somebody believes to be closed.
    pub(super) fn note_empty_secret(&mut self, option: &Opt) {
        let variables = option.variables().concat().into_iter();
        let empty = variables
            .filter(|_| option.is_secret())
            .find(|name| self.is_empty(name));
        if let Some(name) = empty {
            let why = format!(
                "it is set to nothing, and --{} is a secret: unset it",
                option.name
            );
            self.note(Origin::Variable(name), Fault::WrongOption(why));
        }
    }

    /// Notes that what may be in a file is set by two variables.
    ///
    /// Neither goes before the other: whoever changes the one that does not count
    /// would not see that nothing has changed.
    pub(super) fn set_twice(&mut self, what: &str, one: &str, other: String) {
        let why = format!("{what} comes from {one} as well: set one of them");
        self.note(Origin::Variable(other), Fault::WrongOption(why));
    }
}
