//! The ways in for feeds. An ingest makes tracks of what a feed says; where
//! they are published is wired elsewhere.

pub mod zetta;
