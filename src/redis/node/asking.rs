//! Questions to the node whose client has a room to itself, and answers to those of other
//! nodes. Knows where they go, not what they say.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{PART, Running};
use crate::core::error::Error;
use crate::core::name::RoomId;
use crate::core::panics::report;
use crate::redis::job::{Job, Tell};

/// How long another node has for an answer: it only looks at what it has in memory.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How many questions are being answered at once; who asks more waits in vain.
const ANSWERING_MOST: usize = 1_024;

/// What other nodes were asked, and have not answered yet.
#[derive(Default)]
pub(super) struct Asked {
    last: u64,
    open: HashMap<u64, (Tell<String>, Instant)>,
}

impl Asked {
    /// When the next of them has waited for too long.
    pub(super) fn until(&self) -> Option<Instant> {
        self.open.values().map(|(_, until)| *until).min()
    }

    /// Nobody has answered these in time.
    pub(super) fn give_up(&mut self) {
        let now = Instant::now();
        let late = self.open.iter().filter(|(_, (_, until))| *until <= now);
        let late: Vec<_> = late.map(|(number, _)| *number).collect();
        for number in late {
            self.answer(number, Err(Error::Alone));
        }
    }

    fn ask(&mut self, tell: Tell<String>) -> u64 {
        self.last += 1;
        let until = Instant::now() + ANSWER_LIMIT;
        self.open.insert(self.last, (tell, until));
        self.last
    }

    fn answer(&mut self, number: u64, answer: Result<String, Error>) {
        if let Some((tell, _)) = self.open.remove(&number) {
            // Whoever asked may have gone.
            drop(tell.send(answer));
        }
    }
}

impl Running {
    /// Asks whoever has this room, where it is on another node.
    pub(super) fn ask_owner(&mut self, room: RoomId, question: &str, tell: Tell<String>) {
        let number = self.asked.ask(tell);
        let question = format!("{} {number} {question}", self.node.as_str());
        self.jobs.push(Job::Question(room, number, question));
    }

    /// It could not be asked.
    pub(super) fn not_asked(&mut self, number: u64, error: Error) {
        self.asked.answer(number, Err(error));
    }

    /// Another node asks: `NODE NUMBER QUESTION`.
    pub(super) fn question(&mut self, room: &RoomId, text: &str) {
        let mut parts = text.splitn(3, ' ');
        let (Some(node), Some(number), Some(question)) = (parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        if self.answering.len() >= ANSWERING_MOST {
            return;
        }
        if let Some(answer) = self.hub.answer(room, question.to_owned()) {
            let (node, number) = (node.to_owned(), number.to_owned());
            let answer = answer.map(move |answer| {
                let answer = format!("{number} {}", answer?);
                Some(Job::Answer(node, answer))
            });
            let answer = AssertUnwindSafe(answer).catch_unwind().map(|answer| {
                answer.unwrap_or_else(|panic| {
                    report(PART, &*panic);
                    None
                })
            });
            self.answering.push(answer.boxed());
        }
    }

    /// Another node has answered: `NUMBER ANSWER`.
    pub(super) fn answer_came(&mut self, text: &[u8]) {
        let text = std::str::from_utf8(text).ok();
        if let Some((number, answer)) = text.and_then(|text| text.split_once(' '))
            && let Ok(number) = number.parse()
        {
            self.asked.answer(number, Ok(answer.to_owned()));
        }
    }
}
