//! The lobby protocol: one lobby per client, whose peers signal each other.
//! Translates only: who is in a lobby, and what is allowed, is the hub's matter.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Invalid};
use super::outlet::Problem;
use super::request::{Arguments, ObjectArgument};
use crate::core::error::Error;
use crate::core::event::{Kind, Offset};
use crate::core::hub::Notice;
use crate::core::name::{Nickname, RoomName};
use crate::core::room::Joined;

/// The name of what says in a query which lobby a client is for.
const LOBBY_ID: &str = "lobbyId";

/// Takes a client that has just connected into the lobby that its query names;
/// one whose query names none has no business here, and is disconnected.
///
/// `queries` are those that may name it; the first that does counts.
pub(super) fn arrive<'a>(queries: impl IntoIterator<Item = &'a str>, answer: &Answer) {
    let named = |query: &'a str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == LOBBY_ID)
    };
    let lobby = queries.into_iter().find_map(named);
    let message: Cow<'_, str> = match lobby.map(|(_, id)| RoomName::parse(&id)) {
        Some(Ok(lobby)) => match enter(&lobby, answer) {
            Ok(()) => return,
            // It may come in later, by JOIN.
            Err(refused) => return answer.refuse(&refused),
        },
        Some(Err(error)) => format!("{LOBBY_ID}: {error}").into(),
        None => format!("connect with a query that names the lobby: ?{LOBBY_ID}=NAME").into(),
    };
    let problem = Problem {
        code: "lobby_required",
        message: &message,
    };
    // Whoever is gone needs no word.
    let _ = answer.outlet.emit_error(None, &problem);
    answer.outlet.disconnect();
}

/// Handles one event that a client sent.
pub(super) fn handle(arguments: &Arguments<'_>, answer: &Answer) -> Result<(), Invalid> {
    match answer.event.as_str() {
        "JOIN" => enter(&arguments.room("the lobby's id")?, answer),
        "LEAVE" => leave(arguments.room("the lobby's id")?, answer),
        "BROADCAST" => {
            let mut argument = ObjectArgument::parse(arguments.first(), "{message}")?;
            send(argument.any("message")?.into(), answer)
        }
        "RTCSIGNAL" => signal(arguments.first(), answer),
        _ => Err(Invalid::Event("JOIN, LEAVE, BROADCAST and RTCSIGNAL")),
    }
}

#[derive(Serialize)]
struct Done<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a RoomName>,
}

const OK: Done<'static> = Done {
    status: "ok",
    room: None,
};

fn enter(lobby: &RoomName, answer: &Answer) -> Result<(), Invalid> {
    let own = answer.outlet.peer().ok_or(Error::Closing)?;
    let welcome = {
        let answer = answer.clone();
        move |joined: Result<Joined, Error>| {
            answer.tell(joined, |joined| {
                answer.accept(&Done {
                    room: Some(&joined.room),
                    ..OK
                });
                let ids: Vec<_> = joined.peers.iter().map(|p| answer.outlet.id(p)).collect();
                answer.emit("PEERS", &ids);
            });
        }
    };
    Ok(answer
        .hub
        .join(&answer.client, lobby, Some(own), None, welcome)?)
}

fn leave(lobby: RoomName, answer: &Answer) -> Result<(), Invalid> {
    let farewell = {
        let (answer, lobby) = (answer.clone(), lobby.clone());
        move || {
            answer.accept(&Done {
                room: Some(&lobby),
                ..OK
            });
        }
    };
    Ok(answer.hub.leave(&answer.client, &lobby, farewell)?)
}

fn signal(argument: &RawValue, answer: &Answer) -> Result<(), Invalid> {
    let mut argument = ObjectArgument::parse(argument, "{to, ...}")?;
    let to = argument.text("to")?;
    let prefix = format!("{}#", answer.outlet.namespace());
    let to = to.strip_prefix(&prefix).unwrap_or(&to);
    let notice = Notice {
        kind: Kind::Signal,
        to: Some(Nickname::parse(to)?),
        message: argument.into_object(),
    };
    send(notice, answer)
}

fn send(notice: Notice, answer: &Answer) -> Result<(), Invalid> {
    let lobby = answer.client.room().ok_or(Invalid::NoLobby)?;
    let done = {
        let answer = answer.clone();
        Box::new(move |sent: Result<Offset, Error>| match sent {
            Ok(_) => answer.accept(&OK),
            Err(error) => answer.refuse(&error.into()),
        })
    };
    answer.hub.notify(&answer.client, lobby, notice, done);
    Ok(())
}
