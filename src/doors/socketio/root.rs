//! The namespace `/`, which has no rooms. A client that sends an event here has forgotten to name a
//! namespace; the answer lists the namespaces.

use std::sync::Arc;

use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, MessageHandler, Value};
use socketioxide::socket::Socket;

use super::answer::EVENT_SHOWN;
use super::link_of;
use super::outlet::{Problem, acknowledge, close_reason};
use super::request;
use super::session::InOrder;

/// The code of the answer to an event in `/`.
const NO_NAMESPACE: &str = "no_namespace";

/// Opens `/`: every EIO 3 client is connected to it before it asks for more.
#[derive(Clone)]
pub(super) struct Root {
    /// The namespaces, separated by commas.
    pub(super) namespaces: Arc<str>,
}

impl ConnectHandler<LocalAdapter, ()> for Root {
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, _auth: Option<Value>) {
        socket.on_fallback(Advise(self.namespaces.clone()));
        if let Some(link) = link_of(&socket) {
            link.answered("/", true);
        }
    }
}

struct Advise(Arc<str>);

impl MessageHandler<LocalAdapter, InOrder> for Advise {
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, event: Value, ack: Option<i64>) {
        // From here on, the session is read at the rate of CONNECTs.
        if let Some(link) = link_of(&socket) {
            link.charge_connect();
        }
        metrics::counter!("roomcast_refused_total", "door" => "socketio", "reason" => NO_NAMESPACE)
            .increment(1);
        let message = format!(
            "the client is not connected to a namespace: connect to one of {}, as \
             io(\"http://HOST:PORT/NAMESPACE\") does",
            self.0
        );
        let problem = Problem {
            code: NO_NAMESPACE,
            message: &message,
        };
        let event = request::read(&event).map(|(event, _)| event);
        let event: String = event
            .unwrap_or_default()
            .chars()
            .take(EVENT_SHOWN)
            .collect();
        // Nothing else is lost if the answer cannot be sent.
        let _ = match ack {
            Some(_) => acknowledge(&socket, ack, &problem.as_answer()),
            None => Ok(()),
        };
        let error = problem.as_event(Some(&event));
        let _ = socket.emit("ERROR", &error).map_err(close_reason);
    }
}
