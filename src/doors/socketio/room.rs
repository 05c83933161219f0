//! The room protocol: JOIN, LEAVE, NOTIFY, CLIENTS, and their answers.
//! Translates only: what is allowed is the hub's matter.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use socketioxide::handler::Value;

use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::event::Offset;
use crate::core::hub::Hub;
use crate::core::name::{Nickname, RoomName};

use super::answer::{Answer, Invalid};
use super::outlet::SocketOutlet;

/// Handles one event that a client sent.
pub(super) fn handle(
    hub: &Arc<Hub>,
    client: &Arc<Client>,
    outlet: &Arc<SocketOutlet>,
    value: Value,
    ack: Option<i64>,
) {
    let (event, argument) = match read(&value) {
        Ok(read) => read,
        Err(invalid) => {
            let answer = Answer::new(hub, client, outlet, String::new(), ack);
            return answer.misunderstood(invalid);
        }
    };
    let answer = Answer::new(hub, client, outlet, event, ack);
    let handled = match answer.event.as_str() {
        "JOIN" => parse(argument, "{room, name?, since?}").and_then(|asked| join(asked, &answer)),
        "LEAVE" => parse(argument, "{room}").and_then(|asked| leave(asked, &answer)),
        "NOTIFY" => parse(argument, "{room, message}").and_then(|asked| notify(asked, &answer)),
        "CLIENTS" => parse(argument, "{room}").and_then(|asked| clients(asked, &answer)),
        _ => Err(Invalid::Event),
    };
    match handled {
        Ok(()) => {}
        // The hub has counted it.
        Err(Invalid::Refused(error)) => answer.refuse(&Invalid::Refused(error)),
        Err(invalid) => answer.misunderstood(invalid),
    }
}

#[derive(Deserialize)]
struct Join {
    room: String,
    name: Option<String>,
    since: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    room: String,
}

#[derive(Deserialize)]
struct Notify {
    room: String,
    message: Box<RawValue>,
}

fn join(asked: Join, answer: &Answer) -> Result<(), Invalid> {
    let room = RoomName::parse(&asked.room)?;
    let name = asked.name.as_deref().map(Nickname::parse).transpose()?;
    let since: Option<Offset> = asked.since.as_deref().map(str::parse).transpose()?;
    let welcome = {
        let answer = answer.clone();
        move |joined: crate::core::room::Joined| {
            #[derive(Serialize)]
            struct Shown<'a> {
                status: &'static str,
                room: &'a RoomName,
                clients: usize,
                offset: Offset,
                recovered: bool,
            }
            answer.accept(&Shown {
                status: "ok",
                room: &joined.room,
                clients: joined.clients,
                offset: joined.offset,
                recovered: joined.recovered,
            });
        }
    };
    Ok(answer
        .hub
        .join(&answer.client, &room, name, since, welcome)?)
}

fn leave(asked: Named, answer: &Answer) -> Result<(), Invalid> {
    let room = RoomName::parse(&asked.room)?;
    let farewell = {
        let (answer, room) = (answer.clone(), room.clone());
        move || {
            #[derive(Serialize)]
            struct Shown<'a> {
                status: &'static str,
                room: &'a RoomName,
            }
            answer.accept(&Shown {
                status: "ok",
                room: &room,
            });
        }
    };
    Ok(answer.hub.leave(&answer.client, &room, farewell)?)
}

fn notify(asked: Notify, answer: &Answer) -> Result<(), Invalid> {
    let room = RoomName::parse(&asked.room)?;
    let done = {
        let (answer, room) = (answer.clone(), room.clone());
        Box::new(move |published: Result<Offset, Error>| {
            #[derive(Serialize)]
            struct Shown<'a> {
                status: &'static str,
                room: &'a RoomName,
                offset: Offset,
            }
            match published {
                Ok(offset) => answer.accept(&Shown {
                    status: "ok",
                    room: &room,
                    offset,
                }),
                Err(error) => answer.refuse(&error.into()),
            }
        })
    };
    answer.hub.notify(&answer.client, room, asked.message, done);
    Ok(())
}

fn clients(asked: Named, answer: &Answer) -> Result<(), Invalid> {
    #[derive(Serialize)]
    struct Shown<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
        room: &'a RoomName,
        clients: &'a [Nickname],
        total: usize,
    }
    let room = RoomName::parse(&asked.room)?;
    let found = answer.hub.clients_of(&answer.client, &room)?;
    let shown = |status| Shown {
        status,
        room: &room,
        clients: &found.names,
        total: found.total,
    };
    if let Err(reason) = answer.outlet.emit("CLIENTS", &shown(None)) {
        answer.hub.close(&answer.client, reason);
    }
    answer.accept(&shown(Some("ok")));
    Ok(())
}

/// The event's name and its first argument, or `null` where it has none.
fn read(value: &Value) -> Result<(String, &RawValue), Invalid> {
    let Value::Str(text, None) = value else {
        return Err(Invalid::Binary);
    };
    let parts: Vec<&RawValue> = serde_json::from_str(text)?;
    let event = match parts.first() {
        Some(event) => serde_json::from_str(event.get())?,
        None => String::new(),
    };
    Ok((event, parts.get(1).copied().unwrap_or(RawValue::NULL)))
}

/// Arguments come as an object of this form, or as a string that holds one.
fn parse<T: DeserializeOwned>(argument: &RawValue, form: &'static str) -> Result<T, Invalid> {
    let wrong = |error: serde_json::Error| Invalid::Argument {
        form,
        why: error.to_string().into(),
    };
    let text = argument.get();
    let held: String;
    let object = if text.starts_with('"') {
        held = serde_json::from_str(text).map_err(wrong)?;
        held.trim_start()
    } else {
        text
    };
    // serde would take the elements of an array for the fields, in their order.
    if !object.starts_with('{') {
        let why = "this is no object".into();
        return Err(Invalid::Argument { form, why });
    }
    serde_json::from_str(object).map_err(wrong)
}
