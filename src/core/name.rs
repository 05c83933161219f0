//! The names of namespaces, rooms and clients, checked where they come in.
//! Knows no protocol and no rule of a single namespace, only what a name is.

mod characters;

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

pub(crate) use self::characters::is_ignorable;

/// Why a text is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing in it, or only blanks.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// It is longer than any name of its kind may be.
    #[error("{what} is longer than {most} characters")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// The longest there is, in characters.
        most: usize,
    },
    /// It contains a control character, an invisible one, or one that changes the direction
    /// of the text around it.
    #[error("{what} holds the character U+{code:04X}, which is not for names", code = u32::from(*.found))]
    Unprintable {
        /// Which kind of name.
        what: &'static str,
        /// The first such character.
        found: char,
    },
    /// A client wants a name that the server itself publishes under.
    #[error("the nickname {0} is the server's own")]
    Reserved(String),
    /// A namespace's name has another form than `/name`.
    #[error("a namespace is written / and then a-z, 0-9 or -, as in /metadata")]
    NotANamespace,
}

/// Which room, in which namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The room's name there.
    pub room: RoomName,
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.room)
    }
}

/// Which namespace, as in `/metadata`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName(Arc<str>);

impl NamespaceName {
    /// The longest name, in characters, the slash counted.
    pub const MOST_CHARS: usize = 64;

    /// Takes a slash and at least one of `a-z0-9-`.
    ///
    /// # Errors
    /// The text has another form or is too long.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let rest = text.strip_prefix('/').ok_or(NameError::NotANamespace)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if rest.is_empty() || !rest.bytes().all(allowed) {
            return Err(NameError::NotANamespace);
        }
        check_length("the name of the namespace", text, Self::MOST_CHARS)?;
        Ok(Self(text.into()))
    }
}

/// Which room of a namespace. Compared as it came: case and blanks count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// The longest name that a namespace can allow, in characters.
    ///
    /// The names of 10,000 rooms stay below 10 MiB even in four-byte characters.
    pub const MOST_CHARS: usize = 256;

    /// Accepts 1 to 256 characters; not only blanks, and none that can't be displayed.
    ///
    /// # Errors
    /// The text is empty or too long, or contains a control or invisible character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check("the name of the room", text, Self::MOST_CHARS)?;
        Ok(Self(text.into()))
    }
}

/// What the others of a room see of a client. Need not be unique.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nickname(Arc<str>);

impl Nickname {
    /// The longest name that a namespace can allow, in characters: some clients of the
    /// 2-IMMERSE websocket-service have names of more than 64.
    pub const MOST_CHARS: usize = 256;

    /// The sender of what the studio's feed publishes.
    pub const FEED: &'static str = "zetta";

    /// The sender of what a backend publishes over HTTP.
    pub const HTTP: &'static str = "POST";

