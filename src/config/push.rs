//! The settings of the push door: `--push` and the options beside it.
//! Knows no channel and no request: it says where the door would be.

use std::net::SocketAddr;

use super::layers::Layers;
use super::{number, secrets, value};
use crate::core::token::Token;

/// The push door: publishers post to one port, subscribers connect to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Where publishers post; port 0 takes any that is free.
    pub http: SocketAddr,
    /// Where subscribers connect; port 0 takes any that is free.
    pub ws: SocketAddr,
    /// What creating a channel needs; none: a loopback or private address.
    pub key: Option<Token>,
    /// The most requests per second that one address makes on the HTTP port.
    pub rate: u32,
}

/// The options that mean something only where the door is on.
const PARTS: [&str; 4] = ["push-http", "push-ws", "push-key", "push-rate"];

/// Reads the options of the door; none: it is off. What is wrong is noted.
pub(super) fn read(layers: &mut Layers) -> Option<Push> {
    if !layers.required("push", value::boolean) {
        // Not read at all: a variable of another program may hold anything.
        layers.warn_of_idle("push", &PARTS);
        layers.warn_of_moved("push", &["PORT_HTTP", "PORT_WS"]);
        return None;
    }
    Some(Push {
        http: layers.required("push-http", value::listen).address(),
        ws: layers.required("push-ws", value::listen).address(),
        key: layers.optional("push-key", secrets::token),
        rate: layers.required("push-rate", number::rate),
    })
}
