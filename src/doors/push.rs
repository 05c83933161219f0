//! The push door: backends (publishers) create channels over HTTP and push messages
//! to the WebSocket clients (subscribers) of each. A channel is a room of `/push`.
//! Stands in for another program, whose clients must not notice.

mod admission;
mod asked;
#[cfg(test)]
mod fuzz_tests;
mod http;
mod outlet;
mod pace;
mod protocol;
mod refusal;
mod subscriber;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;

use super::{open_socket, source_of};
use crate::core::hub::Hub;
use crate::core::name::NamespaceName;
use crate::core::token::Token;
use crate::net::access::PrivateAccess;
use crate::store::Store;

/// The rooms that are the channels.
#[derive(Clone)]
pub struct Channels {
    /// Where they are.
    pub hub: Arc<Hub>,
    /// Their namespace.
    pub namespace: NamespaceName,
}

/// What the publishers' port needs.
pub struct Publishers {
    /// What they create, and push to.
    pub channels: Channels,
    /// Where channels are written down before their publisher is answered, if they
    /// outlive the server.
    pub store: Option<Store>,
    /// Decides who creates channels if there is no key.
    pub access: PrivateAccess,
    /// What creating a channel needs.
    pub key: Option<Token>,
    /// How many requests per second one address may make.
    pub rate: u32,
}

/// The publishers' port.
pub fn publishers(door: Publishers) -> Router {
    http::router(door)
}

/// The subscribers' port: a WebSocket on any path.
pub fn subscribers(channels: Channels) -> Router {
    Router::new().fallback(async move |request: Request| {
        let source = source_of(request.extensions());
        open_socket(request, move |stream, wire| async move {
            subscriber::serve(&channels, source.into(), stream, wire).await;
        })
    })
}
