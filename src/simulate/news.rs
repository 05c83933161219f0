//! What a simulation tells whoever watches it, as a line of text. Knows not
//! where the lines go.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::address::Address;
use super::programme::{Item, Kind};
use super::sender::{RETRY_AFTER, Trouble};

/// Takes the news; must not block.
pub type Tell = Arc<dyn Fn(News) + Send + Sync>;

/// Which of the studio's machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that is on air.
    Main,
    /// The hot spare, which says the same.
    Spare,
}

/// What has happened.
#[derive(Debug)]
pub enum News {
    /// An item is on air, since this time.
    OnAir(Item, DateTime<Utc>),
    /// A machine has a connection.
    Connected(Role, Address),
    /// A machine has none, and tries again. A trouble is told once.
    Trouble(Role, Address, Trouble),
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnAir(item, start) => {
                let (time, seconds) = (start.format("%H:%M:%SZ"), item.length.as_secs_f64());
                let kind = item.kind;
                let name = Name(item);
                write!(f, "{time}  {kind}  {seconds:5.1} s  {name}")
            }
            Self::Connected(role, address) => write!(f, "{address}: {role} has connected"),
            Self::Trouble(role, address, trouble) => {
                let seconds = RETRY_AFTER.as_secs();
                write!(
                    f,
                    "{address}: {role}: {trouble}; trying again every {seconds} s"
                )
            }
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "Zetta",
            Self::Spare => "its hot spare",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Song => "SONG",
            Self::Link => "LINK",
            Self::Spot => "SPOT",
        })
    }
}

/// What an item is called; in brackets where listeners don't see it.
struct Name<'a>(&'a Item);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Item {
            kind,
            title,
            artist,
            ..
        } = self.0;
        match kind {
            Kind::Song => write!(f, "{artist} - {title}"),
            Kind::Link => write!(f, "[{title}]"),
            Kind::Spot => write!(f, "[{artist} - {title}]"),
        }
    }
}
