//! What publishers and subscribers are answered and sent, written. Pure: knows no
//! connection, and not which channels there are.

use axum::http::StatusCode;
use serde::Serialize;

use crate::core::client::ClientId;
use crate::core::event::Event;
use crate::core::name::RoomName;

/// What a publisher is answered of a channel.
pub(super) fn server_ack(message: &str, channel: &RoomName, token: Option<&str>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data<'a> {
        channel: &'a RoomName,
        channel_token: Option<&'a str>,
    }
    let channel_token = token;
    let data = Data {
        channel,
        channel_token,
    };
    written("SERVER_ACK", StatusCode::OK, message, data)
}

/// Who a subscriber is and what it hears: the part that all of its messages share,
/// open at its end.
pub(super) fn subscriber(uuid: ClientId, channels: &[RoomName]) -> String {
    let channels = serde_json::to_string(channels).expect("strings always serialize");
    format!(r#""data":{{"uuid":"{uuid}","subscribedChannels":{channels}"#)
}

/// The parts of CLIENT_ACK around [`subscriber`].
pub(super) const CLIENT_ACK: (&str, &str) = (
    r#"{"messageType":"CLIENT_ACK","code":200,"message":"Connected","#,
    "}}",
);

/// What stands before [`subscriber`] in CLIENT_PUSH.
pub(super) const CLIENT_PUSH: &str =
    r#"{"messageType":"CLIENT_PUSH","code":200,"message":"Push Message","#;

/// What stands behind [`subscriber`] in CLIENT_PUSH: the same for everybody.
pub(super) fn push_message(event: &Event) -> String {
    let said = &event.publication;
    let channel = serde_json::to_string(&said.room).expect("strings always serialize");
    let message = said.message.get();
    format!(r#","pushMessage":{{"channel":{channel},"message":{message}}}}}}}"#)
}

/// A message of the server, as all of them are.
pub(super) fn written(
    message_type: &str,
    code: StatusCode,
    message: &str,
    data: impl Serialize,
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Written<'a, T> {
        message_type: &'a str,
        code: u16,
        message: &'a str,
        data: T,
    }
    let code = code.as_u16();
    let written = Written {
        message_type,
        code,
        message,
        data,
    };
    serde_json::to_string(&written).expect("strings and numbers always serialize")
}
