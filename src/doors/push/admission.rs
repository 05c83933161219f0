//! Who may make a request of the publishers' port, and create or delete channels
//! without a token: by address, pace and key. Knows no channel.

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};

use super::Publishers;
use super::pace::{Paces, SMALL_BODY};
use super::refusal::Refusal;
use crate::doors::{bearer, read_body, read_text};
use crate::net::PeerAddr;
use crate::net::access::AccessDenied;

/// The biggest body: a message of 64 KiB, and ten thousand UUIDs of 39 bytes, with
/// more than as much again for blanks.
const BODY_MOST: usize = 1024 * 1024;

/// The publishers' port.
pub(super) struct Door {
    pub(super) publishers: Publishers,
    paces: Paces,
}

/// What came with a request but its body.
pub(super) type Head = (Extension<PeerAddr>, HeaderMap);

impl Door {
    pub(super) fn new(publishers: Publishers) -> Self {
        let paces = Paces::new(publishers.rate);
        Self { publishers, paces }
    }

    /// Reads the body of a request, unless its sender makes too many requests.
    ///
    /// The body is read in any case: else the connection would end with the answer,
    /// and before it where a publisher is still writing.
    pub(super) async fn admit(
        &self,
        (Extension(PeerAddr(peer)), headers): &Head,
        body: Body,
    ) -> Result<Bytes, Refusal> {
        let sender = self.publishers.access.sender(*peer, headers);
        let visitor = self.paces.visit(sender.address);
        let Some(visitor) = visitor else {
            drain(body).await;
            let most = self.publishers.rate;
            let why = format!("too fast: {most} requests per second at most");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, why).because("too_fast"));
        };
        let _turn = visitor.turn(body.size_hint().upper()).await;
        let body = read_text(headers, body, BODY_MOST).await;
        let body = body.map_err(|unread| Refusal::new(unread.status(), unread))?;
        Ok(body)
    }

    /// Waits until what was just done outlives the server: a publisher keeps the
    /// token that it is told, and needs it after a `kill -9` as well.
    pub(super) async fn written(&self) {
        if let Some(store) = &self.publishers.store {
            store.written().await;
        }
    }

    /// Whether the request has the key, where there is one.
    pub(super) fn has_key(&self, headers: &HeaderMap) -> bool {
        let key = self.publishers.key.as_ref();
        key.is_some_and(|key| bearer(headers).is_some_and(|offered| key.is(offered)))
    }

    /// Checks that the sender may create a channel: it has the key or, if there is no key, is a
    /// backend on a private address and not a web page.
    pub(super) fn may_create(
        &self,
        (Extension(PeerAddr(peer)), headers): &Head,
    ) -> Result<(), Refusal> {
        let refuse = |status, why: &str| Err(Refusal::new(status, why).because("wrong_key"));
        let page = headers.contains_key(header::ORIGIN);
        match (&self.publishers.key, bearer(headers)) {
            (Some(_), _) if self.has_key(headers) => Ok(()),
            (Some(_), Some(_)) => refuse(StatusCode::FORBIDDEN, "this is not the key"),
            (Some(_), None) => refuse(
                StatusCode::UNAUTHORIZED,
                "to create a channel the key is needed, as `Authorization: Bearer KEY`",
            ),
            (None, _) => match self.publishers.access.check(*peer, headers) {
                Ok(()) if !page => Ok(()),
                Err(AccessDenied::Proxy) => refuse(
                    StatusCode::FORBIDDEN,
                    "without --push-key channels are created from private addresses only, and this \
                     request came through a proxy that --trusted-proxy does not name",
                ),
                Err(denied @ AccessDenied::HostName) if !page => {
                    let refusal = Refusal::new(StatusCode::FORBIDDEN, denied);
                    Err(refusal.because(denied.code()))
                }
                Ok(()) | Err(_) => refuse(
                    StatusCode::FORBIDDEN,
                    "without --push-key channels are created from private addresses only, and not \
                     by web pages: set --push-key to allow others",
                ),
            },
        }
    }
}

/// Reads what is not looked at: as much as publishers usually send.
pub(super) async fn drain(body: Body) {
    // Where it is more, the connection ends.
    let _ = read_body(body, SMALL_BODY).await;
}
