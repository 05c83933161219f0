//! What publishers and subscribers ask for, read: each message strictly, since what is
//! misread can't be asked back. Pure: knows no connection, and no channels.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::{RawValue, Value};
use strsim::osa_distance;

use super::refusal::Refusal;
use crate::core::client::ClientId;
use crate::core::terms::Wanted;

/// What a publisher asks for: `data` of a request's body.
pub(super) trait Action: DeserializeOwned {
    /// The word for it.
    const NAME: &'static str;
}

/// `POST /channel/create`.
#[derive(Debug, Deserialize)]
pub(super) struct CreateChannel {
    pub(super) channel: String,
    retain: Option<bool>,
    history: Option<Value>,
    /// Clients of the original may send what means nothing.
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

impl CreateChannel {
    /// What the channel is to keep.
    ///
    /// # Errors
    /// It is no number, or something is almost called so: it would not be kept, and
    /// can't be changed later.
    pub(super) fn wanted(&self) -> Result<Wanted, Refusal> {
        const SLIP_MOST: usize = 2;
        for name in self.others.keys() {
            let length = name.chars().count();
            let is_near = |right: &&str| {
                right.len().abs_diff(length) <= SLIP_MOST && osa_distance(right, name) <= SLIP_MOST
            };
            if let Some(right) = ["retain", "history"].into_iter().find(is_near) {
                let why = format!("`data`: `{name}` means nothing; did you mean `{right}`?");
                return Err(Refusal::bad(why));
            }
        }
        let number = |given: &Value| given.as_u64().and_then(|n| usize::try_from(n).ok());
        let history = self.history.as_ref().map(number);
        if history == Some(None) {
            return Err(Refusal::bad("`data`: `history` has to be a whole number"));
        }
        Ok(Wanted {
            retain: self.retain,
            history: history.flatten(),
        })
    }
}

/// `POST /channel/ping`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PingChannel {
    pub(super) channel: String,
    #[serde(deserialize_with = "there_or_null")]
    pub(super) channel_token: Option<String>,
}

/// `POST /channel/delete`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteChannel {
    pub(super) channel: String,
    #[serde(deserialize_with = "there_or_null")]
    pub(super) channel_token: Option<String>,
}

/// `POST /push`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PushMessage {
    pub(super) channel: String,
    #[serde(deserialize_with = "there_or_null")]
    pub(super) channel_token: Option<String>,
    /// Nobody named: everybody.
    pub(super) recipients: Vec<ClientId>,
    #[serde(default, deserialize_with = "as_it_came")]
    message: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "as_it_came")]
    message_json: Option<Box<RawValue>>,
}

impl Action for CreateChannel {
    const NAME: &'static str = "CREATE_CHANNEL";
}

impl Action for PingChannel {
    const NAME: &'static str = "PING_CHANNEL";
}

impl Action for DeleteChannel {
    const NAME: &'static str = "DELETE_CHANNEL";
}

impl Action for PushMessage {
    const NAME: &'static str = "PUSH_MESSAGE";
}

impl PushMessage {
    /// What is pushed: a string, or any JSON.
    ///
    /// # Errors
    /// There is neither, or both, or `message` is no string.
    pub(super) fn take_message(&mut self) -> Result<Box<RawValue>, Refusal> {
        match (self.message.take(), self.message_json.take()) {
            // Many write what is not there as null.
            (text, Some(null)) if null.get() == NULL && text.is_some() => {
                self.message = text;
                self.take_message()
            }
            (Some(null), Some(json)) if null.get() == NULL => Ok(json),
            (Some(text), None) if text.get().starts_with('"') => Ok(text),
            (Some(_), None) => Err(Refusal::bad(
                "`message` has to be a string; any JSON goes as `messageJson`",
            )),
            (None, Some(json)) => Ok(json),
            _ => Err(Refusal::bad(
                "give one of `message` (a string) and `messageJson` (any JSON)",
            )),
        }
    }
}

const NULL: &str = "null";

fn there_or_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(value)
}

/// Also where it is `null`.
fn as_it_came<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(value).map(Some)
}

/// Reads the body of a publisher's request.
///
/// # Errors
/// It is not JSON, or not this route's message.
pub(super) fn action<A: Action>(body: &[u8]) -> Result<A, Refusal> {
    data(&envelope(body, "SERVER_ACTION", &[A::NAME])?)
}

/// What a subscriber asks for.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) verb: Verb,
    pub(super) channel: String,
    /// Who it says it is.
    pub(super) uuid: Option<String>,
}

/// What a subscriber wants of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Subscribe,
    Unsubscribe,
}

/// Reads what a subscriber sends.
///
/// # Errors
/// It is not JSON, or no message of a subscriber.
pub(super) fn ask(text: &[u8]) -> Result<Ask, Refusal> {
    #[derive(Deserialize)]
    struct Data {
        channel: String,
    }
    const SUBSCRIBE: &str = "SUBSCRIBE";
    let envelope = envelope(text, "CLIENT_ACTION", &[SUBSCRIBE, "UNSUBSCRIBE"])?;
    let data: Data = data(&envelope)?;
    Ok(Ask {
        verb: match envelope.action.as_str() {
            SUBSCRIBE => Verb::Subscribe,
            _ => Verb::Unsubscribe,
        },
        channel: data.channel,
        uuid: envelope.uuid,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    message_type: String,
    action: String,
    uuid: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
}

fn envelope<'a>(
    text: &'a [u8],
    message_type: &str,
    actions: &[&str],
) -> Result<Envelope<'a>, Refusal> {
    let text = serde_json::from_slice(text).map_err(Refusal::bad)?;
    let envelope: Envelope<'a> = members(text).map_err(Refusal::bad)?;
    if envelope.message_type != message_type {
        return Err(Refusal::bad(format!(
            "`messageType` has to be {message_type} here"
        )));
    }
    if !actions.contains(&envelope.action.as_str()) {
        let actions = actions.join(" or ");
        return Err(Refusal::bad(format!("`action` has to be {actions} here")));
    }
    Ok(envelope)
}

fn data<'a, T: Deserialize<'a>>(envelope: &Envelope<'a>) -> Result<T, Refusal> {
    members(envelope.data).map_err(|why| Refusal::bad(format!("`data`: {why}")))
}

/// Reads an object. Serde would take a list for one as well, by the order in which
/// we happen to have its members.
fn members<'a, T: Deserialize<'a>>(text: &'a RawValue) -> Result<T, String> {
    if !text.get().starts_with('{') {
        return Err("this has to be an object".to_owned());
    }
    serde_json::from_str(text.get()).map_err(|error| error.to_string())
}
