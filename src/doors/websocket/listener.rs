//! One raw WebSocket from its first frame to its last: joins, pings, and reads
//! what nobody looks at. Knows no event.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::debug;

use super::outlet::RawOutlet;
use super::target::Target;
use crate::core::hub::Hub;
use crate::core::outlet::CloseReason;
use crate::net::frame::{close_frame, ping_frame};
use crate::net::{Upgraded, Wire};

/// How often the server asks whether a listener is there. Under the minute after
/// which proxies close what is silent; the same as Socket.IO's here.
pub const PING_EVERY: Duration = Duration::from_secs(25);

/// How many pings in a row may stay without a word of the listener.
const PINGS_UNANSWERED: u32 = 2;

/// The largest message that is read, for nothing: apps send none.
const MESSAGE_MOST: usize = 4 * 1024;

/// How much is read at once: a ping, a pong or a close frame.
const READ_BYTES: usize = 256;

/// How long a listener is not read that writes too much.
const TOO_FAST: Duration = Duration::from_secs(1);

pub(super) async fn serve(hub: &Arc<Hub>, target: Target, stream: Upgraded, wire: Wire) {
    let outlet = Arc::new(RawOutlet::new(wire.clone(), target.shape));
    let client = match hub.connect(&target.namespace, outlet.clone()) {
        Ok(client) => client,
        Err(_stopping) => {
            let reason = CloseReason::Stopping;
            return wire.close(close_frame(reason.websocket_code(), reason.code()));
        }
    };
    let name = client.id().guest_name();
    if let Err(refused) = hub.join(&client, &target.room, Some(name), None, |_| ()) {
        debug!(%refused, room = %target.room, "a raw listener can't join");
        wire.close(close_frame(TRY_LATER, refused.code()));
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_MOST))
        .max_frame_size(Some(MESSAGE_MOST));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 0;
    loop {
        tokio::select! {
            read = socket.next() => match read {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {
                    unanswered = 0;
                    if hub.misunderstood(&client).is_err() {
                        sleep(TOO_FAST).await;
                    }
                }
            },
            _ = outlet.release_in_time() => {}
            _ = ping.tick() => {
                if unanswered == PINGS_UNANSWERED || wire.send(&ping_frame()).is_err() {
                    wire.kill();
                    break;
                }
                unanswered += 1;
            }
        }
    }
    hub.disconnect(&client);
}

/// The room takes nobody right now (RFC 6455's registry: 1013, "try again later").
const TRY_LATER: u16 = 1013;
