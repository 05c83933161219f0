//! Limits of one client, one session and one address, and the reserves for others.

#[path = "limits/address.rs"]
mod address;
#[path = "limits/backpressure.rs"]
mod backpressure;
#[path = "limits/budget.rs"]
mod budget;
#[path = "limits/large.rs"]
mod large;
#[path = "limits/listed.rs"]
mod listed;
#[path = "limits/reserve.rs"]
mod reserve;
#[path = "limits/rooms.rs"]
mod rooms;
#[path = "limits/signals.rs"]
mod signals;
#[path = "limits/slow.rs"]
mod slow;
