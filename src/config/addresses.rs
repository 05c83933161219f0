//! The settings of what the clients of one address may have.
//! Knows no connection: it says how many there may be.

use super::layers::Layers;
use super::{number, value};
use crate::net::AddressLimits;

/// What the clients of one address may have, as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Connections, and sessions.
    pub limits: AddressLimits,
    /// Rooms of a namespace that they have opened.
    pub rooms: usize,
}

/// Reads the options. What is wrong is noted.
pub(super) fn read(layers: &mut Layers) -> Address {
    Address {
        limits: AddressLimits {
            connections: layers.required("address-connections", number::limit),
            unconfirmed: layers.required("address-unconfirmed", number::limit),
            per_second: layers.required("address-rate", number::rate_limit),
            private: layers.required("address-private", value::boolean),
        },
        rooms: layers.required("address-rooms", number::limit),
    }
}
