//! The ways in for clients. Each door translates its protocol for the hub, and
//! knows no other door. Before all of them stands `cors`.

pub mod api;
pub mod cors;
pub mod socketio;
pub mod websocket;
