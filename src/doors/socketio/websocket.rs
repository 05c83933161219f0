//! A session that begins on a WebSocket, or moves to one. The engine answers the
//! request, and is given the connection apart from it. Knows no packet but the
//! one by which a client tries a WebSocket out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::upgrade::OnUpgrade;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::{BoxError, Service};

use super::head;
use super::link::Link;
use super::packet::Packet;
use crate::net::{ConnectionHandle, Message, Upgraded, upgraded};

/// How long a client may take to probe a WebSocket (Engine.IO v4, "Upgrade"): SDKs probe at
/// once. A stop may have to wait this long, so it is shorter than the longest stop.
const PROBE_MOST: Duration = Duration::from_secs(5);

/// Opens the session of a link.
///
/// The task in which the engine waits for an upgrade by itself is the one that
/// it reads the WebSocket in later, and has the request twice until the end,
/// besides hyper's stream: 0.9 KiB for each. Without the upgrade that task ends.
pub(super) async fn opened<S, B>(
    mut engine: S,
    mut request: Request<Incoming>,
    link: Arc<Link>,
    connection: ConnectionHandle,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Service<(Upgraded, Request<()>), Response = ()>,
    S: Send + 'static,
    <S as Service<(Upgraded, Request<()>)>>::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let opening = head::opening(request.uri(), link);
    let answer = engine.call(request.map(Body::new)).await?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade)) = (answer.status(), upgrade) {
        connection.spawn(async move {
            if let Some(stream) = upgraded(upgrade).await {
                // It refuses nothing that it has just answered with 101.
                let _ = engine.call((stream, opening)).await;
            }
        });
    }
    Ok(answer.map(Body::new))
}

/// What there is to know of a session that may move to a WebSocket.
pub(super) struct Moving {
    pub(super) link: Arc<Link>,
    /// The request that ends the session.
    pub(super) close: Request<Body>,
    /// Ends when it has moved, or can't any more.
    pub(super) tried: oneshot::Receiver<()>,
}

/// Lets a session that polls try a WebSocket out.
///
/// The engine ends the session if that fails, where a client polls on. So it is
/// given the WebSocket when the client has shown that it can be heard there. If
/// it breaks off behind that the session ends, by `close`.
pub(super) async fn upgrading<S, B>(
    mut engine: S,
    request: Request<Incoming>,
    moving: Moving,
    connection: ConnectionHandle,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Service<(Upgraded, Request<()>), Response = ()>,
    S: Send + 'static,
    <S as Service<Request<Body>>>::Future: Send,
    <S as Service<(Upgraded, Request<()>)>>::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Moving { close, link, tried } = moving;
    let mut request = head::lean(request, None);
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let moving = head::opening(request.uri(), link.clone());
    let answer = engine.call(request.map(Body::new)).await?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade)) = (answer.status(), upgrade) {
        connection.spawn(async move {
            let Some(stream) = upgraded(upgrade).await else {
                return;
            };
            if link.is_on_websocket() {
                // It has moved already; the second WebSocket ends here.
                return;
            }
            let Some(stream) = probed(stream).await else {
                return;
            };
            let _ = engine.call((stream, moving)).await;
            let _ = tried.await;
            if !link.is_on_websocket() {
                // For the engine it is moving for ever.
                let _ = engine.call(close).await;
            }
        });
    }
    Ok(answer.map(Body::new))
}

/// Returns the stream if its first packet is a probe, which is put back.
async fn probed(mut stream: Upgraded) -> Option<Upgraded> {
    // The session's rule sets the longest message, so 0 has no effect.
    let first = timeout(PROBE_MOST, stream.message(0)).await.ok()?.ok()?;
    let is_probe = first == Message::Text(Packet::Probe.encode());
    is_probe.then(|| {
        stream.put_back(&first);
        stream
    })
}
