//! Requests on their way to the service: the head in fresh memory, and what a
//! door may know of the connection. Knows no door.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Extensions, HeaderName, Request, Uri};
use hyper::upgrade::OnUpgrade;

use super::addresses::Place;
use super::gate::MessageRule;
use super::socket::{Kill, TooLate};
use super::wire::Wire;
use crate::core::source::SourceKey;

/// The address at the other end of the TCP connection; an IPv4 one as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The address that a request counts for: its client's, also behind a trusted proxy;
/// `None` if it has no limits. An extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSource(pub Option<SourceKey>);

/// The connection a request came on; an extension of every request.
#[derive(Clone)]
pub struct ConnectionHandle(Kill);

impl ConnectionHandle {
    pub(super) fn new(kill: Kill) -> Self {
        Self(kill)
    }

    /// The wire of the connection; it takes frames once the upgrade is done.
    #[must_use]
    pub fn wire(&self) -> Wire {
        Wire::of(&self.0)
    }

    /// Puts frames of the WebSocket that is being opened under a rule.
    ///
    /// To be called before the upgrade is answered with 101; the last one set
    /// counts.
    ///
    /// # Errors
    /// [`TooLate`] after the 101, or if the connection is gone.
    pub fn set_rule(&self, rule: impl MessageRule) -> Result<(), TooLate> {
        let socket = self.0.socket().ok_or(TooLate)?;
        socket.leave_rule(Box::new(rule))
    }

    /// Runs a task of this connection's: a stop waits for it. Not if it is gone.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(socket) = self.0.socket() {
            socket.spawn(task);
        }
    }

    /// Keeps this place until the connection closes.
    pub(super) fn keep(&self, place: Place) {
        if let Some(socket) = self.0.socket() {
            socket.keep(place);
        }
    }

    /// To be told when a request was answered with something else than 101, and
    /// whether it had asked for an upgrade.
    pub(super) fn stays_http(&self, asked: bool) {
        if let Some(socket) = self.0.socket() {
            socket.stays_http(asked);
        }
    }
}

/// The same request with nothing of it in hyper's read buffer.
///
/// An engine that keeps the head for the life of its socket would pin that
/// buffer, 16 KiB for each connection. Of the extensions only hyper's upgrade
/// is kept.
pub(super) fn refresh<B>(
    request: Request<B>,
    peer: PeerAddr,
    source: ClientSource,
    connection: ConnectionHandle,
) -> Request<B> {
    let (old, body) = request.into_parts();
    let (uri, headers) = copy(&old);
    let mut extensions = Extensions::new();
    let mut old_extensions = old.extensions;
    if let Some(upgrade) = old_extensions.remove::<OnUpgrade>() {
        extensions.insert(upgrade);
    }
    extensions.insert(peer);
    extensions.insert(source);
    extensions.insert(connection);
    let mut request = Request::new(body);
    *request.method_mut() = old.method;
    *request.version_mut() = old.version;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    *request.extensions_mut() = extensions;
    request
}

/// Whether the request asks for a WebSocket.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(UPGRADE).iter().any(|value| {
        value
            .as_bytes()
            .windows(WEBSOCKET.len())
            .any(|part| part.eq_ignore_ascii_case(WEBSOCKET))
    })
}

const WEBSOCKET: &[u8] = b"websocket";

/// Copies target and headers into one block, of which the values are parts.
fn copy(head: &Parts) -> (Uri, HeaderMap) {
    let target = head.uri.to_string();
    let size = head.headers.values().map(HeaderValue::len).sum::<usize>() + target.len();
    let mut block = BytesMut::with_capacity(size);
    block.extend_from_slice(target.as_bytes());
    for value in head.headers.values() {
        block.extend_from_slice(value.as_bytes());
    }
    let mut block = block.freeze();
    // What http has parsed and printed it parses again; if ever it does not,
    // the old one is right, though it keeps the buffer.
    let uri =
        Uri::from_maybe_shared(block.split_to(target.len())).unwrap_or_else(|_| head.uri.clone());
    let mut headers = HeaderMap::with_capacity(head.headers.keys_len());
    for (name, value) in &head.headers {
        let value = fresh_value(value, block.split_to(value.len()));
        headers.append(fresh_name(name), value);
    }
    (uri, headers)
}

fn fresh_value(old: &HeaderValue, bytes: Bytes) -> HeaderValue {
    let mut value = HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| old.clone());
    value.set_sensitive(old.is_sensitive());
    value
}

fn fresh_name(old: &HeaderName) -> HeaderName {
    HeaderName::from_bytes(old.as_str().as_bytes()).unwrap_or_else(|_| old.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_head_says_the_same_in_other_memory() {
        let buffer = Bytes::from_static(b"/socket.io/?EIO=4&a=%20bvalueother\xff");
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_maybe_shared(buffer.slice(..24)).unwrap();
        let value = HeaderValue::from_maybe_shared(buffer.slice(24..29)).unwrap();
        request.headers_mut().append("x-own", value);
        let value = HeaderValue::from_maybe_shared(buffer.slice(29..)).unwrap();
        request.headers_mut().append("x-own", value);
        let (old, ()) = request.into_parts();

        let (uri, headers) = copy(&old);
        assert_eq!(uri, old.uri);
        assert_eq!(headers, old.headers);
        let shared = buffer.as_ptr_range();
        for value in headers.values() {
            assert!(!shared.contains(&value.as_bytes().as_ptr()));
        }
        let target = uri.path_and_query().unwrap().as_str();
        assert!(!shared.contains(&target.as_ptr()));
    }

    #[test]
    fn every_form_of_a_target_survives() {
        for target in ["*", "/", "http://a.b/c?d", "a.b:443", "/?"] {
            let (head, ()) = Request::builder()
                .uri(target)
                .body(())
                .unwrap()
                .into_parts();
            assert_eq!(copy(&head).0, head.uri, "{target}");
        }
    }

    #[test]
    fn a_websocket_is_asked_for_in_any_letters() {
        let mut headers = HeaderMap::new();
        assert!(!asks_for_websocket(&headers));
        headers.insert(UPGRADE, HeaderValue::from_static("h2c, WebSocket"));
        assert!(asks_for_websocket(&headers));
    }
}
