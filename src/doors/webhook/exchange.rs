//! What a client sends, given to the backend one message after the other, while the
//! connection lasts. Knows neither how it began nor what is said of its end.

use std::pin::Pin;
use std::sync::Arc;

use axum::http::Method;
use futures_util::future::OptionFuture;
use tracing::warn;

use super::Webhook;
use super::call::Unanswered;
use super::connection::{Accepted, call};
use super::connections::Connection;
use super::outlet::Way;
use super::protocol;
use super::waiting::{Message, Waiting};
use crate::core::client::Client;
use crate::core::outlet::CloseReason;
use crate::doors::{Reader, Silence};
use crate::net::{Message as Received, ProtocolError, ReadError, Upgraded};

/// Gives what the client sends to the backend, one message after the other, until
/// the client is gone or closed and all that it sent before is delivered; or can't be.
pub(super) async fn exchange(
    door: &Webhook,
    accepted: &Accepted,
    client: &Arc<Client>,
    connection: &Connection,
    mut stream: Upgraded,
    way: Way,
) {
    let silence = Silence {
        ping_every: door.backend.settings().ping_every(),
        unanswered: 1,
    };
    if door.is_wsaas {
        // WSAAS drops messages that are too long, and the client stays connected.
        stream.skip_too_big();
    }
    let mut reader = Reader::new(stream, way.wire, door.message_most, silence);
    let mut waiting = Waiting::new(door.waiting.clone());
    let mut delivering: Option<Delivery<'_>> = None;
    let (mut ended, mut in_vain) = (false, false);
    loop {
        if delivering.is_none() {
            let next = waiting.front().cloned();
            delivering = next.map(|message| deliver(door, accepted, message));
        }
        if (ended || in_vain) && delivering.is_none() {
            return;
        }
        tokio::select! {
            read = reader.next(), if !ended && waiting.has_room() => match read {
                Ok(_) if in_vain => {}
                Ok(Received::Text(text)) => waiting.push(Message {
                    body: text.into(),
                    is_text: true,
                }),
                Ok(Received::Binary(body)) => waiting.push(Message {
                    body: body.into(),
                    is_text: false,
                }),
                Ok(Received::Skipped) => {
                    if let Some(count) = door.tally.due("too big") {
                        warn!(connection = accepted.place.id.short(), count, "dropped a client's message that is too long");
                    }
                    metrics::counter!("roomcast_refused_total", "door" => "webhook", "reason" => "too_big").increment(1);
                }
                Ok(_) => {
                    // A client that is closing is read to its end.
                    let _ = door.hub.charge(client);
                    reader.pause_until(client.ready_at());
                }
                Err(why) => {
                    if matches!(why, ReadError::Protocol(ProtocolError::TooBig { .. })) {
                        door.hub.close(client, CloseReason::TooBig);
                    }
                    // What it has said may take its time yet; it hears nothing more.
                    connection.end();
                    accepted.place.forget();
                    ended = true;
                }
            },
            Some(delivered) = OptionFuture::from(delivering.as_mut()) => {
                delivering = None;
                waiting.pop();
                if let Err(Unanswered::Status(status)) = &delivered && !status.is_server_error() {
                    if let Some(count) = door.tally.due("not wanted") {
                        let status = status.as_u16();
                        warn!(connection = accepted.place.id.short(), count, status, "the backend refused a client's message");
                    }
                    metrics::counter!("roomcast_webhook_refused_messages_total").increment(1);
                } else if let Err(why) = delivered {
                    if let Some(count) = door.tally.due("undelivered") {
                        warn!(connection = accepted.place.id.short(), count, %why, "could not deliver a client's message to the backend");
                    }
                    metrics::counter!("roomcast_webhook_undelivered_total").increment(1);
                    door.hub.close(client, CloseReason::Undeliverable);
                    // At once: what comes behind it may not be delivered instead.
                    connection.end();
                    accepted.place.forget();
                    waiting.clear();
                    in_vain = true;
                }
            }
            () = way.closed.cancelled(), if !in_vain => {
                connection.end();
                accepted.place.forget();
                in_vain = true;
            }
        }
    }
}

type Delivery<'a> = Pin<Box<dyn Future<Output = Result<(), Unanswered>> + Send + 'a>>;

fn deliver<'a>(door: &'a Webhook, accepted: &Accepted, message: Message) -> Delivery<'a> {
    let Accepted { place, peer, .. } = accepted;
    let content_type = protocol::media_type(&message.body, message.is_text, door.is_wsaas);
    let call = call(door, place, peer, Method::PUT, content_type, message.body);
    Box::pin(async move { door.backend.deliver(&call).await })
}
