//! Property tests of what publishers and subscribers send.

use super::asked::{Action, CreateChannel, DeleteChannel, PingChannel, PushMessage, action, ask};
use super::refusal::Refusal;
use crate::fuzz::{self, Case, Format};

/// The size of a request's action, or of its refusal.
fn size<A: Action>(body: &[u8], size: impl FnOnce(A) -> Result<usize, Refusal>) -> usize {
    match action(body).and_then(size) {
        Ok(size) => size,
        Err(refusal) => refusal.json().len(),
    }
}

#[test]
fn fuzz_push_messages() {
    let uuid = "3f2c1b0a-0000-4000-8000-000000000000";
    let create = r#"{"messageType":"SERVER_ACTION","action":"CREATE_CHANNEL","data":{"channel":"news","retain":true,"history":5,"x":[1]}}"#;
    let ping = r#"{"messageType":"SERVER_ACTION","action":"PING_CHANNEL","data":{"channel":"news","channelToken":null}}"#;
    let delete = ping.replace("PING", "DELETE").replace("null", r#""t""#);
    let push = format!(
        r#"{{"messageType":"SERVER_ACTION","action":"PUSH_MESSAGE","data":{{"channel":"news","channelToken":"t","recipients":["{uuid}"],"message":"x","messageJson":null}}}}"#
    );
    let subscribe = format!(
        r#"{{"messageType":"CLIENT_ACTION","action":"SUBSCRIBE","uuid":"{uuid}","data":{{"channel":"news"}}}}"#
    );
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "null",
        "true",
        "{\"a\":",
        "\"channel\":\"",
        "\"history\":",
        "\"histroy\":1",
        "\"data\":",
        "\"message\":",
        "\"messageJson\":",
        "\"recipients\":[]",
        "\"SUBSCRIBE\"",
        "CLIENT_ACTION",
        "\"action\":\"PUSH_MESSAGE\"",
        "\\u0041",
        "\\",
        "1.5",
        uuid,
    ];
    let documents = [create, ping, &delete, &push, &subscribe];
    let format = Format::text("push JSON", &documents, &tokens);
    let read = |case: &Case| {
        let body = &case.bytes;
        let asked = ask(body).map(|ask| ask.channel.len());
        [
            size(body, |create: CreateChannel| {
                create.wanted()?;
                Ok(create.channel.len())
            }),
            size(body, |ping: PingChannel| Ok(ping.channel.len())),
            size(body, |delete: DeleteChannel| Ok(delete.channel.len())),
            size(body, |mut push: PushMessage| {
                let ids = push.recipients.len() * size_of::<crate::core::client::ClientId>();
                Ok(push.take_message()?.get().len() + ids)
            }),
            asked.unwrap_or_else(|refusal| refusal.json().len()),
        ]
        .into_iter()
        .max()
        .unwrap_or_default()
    };
    // A refusal may quote the input, escaped twice.
    fuzz::run(&format, |input| 12 * input + 1_024, read);
}
