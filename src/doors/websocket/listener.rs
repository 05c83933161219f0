//! One raw WebSocket from its first frame to its last: joins, and reads what
//! nobody looks at. Knows no event.

use std::sync::Arc;

use axum::http::StatusCode;
use tracing::debug;

use super::outlet::RawOutlet;
use super::target::Target;
use crate::core::error::Error;
use crate::core::hub::Hub;
use crate::core::outlet::CloseReason;
use crate::core::source::ClientOrigin;
use crate::doors::{Reader, Silence, status_of};
use crate::net::frame::close_frame;
use crate::net::{ProtocolError, ReadError, Upgraded, Wire};

/// The largest message that is read, for nothing: apps send none.
const MESSAGE_MOST: usize = 4 * 1024;

pub(super) async fn serve(
    hub: &Arc<Hub>,
    target: Target,
    origin: ClientOrigin,
    stream: Upgraded,
    wire: Wire,
) {
    let outlet = Arc::new(RawOutlet::new(wire.clone(), target.shape));
    let client = match hub.connect_from(&target.namespace, outlet.clone(), origin) {
        Ok(client) => client,
        Err(_stopping) => {
            let reason = CloseReason::Stopping;
            return wire.close(close_frame(reason.websocket_code(), reason.code()));
        }
    };
    let _guard = hub.forget_on_panic(&client);
    let name = client.id().guest_name();
    let refuse = {
        let (wire, room) = (wire.clone(), target.room.clone());
        move |refused: Error| {
            debug!(%refused, %room, "a raw listener can't join");
            wire.close(close_frame(code_of(&refused), refused.code()));
        }
    };
    let welcome = {
        let refuse = refuse.clone();
        move |joined: Result<_, _>| drop(joined.map_err(refuse))
    };
    if let Err(refused) = hub.join(&client, &target.room, Some(name), None, welcome) {
        refuse(refused);
    }
    let mut reader = Reader::new(stream, wire, MESSAGE_MOST, Silence::default());
    loop {
        tokio::select! {
            read = reader.next() => match read {
                Ok(_) => {
                    // A client that is closing is read to its end.
                    let _ = hub.charge(&client);
                    reader.pause_until(client.ready_at());
                }
                Err(ReadError::Protocol(ProtocolError::TooBig { .. })) => {
                    hub.close(&client, CloseReason::TooBig);
                    break;
                }
                Err(ReadError::Gone | ReadError::Protocol(_)) => break,
            },
            _ = outlet.release_in_time() => {}
        }
    }
    hub.disconnect(&client);
}

/// Why a listener can't join: there is no such room, or it takes nobody right now
/// (RFC 6455's registry: 1013, "try again later").
fn code_of(refused: &Error) -> u16 {
    match status_of(refused) {
        StatusCode::NOT_FOUND => CloseReason::RoomDeleted.websocket_code(),
        _ => 1013,
    }
}
