//! Events as the protocols show them: under which name, with which argument.
//! Knows nothing of how they are sent.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::core::encoded::Format;
use crate::core::event::{Event, Kind};
use crate::core::name::{NamespaceName, Nickname};
use crate::core::namespace::Protocol;
use crate::doors::Fields;

/// An event as a finished frame: the same for Engine.IO v3 and v4.
const FRAME: Format = Format("socket.io frame");

/// The same of a lobby, with ids as Engine.IO v3 has them.
const FRAME_OF_PREFIXED: Format = Format("socket.io frame, prefixed ids");

/// What one client of a namespace understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) protocol: Protocol,
    /// Its SDK says `/namespace#id` for an id: those of Engine.IO v3 do.
    pub(super) prefixed: bool,
}

impl Dialect {
    /// Under which an event's frame is shared by all who see the same.
    pub(super) fn format(self) -> Format {
        match (self.protocol, self.prefixed) {
            (Protocol::Lobby, true) => FRAME_OF_PREFIXED,
            _ => FRAME,
        }
    }

    /// A peer's id as this client's SDK has it.
    pub(super) fn id<'a>(self, namespace: &NamespaceName, peer: &'a Nickname) -> Cow<'a, str> {
        match self.prefixed {
            true => format!("{namespace}#{peer}").into(),
            false => peer.as_str().into(),
        }
    }

    /// The event's name, and its argument.
    pub(super) fn shown(self, event: &Event) -> (&'static str, Cow<'_, RawValue>) {
        let said = &event.publication;
        let sender = || self.id(&said.namespace, &said.sender);
        match (self.protocol, said.kind) {
            (Protocol::Trigger, Kind::Update) => ("UPDATES", Cow::Borrowed(&*said.message)),
            (Protocol::Trigger, Kind::Status) => ("STATUS", Cow::Borrowed(&*said.message)),
            (Protocol::Trigger, _) => ("EVENTS", Cow::Borrowed(&*said.message)),
            (Protocol::Lobby, Kind::Joined) => ("JOINED", raw(&sender())),
            (Protocol::Lobby, Kind::Left) => ("LEFT", raw(&sender())),
            (Protocol::Lobby, Kind::Signal) => {
                let signal = Signal {
                    body: serde_json::from_str(said.message.get()).unwrap_or_default(),
                    from: &sender(),
                };
                ("RTCSIGNAL", raw(&signal))
            }
            (Protocol::Lobby, _) => {
                #[derive(Serialize)]
                struct Message<'a> {
                    from: &'a str,
                    message: &'a RawValue,
                }
                let message = Message {
                    from: &sender(),
                    message: &said.message,
                };
                ("MESSAGE", raw(&message))
            }
            (Protocol::Room, _) => ("EVENT", Cow::Borrowed(event.json())),
        }
    }
}

fn raw(value: &impl Serialize) -> Cow<'static, RawValue> {
    Cow::Owned(to_raw_value(value).expect("strings and raw JSON always serialize"))
}

/// A signal's body with who it is from, whatever its sender claims.
struct Signal<'a> {
    body: Fields,
    from: &'a str,
}

impl Serialize for Signal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.body.iter().filter(|(name, _)| *name != "from") {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("from", self.from)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_keeps_its_body_but_not_who_it_claims_to_be_from() {
        let body = r#"{"b":1.50,"from":"x","to":"y","a":{"to":2},"from":"z"}"#;
        let signal = Signal {
            body: serde_json::from_str(body).unwrap(),
            from: "me",
        };
        assert_eq!(
            serde_json::to_string(&signal).unwrap(),
            r#"{"b":1.50,"to":"y","a":{"to":2},"from":"me"}"#
        );
    }
}
