//! How a track is known again that several nodes are told: a feed may go to each of
//! them. Knows no room and no node.

use std::collections::VecDeque;

use ring::digest::{Context, SHA256};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::core::event::Same;

/// How many of the last messages are remembered: a studio may correct an item, and take
/// that back, a few times.
const RECENT_MOST: usize = 32;

/// What this node was told lately to publish in one room.
#[derive(Default)]
pub(super) struct Said {
    recent: VecDeque<Box<RawValue>>,
}

impl Said {
    /// What the message has in common with the same one at another node. What comes for
    /// the second time here is not what came for the first time there.
    pub(super) fn again(&mut self, message: &RawValue) -> Same {
        let said = self.recent.iter();
        let times = said.filter(|said| said.get() == message.get()).count();
        if self.recent.len() >= RECENT_MOST {
            self.recent.pop_front();
        }
        self.recent.push_back(message.to_owned());
        Same {
            id: id(&["said", message.get(), &times.to_string()]),
            begins_anew: false,
        }
    }

    /// The same of what says that this message is over: told anew, it is new.
    pub(super) fn over(&mut self, message: &RawValue) -> Same {
        self.recent.clear();
        Same {
            id: id(&["over", message.get()]),
            begins_anew: true,
        }
    }
}

/// The first half of the parts' SHA-256: what is the same has the same, wherever it is
/// made.
fn id(parts: &[&str]) -> Uuid {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part.as_bytes());
        context.update(b"\0");
    }
    let digest = context.finish();
    let half = digest.as_ref().first_chunk().copied();
    Uuid::from_bytes(half.expect("SHA-256 is longer than 16 bytes"))
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn two_nodes_agree_on_what_is_the_same_and_on_what_comes_again() {
        let tell = |said: &mut Said, title: &str| said.again(&to_raw_value(title).unwrap()).id;
        let (mut one, mut other) = (Said::default(), Said::default());
        let titles = ["wrong", "right", "wrong", "next"];
        let told: Vec<_> = titles.iter().map(|title| tell(&mut one, title)).collect();
        let again: Vec<_> = titles.iter().map(|title| tell(&mut other, title)).collect();
        assert_eq!(told, again);
        assert_ne!(
            told[0], told[2],
            "taken back is not said for the first time"
        );
        let over = |said: &mut Said| said.over(&to_raw_value("next").unwrap());
        assert_eq!(over(&mut one), over(&mut other));
        assert_eq!(tell(&mut one, "next"), tell(&mut Said::default(), "next"));
    }
}