    /// Accepts 1 to 256 characters, and drops the blanks around them.
    ///
    /// # Errors
    /// The text is empty or too long, contains a control or invisible character, or looks
    /// like a name of the server's own.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        check("the nickname", text, Self::MOST_CHARS)?;
        if let Some(own) = characters::look_alike(text, [Self::FEED, Self::HTTP]) {
            return Err(NameError::Reserved(own.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// Reads a name from storage: accepts the server's own names as well, and names that
    /// earlier versions accepted.
    ///
    /// # Errors
    /// The text is empty or too long.
    pub fn stored(text: &str) -> Result<Self, NameError> {
        let what = "the nickname";
        check_length(what, text, Self::MOST_CHARS)?;
        match text.is_empty() {
            true => Err(NameError::Empty { what }),
            false => Ok(Self(text.into())),
        }
    }

    /// The name of the studio's feed, which no client can take.
    pub fn feed() -> Self {
        Self(Self::FEED.into())
    }

    /// The name of backends that publish over HTTP, which no client can take.
    pub fn http() -> Self {
        Self(Self::HTTP.into())
    }
}

macro_rules! text_of {
    ($($name:ident),*) => {$(
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // So that a map can be asked with a plain text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )*};
}

text_of!(NamespaceName, RoomName, Nickname);

fn check(what: &'static str, text: &str, most: usize) -> Result<(), NameError> {
    // First, so that a huge text costs no more than its first characters.
    check_length(what, text, most)?;
    if text.trim().is_empty() {
        return Err(NameError::Empty { what });
    }
    match characters::unprintable(text) {
        Some(found) => Err(NameError::Unprintable { what, found }),
        None => Ok(()),
    }
}

fn check_length(what: &'static str, text: &str, most: usize) -> Result<(), NameError> {
    if text.chars().nth(most).is_some() {
        return Err(NameError::TooLong { what, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces() {
        for good in ["/metadata", "/a", "/0-9", &format!("/{}", "a".repeat(63))] {
            assert_eq!(NamespaceName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "/", "metadata", "//a", "/A", "/a/b", "/a b", "/é", "/a_b",
        ] {
            assert_eq!(
                NamespaceName::parse(bad),
                Err(NameError::NotANamespace),
                "{bad:?}"
            );
        }
        let long = format!("/{}", "a".repeat(64));
        assert!(matches!(
            NamespaceName::parse(&long),
            Err(NameError::TooLong { .. })
        ));
    }

    #[test]
    fn rooms_are_taken_as_they_came() {
        for good in [
            "now-playing",
            " a ",
            "Ä/ö?",
            // Joiners, skin tones and variation selectors of emoji; a joiner in Persian.
            "👩‍🚀",
            "❤️",
            "👨🏽‍❤️‍👨🏻",
            "1️⃣",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "می‌خواهم",
            &"é".repeat(RoomName::MOST_CHARS),
        ] {
            assert_eq!(RoomName::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn what_is_no_room_is_refused_with_the_reason() {
        for (bad, message) in [
            ("", "the name of the room is empty"),
            (" \u{3000} ", "the name of the room is empty"),
            (
                "a\nb",
                "the name of the room holds the character U+000A, which is not for names",
            ),
            (
                "a\u{202E}b",
                "the name of the room holds the character U+202E, which is not for names",
            ),
            (
                "a\u{200D}b",
                "the name of the room holds the character U+200D, which is not for names",
            ),
            (
                "a\u{FE0F}",
                "the name of the room holds the character U+FE0F, which is not for names",
            ),
            (
                "é\u{200D}",
                "the name of the room holds the character U+200D, which is not for names",
            ),
            (
                "é\u{200D}\u{200D}é",
                "the name of the room holds the character U+200D, which is not for names",
            ),
            (
                "a\u{E0061}",
                "the name of the room holds the character U+E0061, which is not for names",
            ),
            (
                "\u{3164}",
                "the name of the room holds the character U+3164, which is not for names",
            ),
            (
                &"x".repeat(RoomName::MOST_CHARS + 1),
                "the name of the room is longer than 256 characters",
            ),
        ] {
            assert_eq!(RoomName::parse(bad).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_nickname_loses_the_blanks_around_it() {
        assert_eq!(Nickname::parse("  Anna B ").unwrap().as_str(), "Anna B");
    }

    #[test]
    fn nobody_takes_the_servers_names() {
        for bad in [
            "zetta",
            "ZETTA",
            " Zetta ",
            "post",
            "POST",
            // Full width, mathematical letters, a circle around each.
            "ｐｏｓｔ",
            "ＺｅＴＴａ",
            "𝐏𝐎𝐒𝐓",
            "𝔷𝔢𝔱𝔱𝔞",
            "ⓩⓔⓣⓣⓐ",
            // Cyrillic and Greek letters, some or all.
            "РОЅТ",
            "роst",
            "zеttа",
            "ΖΕΤΤΑ",
            "zeττa",
            // A digit that looks like the letter.
            "P0ST",
        ] {
            assert!(
                matches!(Nickname::parse(bad), Err(NameError::Reserved(_))),
                "{bad:?}"
            );
        }
        for good in ["zetta2", "poster", "Anna", "Почта", "Ζήτα", "Zëtta"] {
            assert!(Nickname::parse(good).is_ok(), "{good:?}");
        }
        assert_eq!(Nickname::feed().as_str(), "zetta");
        assert_eq!(Nickname::http().as_str(), "POST");
    }

    #[test]
    fn what_is_no_nickname_is_refused() {
        for bad in [
            "",
            " ",
            "\u{200B}",
            "ze\u{200B}tta",
            "POST\u{FEFF}",
            "a\0",
            &"x".repeat(Nickname::MOST_CHARS + 1),
        ] {
            assert!(Nickname::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_strings_in_json() {
        let name = RoomName::parse("a\"b").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""a\"b""#);
    }
}
