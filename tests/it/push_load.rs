//! The push door of the real binary under load and across its ends: who hears what
//! of ten thousand, a deletion in a storm of pushes, and what is there after a kill.

mod crowd;
pub mod publisher;
mod restart;
mod storm;
pub mod subscriber;
mod written;

/// The push door on free ports; one address may post as fast as it can.
pub const PUSH: [&str; 7] = [
    "--push",
    "--push-http",
    "127.0.0.1:0",
    "--push-ws",
    "127.0.0.1:0",
    "--push-rate",
    "100000",
];
