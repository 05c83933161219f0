//! The outbound half of a raw listener: events as finished frames on the wire.
//! Holds back what would hide the song from an app that has just come.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::target::Shape;
use crate::core::encoded::Format;
use crate::core::event::Event;
use crate::core::name::RoomName;
use crate::core::outlet::{CloseReason, Outlet};
use crate::net::Wire;
use crate::net::frame::{close_frame, text_frame};

const TRACK: Format = Format("raw track");
const EVENT: Format = Format("raw event");

/// How long the first song stays on before an app is told of what is no song.
///
/// The deployed app shows its splash screen until the first frame that is no
/// LINK, and drops what comes within some seconds of it.
const SONG_FIRST: Duration = Duration::from_secs(5);

pub(super) struct RawOutlet {
    wire: Wire,
    shape: Shape,
    /// Something is held back from now on.
    holds: Notify,
    /// Guards what is held back; held until what was let through is sent.
    opening: Mutex<Opening>,
}

#[derive(Default)]
struct Opening {
    /// When the first frame went out.
    first: Option<Instant>,
    held: Option<Bytes>,
}

impl RawOutlet {
    pub(super) fn new(wire: Wire, shape: Shape) -> Self {
        Self {
            wire,
            shape,
            holds: Notify::new(),
            opening: Mutex::default(),
        }
    }

    /// Sends what is held back, once its time has come; then waits for more.
    ///
    /// To be polled for as long as the connection lives. May be dropped at any
    /// point, and called again.
    pub(super) async fn release_in_time(&self) -> Infallible {
        loop {
            let until = {
                let opening = self.opening();
                let first = opening.first.filter(|_| opening.held.is_some());
                first.map(|first| first + SONG_FIRST)
            };
            let Some(until) = until else {
                self.holds.notified().await;
                continue;
            };
            sleep_until(until).await;
            let mut opening = self.opening();
            if let Some(frame) = opening.held.take() {
                // Who is gone or too slow is found out by the next event.
                let _ = self.send(&frame);
            }
        }
    }

    fn send(&self, frame: &Bytes) -> Result<(), CloseReason> {
        self.wire.send(frame).map_err(CloseReason::from)
    }

    /// Whether the event has to wait; then it is held, in place of any other.
    fn holds(&self, opening: &mut Opening, event: &Event, frame: &Bytes) -> bool {
        let Some(first) = opening.first else {
            opening.first = Some(Instant::now());
            return false;
        };
        opening.held = None;
        // Kept as what is on, but not as the last song.
        let is_link = event.publication.retain == ["current"];
        let until = first + SONG_FIRST;
        if !is_link || Instant::now() >= until {
            return false;
        }
        opening.held = Some(frame.clone());
        self.holds.notify_one();
        true
    }

    fn opening(&self) -> MutexGuard<'_, Opening> {
        self.opening.lock().expect("no code panics under this lock")
    }
}

impl Outlet for RawOutlet {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        match self.shape {
            Shape::Event => {
                let frame = event.encoded(EVENT, || text_frame(&[event.json().get()]));
                self.send(&frame)
            }
            Shape::Track => {
                let message = &event.publication.message;
                let frame = event.encoded(TRACK, || text_frame(&[message.get()]));
                // Until it is sent: what was held must not come behind it.
                let mut opening = self.opening();
                if self.holds(&mut opening, event, &frame) {
                    return Ok(());
                }
                self.send(&frame)
            }
        }
    }

    fn prepare(&self) {
        self.wire.prepare();
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        Err(CloseReason::RoomDeleted)
    }

    fn close(&self, reason: CloseReason) {
        let close = close_frame(reason.websocket_code(), reason.code());
        self.wire.close(close);
    }
}
