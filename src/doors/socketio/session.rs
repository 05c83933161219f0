//! A client of the hub behind a socket, and the events that it sends.
//! Knows when they may be handled, not what they mean.

use std::sync::{Arc, Mutex};

use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::Socket;

use super::answer::Answer;
use super::outlet::SocketOutlet;
use super::{lobby, request, room, trigger};
use crate::core::client::Client;
use crate::core::hub::Hub;
use crate::core::namespace::Protocol;
use crate::core::outlet::CloseReason;

/// How many events of one client wait for its CONNECT to be complete.
const HELD_MOST: usize = 64;

/// A client of the hub behind a socket; dropped with the socket, and so the
/// client ends when the engine forgets it, for whatever reason.
pub(super) struct Session {
    hub: Arc<Hub>,
    client: Arc<Client>,
    outlet: Arc<SocketOutlet>,
    /// Guards what came before the engine lets us answer; held while it is
    /// worked off, so that nothing overtakes it.
    gate: Mutex<Gate>,
}

#[derive(Default)]
struct Gate {
    open: bool,
    held: Vec<(Value, Option<i64>)>,
}

impl Session {
    pub(super) fn new(hub: &Arc<Hub>, client: Arc<Client>, outlet: Arc<SocketOutlet>) -> Self {
        Self {
            hub: hub.clone(),
            client,
            outlet,
            gate: Mutex::default(),
        }
    }

    pub(super) fn namespace(&self) -> &str {
        self.outlet.namespace()
    }

    /// The engine lets us answer from here on.
    pub(super) fn opened(&self) {
        let mut gate = self.gate.lock().expect("no code panics under this lock");
        for (value, ack) in std::mem::take(&mut gate.held) {
            self.handle(value, ack);
        }
        gate.open = true;
    }

    /// Where the answer to an event goes.
    pub(super) fn answer(&self, event: String, ack: Option<i64>) -> Answer {
        Answer::new(&self.hub, &self.client, &self.outlet, event, ack)
    }

    fn handle(&self, value: Value, ack: Option<i64>) {
        let (event, arguments) = match request::read(&value) {
            Ok(read) => read,
            Err(invalid) => return self.answer(String::new(), ack).fail(invalid),
        };
        let answer = self.answer(event, ack);
        let handled = match self.outlet.dialect().protocol {
            Protocol::Room => room::handle(&arguments, &answer),
            Protocol::Lobby => lobby::handle(&arguments, &answer),
            Protocol::Trigger => trigger::handle(&arguments, &answer),
        };
        if let Err(invalid) = handled {
            answer.fail(invalid);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Not from here: the last to let go may be who is writing to the client.
        self.hub.forget(&self.client);
    }
}

/// Handles every event of a client, in the order in which it sent them: the
/// engine calls it from the task that reads the connection.
pub(super) struct Dispatch(pub(super) Arc<Session>);

/// Tells this handler from those that socketioxide makes of functions.
pub(super) struct InOrder;

impl MessageHandler<LocalAdapter, InOrder> for Dispatch {
    fn call(&self, _socket: Arc<Socket<LocalAdapter>>, value: Value, ack: Option<i64>) {
        let session = &self.0;
        let mut gate = session.gate.lock().expect("no code panics under this lock");
        if gate.open {
            drop(gate);
            session.handle(value, ack);
        } else if gate.held.len() < HELD_MOST {
            gate.held.push((value, ack));
        } else {
            // Nothing can be answered yet, and nothing is lost without a word.
            session.hub.close(&session.client, CloseReason::TooFast);
        }
    }
}
