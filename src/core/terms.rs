//! What a backend lays down for a room that it creates, and what a room keeps.
//! Knows the namespace that offers it; no members and no events.

use super::error::Error;
use super::namespace::Namespace;
use super::token::TokenHash;

/// What a created room is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Of the token by which the room is published in and deleted.
    pub token_hash: TokenHash,
    /// Whether it retains its latest event.
    pub retain: bool,
    /// How many events it keeps for clients that come back.
    pub history: usize,
}

/// What a backend wants a room to keep; nothing said: as its namespace has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether newcomers get its latest event.
    pub retain: Option<bool>,
    /// How many events it keeps for clients that come back.
    pub history: Option<usize>,
}

impl Wanted {
    /// The terms of a room with this token.
    ///
    /// # Errors
    /// The namespace lets no room keep that much.
    pub(super) fn with(self, token_hash: TokenHash, spec: &Namespace) -> Result<Terms, Error> {
        let retain = self.retain.unwrap_or(false);
        if retain && spec.retain.is_empty() {
            return Err(Error::NotAllowed {
                verb: "retain",
                namespace: spec.name.to_string(),
            });
        }
        let usual = Namespace::HISTORY.min(spec.history);
        let history = self.history.unwrap_or(usual);
        if history > spec.history {
            return Err(Error::HistoryTooLong(spec.history));
        }
        Ok(Terms {
            token_hash,
            retain,
            history,
        })
    }
}

/// What a room keeps of its events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeps<'a> {
    /// The keys under which it retains its latest event.
    pub(super) retain: &'a [String],
    /// How many of its events are its history.
    pub(super) history: usize,
}

impl<'a> Keeps<'a> {
    /// As its terms have it; without any as all rooms of its namespace.
    pub(super) fn of(terms: Option<&Terms>, spec: &'a Namespace) -> Self {
        let all = Self {
            retain: &spec.retain,
            history: spec.history,
        };
        match terms {
            None => all,
            Some(terms) => Self {
                retain: if terms.retain { all.retain } else { &[] },
                history: terms.history.min(all.history),
            },
        }
    }
}
