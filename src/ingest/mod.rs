//! The ways in for feeds. An ingest says what has changed; `programme` is where
//! that goes, and neither knows the other.

mod log_pace;
mod paced;
pub mod programme;
pub mod rooms;
pub mod zetta;
