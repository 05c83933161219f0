//! The namespace `/`, where nothing happens: whoever asks for something there
//! has forgotten to name a namespace, and is told so.

use std::sync::Arc;

use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, MessageHandler, Value};
use socketioxide::socket::Socket;

use super::link_of;
use super::outlet::{Problem, acknowledge, close_reason};
use super::session::InOrder;

/// Opens `/`: every EIO 3 client is connected to it before it asks for more.
#[derive(Clone)]
pub(super) struct Root {
    /// Told to whoever sends an event here.
    pub(super) advice: Arc<str>,
}

impl ConnectHandler<LocalAdapter, ()> for Root {
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, _auth: Option<Value>) {
        socket.on_fallback(Advise(self.advice.clone()));
        if let Some(link) = link_of(&socket) {
            link.answered("/", true);
        }
    }
}

struct Advise(Arc<str>);

impl MessageHandler<LocalAdapter, InOrder> for Advise {
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, _event: Value, ack: Option<i64>) {
        let problem = Problem {
            code: "unknown_namespace",
            message: &self.0,
        };
        // Whoever does not read the answer misses nothing else.
        let _ = match ack {
            Some(_) => acknowledge(&socket, ack, &problem.as_answer()),
            None => socket
                .emit("ERROR", &problem.as_event(None))
                .map_err(close_reason),
        };
    }
}
