//! The settings of the limits per client address.
//! Counts nothing: `net::Addresses` and the rooms do.

use super::layers::Layers;
use super::{number, value};
use crate::net::AddressLimits;

/// The limits per client address, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Limits of connections and sessions.
    pub limits: AddressLimits,
    /// Most open rooms of a namespace that the clients of one address have opened.
    pub rooms: usize,
}

/// Reads the options; notes invalid values.
pub(super) fn read(layers: &mut Layers) -> Address {
    Address {
        limits: AddressLimits {
            connections: layers.required("address-connections", number::limit),
            sessions: layers.required("address-sessions", number::limit),
            unconfirmed: layers.required("address-unconfirmed", number::limit),
            per_second: layers.required("address-rate", number::rate_limit),
            private: layers.required("address-private", value::boolean),
        },
        rooms: layers.required("address-rooms", number::limit),
    }
}
