//! One subscriber from its first frame to its last: what it asks for, one after the
//! other. Knows the hub, and no publisher.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::oneshot;

use super::Channels;
use super::asked::{self, Ask, Verb};
use super::outlet::PushOutlet;
use super::refusal::Refusal;
use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::hub::Hub;
use crate::core::name::RoomName;
use crate::core::outlet::{CloseReason, Outlet};
use crate::core::source::ClientOrigin;
use crate::doors::{Reader, Silence};
use crate::net::{Message, ProtocolError, ReadError, Upgraded, Wire};

/// The largest message that is read: a channel's name of 128 characters, each
/// written with escapes, and five times what stands around it.
const MESSAGE_MOST: usize = 4 * 1024;

pub(super) async fn serve(channels: &Channels, origin: ClientOrigin, stream: Upgraded, wire: Wire) {
    let Channels { hub, namespace } = channels;
    let outlet = Arc::new(PushOutlet::new(wire.clone()));
    let client = match hub.connect_from(namespace, outlet.clone(), origin) {
        Ok(client) => client,
        Err(_stopping) => return outlet.close(CloseReason::Stopping),
    };
    let _guard = hub.forget_on_panic(&client);
    outlet.introduce(client.id());
    let mut reader = Reader::new(stream, wire, MESSAGE_MOST, Silence::default());
    loop {
        let answered = match reader.next().await {
            Ok(Message::Text(text)) => answer(hub, &client, &outlet, text.as_bytes()).await,
            Ok(Message::Binary(bytes)) => answer(hub, &client, &outlet, &bytes).await,
            Ok(_) => hub.charge(&client).map_err(Refusal::from),
            Err(ReadError::Protocol(ProtocolError::TooBig { .. })) => {
                let why = format!("a message can have {MESSAGE_MOST} bytes at most");
                outlet.refuse(&Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
                hub.close(&client, CloseReason::TooBig);
                break;
            }
            Err(ReadError::Gone | ReadError::Protocol(_)) => break,
        };
        if let Err(refusal) = answered {
            outlet.refuse(&refusal);
        }
        reader.pause_until(client.ready_at());
    }
    hub.disconnect(&client);
}

/// Does what is asked for; whoever has it done is told by its outlet.
async fn answer(
    hub: &Arc<Hub>,
    client: &Arc<Client>,
    outlet: &Arc<PushOutlet>,
    text: &[u8],
) -> Result<(), Refusal> {
    let ask = asked::ask(text).and_then(|ask| {
        check_uuid(client, &ask)?;
        let channel = RoomName::parse(&ask.channel).map_err(Error::from)?;
        Ok((ask, channel))
    });
    let (ask, channel) = match ask {
        Ok(ask) => ask,
        Err(refusal) => {
            hub.charge(client)?;
            return Err(refusal);
        }
    };
    let (done, answered) = oneshot::channel();
    let outlet = outlet.clone();
    match ask.verb {
        Verb::Subscribe => {
            let name = client.id().guest_name();
            hub.join(client, &channel, Some(name), None, move |joined| {
                let subscribed = joined.map(|joined| outlet.subscribed(&joined.room));
                // Whoever waits for it may be gone.
                let _ = done.send(subscribed);
            })?;
        }
        Verb::Unsubscribe => {
            let left = hub.leave(client, &channel, {
                let (outlet, channel) = (outlet.clone(), channel.clone());
                move || {
                    outlet.unsubscribed(&channel);
                    // As above.
                    let _ = done.send(Ok(()));
                }
            });
            match left {
                // It is as asked for.
                Err(Error::NotInRoom(_)) => outlet.unsubscribed(&channel),
                left => left?,
            }
        }
    }
    // Channels answer each in its own time: the next one has to wait, so that
    // answers come in the order of what was asked.
    Ok(answered.await.unwrap_or(Ok(()))?)
}

/// Who says whose message it is has to be that one.
fn check_uuid(client: &Client, ask: &Ask) -> Result<(), Refusal> {
    let own = client.id().to_string();
    match &ask.uuid {
        Some(uuid) if !uuid.eq_ignore_ascii_case(&own) => {
            let why = "the uuid is not that of this connection";
            Err(Refusal::new(StatusCode::FORBIDDEN, why))
        }
        _ => Ok(()),
    }
}
