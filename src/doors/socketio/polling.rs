//! A polling client's packets on their way to the engine: read whole, then
//! handed on up to each CONNECT, and further once that is answered.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Request, Response, StatusCode, header};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Incoming};
use socketioxide::socket::Sid;
use tokio::time::timeout;
use tower::BoxError;

use super::connecting::{Connecting, Wait};
use super::payload::{Framing, Part, split};

/// How long the body of a request may take: as long as its head.
const BODY_MOST: Duration = Duration::from_secs(10);

/// What a POST is about.
pub(super) struct Posted {
    pub(super) sid: Sid,
    pub(super) framing: Framing,
    /// The largest body that is read.
    pub(super) bytes_most: usize,
}

/// Gives a POST to the engine, `pass`, part by part.
pub(super) async fn post<F, B>(
    request: Request<Incoming>,
    posted: Posted,
    connecting: Connecting,
    pass: impl FnOnce(Request<Body>) -> F,
) -> Result<Response<Body>, Infallible>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    // Once it is here, a slow client holds nothing of the engine.
    let body = match timeout(BODY_MOST, Limited::new(body, posted.bytes_most).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Ok(refuse(StatusCode::PAYLOAD_TOO_LARGE));
        }
        Ok(Err(_)) => return Ok(refuse(StatusCode::BAD_REQUEST)),
        Err(_) => return Ok(refuse(StatusCode::REQUEST_TIMEOUT)),
    };
    let is_text = head
        .headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|kind| kind != "application/octet-stream");
    let text = std::str::from_utf8(&body).ok().filter(|_| is_text);
    let parts = text
        .map(|text| split(text, posted.framing))
        .unwrap_or_default();
    if parts.iter().all(|part| part.connects.is_none()) {
        let answer = pass(Request::from_parts(head, Body::from(body))).await?;
        return Ok(answer.map(Body::new));
    }
    let (engine, channel) = Channel::<Bytes>::new(1);
    let mut answer = pin!(pass(Request::from_parts(head, Body::new(channel))));
    let mut fed = pin!(feed(engine, &body, parts, posted.sid, connecting));
    let answer = tokio::select! {
        () = &mut fed => answer.await?,
        answer = &mut answer => {
            let answer = answer?;
            if answer.status().is_success() {
                // Else the next request might overtake this one's last CONNECT.
                fed.await;
            }
            answer
        }
    };
    Ok(answer.map(Body::new))
}

/// Hands the parts on, each when the CONNECT before it is answered.
async fn feed(
    mut engine: Sender<Bytes>,
    body: &Bytes,
    parts: Vec<Part<'_>>,
    sid: Sid,
    connecting: Connecting,
) {
    let mut last = None;
    for part in parts {
        if let Some(wait) = last.take() {
            Wait::over(wait).await;
        }
        last = part.connects.and_then(|name| connecting.expect(sid, name));
        if engine.send_data(body.slice(part.range)).await.is_err() {
            // The engine has refused the request, or the client has gone.
            return;
        }
    }
    // Without a separator behind it, a packet ends where the body does.
    drop(engine);
    if let Some(wait) = last {
        wait.over().await;
    }
}

fn refuse(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}
