//! The ways in for feeds. An ingest makes tracks of what a feed says; `rooms` is
//! where they go, and neither knows the other.

mod paced;
pub mod rooms;
pub mod zetta;
