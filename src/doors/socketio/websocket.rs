//! A session that begins on a WebSocket. The engine answers the request, and is
//! given the connection apart from it. Knows no packet.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::upgrade::OnUpgrade;
use tower::{BoxError, Service};

use super::head;
use super::link::Link;
use crate::net::{ConnectionHandle, Upgraded, upgraded};

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
