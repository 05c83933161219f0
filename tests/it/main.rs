//! The server as its users meet it: one binary of tests, real sockets, port 0.

#![allow(clippy::unwrap_used)]

mod api;
mod bad_input;
mod client;
mod cluster;
mod conformance;
mod core;
mod cors;
mod crowd;
mod ending;
mod expiry;
mod hostile;
mod http;
mod layers;
mod leaving;
mod limits;
mod lobby;
mod net;
mod originals;
mod page;
mod polling;
mod program;
mod push;
mod push_load;
mod raw;
mod replay;
mod server;
mod sessions;
mod simulate;
mod socketio;
mod source;
mod sse;
mod store;
mod webhook;
mod zetta;
