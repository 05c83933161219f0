//! What publishers and subscribers ask for, read: each message strictly, since what is
//! misread can't be asked back. Pure: knows no connection, and no channels.

use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::core::client::ClientId;
use crate::core::terms::Wanted;
use crate::doors::{FieldError, Fields, parse_json};
use crate::hint::slip;

/// What a publisher asks for: `data` of a request's body.
pub(super) trait Action: Sized {
    /// The word for it.
    const NAME: &'static str;

    /// Parses `data`.
    fn parse(data: Fields) -> Result<Self, FieldError>;
}

const CHANNEL: &str = "channel";
const CHANNEL_TOKEN: &str = "channelToken";
const TEXT: &str = "a string";

/// `POST /channel/create`.
#[derive(Debug)]
pub(super) struct CreateChannel {
    pub(super) channel: String,
    retain: Option<bool>,
    history: Option<usize>,
    /// The other fields: clients of the original server may send fields without a meaning.
    others: Fields,
}

impl CreateChannel {
    /// What the channel is to keep.
    ///
    /// # Errors
    /// A field is a typing error of `retain` or `history`: without it the channel would keep
    /// nothing, and its terms can't be changed later.
    pub(super) fn wanted(&self) -> Result<Wanted, Refusal> {
        for name in self.others.names() {
            if let Some(right) = slip(name, ["retain", "history"]) {
                let why = format!("`data`: there is no field `{name}`; did you mean `{right}`?");
                return Err(Refusal::bad(why));
            }
        }
        Ok(Wanted {
            retain: self.retain,
            history: self.history,
        })
    }
}

/// `POST /channel/ping`.
#[derive(Debug)]
pub(super) struct PingChannel {
    pub(super) channel: String,
    pub(super) channel_token: Option<String>,
}

/// `POST /channel/delete`.
#[derive(Debug)]
pub(super) struct DeleteChannel {
    pub(super) channel: String,
    pub(super) channel_token: Option<String>,
}

/// `POST /push`.
#[derive(Debug)]
pub(super) struct PushMessage {
    pub(super) channel: String,
    pub(super) channel_token: Option<String>,
    /// Nobody named: everybody.
    pub(super) recipients: Vec<ClientId>,
    message: Option<Box<RawValue>>,
    message_json: Option<Box<RawValue>>,
}

impl Action for CreateChannel {
    const NAME: &'static str = "CREATE_CHANNEL";

    fn parse(mut data: Fields) -> Result<Self, FieldError> {
        Ok(Self {
            channel: data.required(CHANNEL, TEXT)?,
            retain: data.optional("retain", "true or false")?,
            history: data.optional("history", "a whole number")?,
            others: data,
        })
    }
}

impl Action for PingChannel {
    const NAME: &'static str = "PING_CHANNEL";

    fn parse(mut data: Fields) -> Result<Self, FieldError> {
        Ok(Self {
            channel: data.required(CHANNEL, TEXT)?,
            channel_token: token(&mut data)?,
        })
    }
}

impl Action for DeleteChannel {
    const NAME: &'static str = "DELETE_CHANNEL";

    fn parse(mut data: Fields) -> Result<Self, FieldError> {
        Ok(Self {
            channel: data.required(CHANNEL, TEXT)?,
            channel_token: token(&mut data)?,
        })
    }
}

impl Action for PushMessage {
    const NAME: &'static str = "PUSH_MESSAGE";

    fn parse(mut data: Fields) -> Result<Self, FieldError> {
        Ok(Self {
            channel: data.required(CHANNEL, TEXT)?,
            channel_token: token(&mut data)?,
            recipients: data.required("recipients", "a list of UUIDs")?,
            message: data.take("message")?,
            message_json: data.take("messageJson")?,
        })
    }
}

/// Takes the token, which is required and may be null.
fn token(data: &mut Fields) -> Result<Option<String>, FieldError> {
    data.required(CHANNEL_TOKEN, "a string or null")
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

/// Reads the body of a publisher's request.
///
/// # Errors
/// It is not JSON, or not this route's message.
pub(super) fn action<A: Action>(body: &[u8]) -> Result<A, Refusal> {
    let envelope = envelope(body, "SERVER_ACTION", &[A::NAME])?;
    A::parse(envelope.data).map_err(in_data)
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
    const SUBSCRIBE: &str = "SUBSCRIBE";
    let mut envelope = envelope(text, "CLIENT_ACTION", &[SUBSCRIBE, "UNSUBSCRIBE"])?;
    Ok(Ask {
        verb: match envelope.action.as_str() {
            SUBSCRIBE => Verb::Subscribe,
            _ => Verb::Unsubscribe,
        },
        channel: envelope.data.required(CHANNEL, TEXT).map_err(in_data)?,
        uuid: envelope.uuid,
    })
}

struct Envelope {
    action: String,
    uuid: Option<String>,
    data: Fields,
}

fn envelope(text: &[u8], message_type: &str, actions: &[&str]) -> Result<Envelope, Refusal> {
    let mut envelope = Fields::of("a message", parse_json(text)?)?;
    let sent: String = envelope.required("messageType", message_type)?;
    if sent != message_type {
        return Err(FieldError::wrong("`messageType`", message_type, &sent).into());
    }
    let wanted = actions.join(" or ");
    let action: String = envelope.required("action", &wanted)?;
    if !actions.contains(&action.as_str()) {
        return Err(FieldError::wrong("`action`", &wanted, &action).into());
    }
    Ok(Envelope {
        action,
        uuid: envelope.optional("uuid", TEXT)?,
        data: envelope.object("data")?,
    })
}

fn in_data(why: FieldError) -> Refusal {
    Refusal::bad(format!("`data`: {why}"))
}
