//! The settings of the webhook door: `--target-address` and the options beside it.
//! Knows no connection and no request: it says where the door would be.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::layers::Layers;
use super::{number, secrets, url, value};
use crate::core::secret::SigningSecret;
use crate::core::token::Token;
use crate::problem::{Fault, Origin};

/// The webhook door: WebSockets for a backend that speaks only HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where the backend is told what clients do.
    pub target: Uri,
    /// Where clients connect; port 0 takes any that is free.
    pub ws: SocketAddr,
    /// Where the backend reaches the REST side; port 0 takes any that is free.
    pub http: SocketAddr,
    /// How the backend reaches the REST side: a URL without a slash at its end; none:
    /// at this machine, on the port of [`Webhook::http`].
    pub local_address: Option<String>,
    /// Whether the door behaves towards clients and backend as WSAAS does.
    pub is_wsaas: bool,
    /// How long the backend has for an answer, and how often an idle client is pinged; `None`
    /// means no limit.
    pub timeout: Option<Duration>,
    /// The longest message, in bytes.
    pub message_most: usize,
    /// For how long a call is tried again.
    pub retry: Duration,
    /// A PEM file with the authorities of the backend's certificate; none: the system's.
    pub ca: Option<PathBuf>,
    /// What the REST side needs; none: it is for this machine only.
    pub key: Option<Token>,
    /// What calls are signed with; none: they are not.
    pub secret: Option<SigningSecret>,
}

/// The option that turns the door on.
const SWITCH: &str = "target-address";

/// The options that mean something only where the door is on.
const PARTS: [&str; 10] = [
    "webhook-style",
    "webhook-ws",
    "webhook-http",
    "local-address",
    "ws-timeout",
    "max-page",
    "webhook-retry",
    "target-ca",
    "webhook-key",
    "webhook-secret",
];

/// What a message is measured in, in bytes: a page of the program that roomcast
/// stands in for.
const PAGE: usize = 32 * 1024;

/// Reads the options of the door; none: it is off. What is wrong is noted.
pub(super) fn read(layers: &mut Layers) -> Option<Webhook> {
    let target = layers.optional(SWITCH, url::target);
    if layers.origin(SWITCH) == Origin::Default {
        // Not read at all: a variable of another program may hold anything.
        layers.warn_of_idle(SWITCH, &PARTS);
        return None;
    }
    let key = layers.optional("webhook-key", secrets::token);
    let http = rest_address(layers);
    let local_address = layers.optional("local-address", url::base);
    if let Some(address) = &local_address
        && http.ip().is_loopback()
        && !url::is_of_this_machine(address)
    {
        layers.warn(format!(
            "--local-address ({address}) is not of this machine, and --webhook-http ({http}) is \
             for it alone: set --webhook-key, unless something passes requests on"
        ));
    }
    let is_wsaas = layers.required("webhook-style", value::is_wsaas);
    let pages = layers.required("max-page", number::pages);
    Some(Webhook {
        is_wsaas,
        ws: layers.required("webhook-ws", value::listen).address(),
        http,
        local_address,
        timeout: layers.required("ws-timeout", number::millis),
        // In WSAAS a message that fills its last page begins another one.
        message_most: pages * PAGE - usize::from(is_wsaas),
        retry: layers.required("webhook-retry", number::span),
        ca: layers.optional("target-ca", value::path),
        key,
        secret: layers.optional("webhook-secret", secrets::signing),
        // Last, so that where it is wrong the others have been looked at as well.
        target: target?,
    })
}

/// Where the REST side listens: without a key on this machine alone, since whoever
/// reaches it speaks to every client.
fn rest_address(layers: &mut Layers) -> SocketAddr {
    let wanted = layers.required("webhook-http", value::listen);
    // A key that is wrong was meant to be one, and is noted already.
    if layers.origin("webhook-key") != Origin::Default {
        return wanted.address();
    }
    let host = wanted.host.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let address = SocketAddr::new(host, wanted.port);
    if !host.to_canonical().is_loopback() {
        let why = format!(
            "--webhook-http ({address}) is not for this machine alone, and needs --webhook-key"
        );
        let origin = layers.origin("webhook-http");
        layers.note(origin, Fault::WrongOption(why));
    }
    address
}
