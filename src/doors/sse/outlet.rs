//! The outbound half of an SSE listener: events as finished blocks of text, in a
//! bounded queue that the response takes them from.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::core::encoded::Format;
use crate::core::event::Event;
use crate::core::name::RoomName;
use crate::core::outlet::{CloseReason, OUTLET_QUEUE, Outlet};

const BLOCK: Format = Format("server-sent event");

pub(super) struct SseOutlet {
    /// Guards the way to the response: none once it is closed.
    blocks: Mutex<Option<Sender<Bytes>>>,
}

impl SseOutlet {
    pub(super) fn new() -> (Self, Receiver<Bytes>) {
        let (sender, receiver) = channel(OUTLET_QUEUE);
        let blocks = Mutex::new(Some(sender));
        (Self { blocks }, receiver)
    }

    /// Sends what is no event of the room.
    pub(super) fn say(&self, block: String) {
        // Who is gone or too slow is found out by the next event.
        let _ = self.send(block.into());
    }

    fn send(&self, block: Bytes) -> Result<(), CloseReason> {
        let blocks = self.blocks.lock().expect("no code panics under this lock");
        let blocks = blocks.as_ref().ok_or(CloseReason::Gone)?;
        blocks.try_send(block).map_err(|untaken| match untaken {
            TrySendError::Full(_) => CloseReason::TooSlow,
            TrySendError::Closed(_) => CloseReason::Gone,
        })
    }
}

impl Outlet for SseOutlet {
    fn deliver(&self, event: &Arc<Event>) -> Result<(), CloseReason> {
        let block = event.encoded(BLOCK, || block(event));
        self.send(block.into_owned())
    }

    fn lost(&self, _: &RoomName) -> Result<(), CloseReason> {
        Err(CloseReason::RoomDeleted)
    }

    fn close(&self, reason: CloseReason) {
        // No event called `error`: EventSource has one of its own.
        let code = reason.code();
        self.say(format!("event: closed\ndata: {{\"code\":\"{code}\"}}\n\n"));
        let mut blocks = self.blocks.lock().expect("no code panics under this lock");
        // The response ends behind what is queued.
        *blocks = None;
    }
}

/// An event with its offset, if it has one, as its id. A line of the message is one here: a
/// message may have line breaks between its parts.
fn block(event: &Event) -> Bytes {
    let place = event.place();
    let mut block = place.map_or_else(String::new, |offset| format!("id: {offset}\n"));
    for line in event.json().get().split(['\n', '\r']) {
        block.push_str("data: ");
        block.push_str(line);
        block.push('\n');
    }
    block.push('\n');
    block.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{Kind, Publication, To};
    use crate::core::name::{NamespaceName, Nickname};

    fn written(to: To, text: &str) -> String {
        let publication = Publication {
            namespace: NamespaceName::parse("/n").unwrap(),
            room: RoomName::parse("r").unwrap(),
            kind: Kind::Message,
            sender: Nickname::http(),
            to,
            message: serde_json::value::RawValue::from_string(text.into()).unwrap(),
            origin: None,
            retain: Vec::new(),
            token: None,
            id: None,
            same: None,
        };
        let offset = "abcdefghijkl-7".parse().unwrap();
        let event = Event::new(publication, offset, chrono::Utc::now());
        String::from_utf8(block(&event).to_vec()).unwrap()
    }

    #[test]
    fn a_message_may_have_line_breaks() {
        let block = written(To::Everybody, "{\"a\":\r\n 1,\n\"b\": \"\\n\"}");
        let (id, rest) = block.split_once('\n').unwrap();
        assert_eq!(id, "id: abcdefghijkl-7");
        let data = rest.strip_suffix("\n\n").unwrap().lines();
        let data: String = data
            .map(|line| line.strip_prefix("data: ").unwrap())
            .collect();
        let told: serde_json::Value = serde_json::from_str(&data).unwrap();
        assert_eq!(told["message"], serde_json::json!({"a": 1, "b": "\n"}));
    }

    #[test]
    fn what_is_for_some_has_no_id_to_go_on_from() {
        let block = written(To::These(Arc::new([])), "1");
        assert!(block.starts_with("data: {"), "{block}");
        assert!(!block.contains("id: "), "{block}");
    }
}
