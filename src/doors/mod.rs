//! The ways in for clients. Each door translates its protocol for the hub, and
//! knows no other door.

pub mod api;
pub mod socketio;
