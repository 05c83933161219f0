//! What stands before all doors for the sake of web pages (CORS): which may
//! connect, and which of the answers a browser lets them read. Knows origins,
//! and of Socket.IO the path and the version; nothing that is said there.
//!
//! It is no protection of what is secret: whoever is not a browser can send any
//! origin, or none. No cookie authorises anything, so that a page can do no more
//! with credentials than without.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tower::Service;
use tracing::debug;

use super::host;
use crate::net::asks_for_websocket;
use crate::net::origin::{Page, WebOrigins};

/// How long a browser may remember the answer to a preflight, in seconds: as
/// long as any does that has a limit of two hours.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Where Socket.IO is served.
const SOCKET_IO: &str = "/socket.io";

/// What a page is told that is not let in: Engine.IO's code for it, and in the
/// words of its own errors. The page can't read it, but who looks for the fault
/// in the browser's network tab can.
const REFUSED: &str = r#"{"code":4,"message":"Web pages of this origin are not let in: the server was started with --cors-origin, and not with this one"}"#;

/// A service whose answers say who may read them, and which pages that are not
/// let in do not reach where they could connect.
#[derive(Clone)]
pub struct Cors<S> {
    inner: S,
    rules: Arc<Rules>,
}

struct Rules {
    origins: WebOrigins,
    closed: &'static [&'static str],
}

impl<S> Cors<S> {
    /// Of the paths in `closed`, no page of another origin reads an answer.
    pub fn new(inner: S, origins: WebOrigins, closed: &'static [&'static str]) -> Self {
        let rules = Arc::new(Rules { origins, closed });
        Self { inner, rules }
    }
}

impl<S, B> Service<Request<B>> for Cors<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    // So that nothing has to be put in a box once more.
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Answering<S::Future> {
        if let Err(problem) = host::check(request.version(), request.headers()) {
            return Answering(State::Ready(Some(problem.into_response())));
        }
        let page = self.rules.origins.page(request.headers());
        let websocket = asks_for_websocket(request.headers());
        let path = request.uri().path();
        if page == Page::Refused && (websocket || path.starts_with(SOCKET_IO)) {
            debug!(origin = ?request.headers().get(header::ORIGIN), "a web page was not let in");
            metrics::counter!("roomcast_refused_total", "door" => "cors", "reason" => "origin")
                .increment(1);
            return Answering(State::Ready(Some(refused())));
        }
        // Browsers don't ask who may read a WebSocket.
        if websocket || self.rules.closed.contains(&path) {
            return Answering(State::Passed(self.inner.call(request), None));
        }
        let preflight = request.method() == Method::OPTIONS && page != Page::Unnamed;
        let share = self.rules.share(&request, page);
        if preflight {
            let answer = permitted(request.headers(), share);
            return Answering(State::Ready(Some(answer)));
        }
        Answering(State::Passed(self.inner.call(request), Some(share)))
    }
}

impl Rules {
    fn share<B>(&self, request: &Request<B>, page: Page) -> Share {
        let credentials = sends_credentials(request);
        match (&self.origins, page) {
            // A browser that sends credentials takes its own origin only.
            (WebOrigins::Any, _) if !credentials => Share::All,
            (_, Page::LetIn(origin)) => Share::With {
                origin,
                credentials,
            },
            (_, Page::Unnamed | Page::Refused) => Share::Nobody,
        }
    }
}

/// Whether the SDK sends credentials, for which it has no use: those of Engine.IO
/// 3 do.
fn sends_credentials<B>(request: &Request<B>) -> bool {
    let mut pairs = request.uri().query().unwrap_or_default().split('&');
    request.uri().path().starts_with(SOCKET_IO) && pairs.any(|pair| pair == "EIO=3")
}

/// Who may read an answer, besides the pages of its own origin.
enum Share {
    All,
    With {
        origin: HeaderValue,
        credentials: bool,
    },
    Nobody,
}

impl Share {
    fn write(self, headers: &mut HeaderMap) {
        let origin = match self {
            Self::All => HeaderValue::from_static("*"),
            Self::With {
                origin,
                credentials,
            } => {
                if credentials {
                    let yes = HeaderValue::from_static("true");
                    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
                }
                headers.append(header::VARY, HeaderValue::from_static("Origin"));
                origin
            }
            // Another page may: what stores answers has to know.
            Self::Nobody => {
                headers.append(header::VARY, HeaderValue::from_static("Origin"));
                return;
            }
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// The answer to a browser that asks before it sends what a form could not send.
///
/// Everything that it asks for: what there is decides about the request itself.
fn permitted(asked: &HeaderMap, share: Share) -> Response<Body> {
    const ASKED: [(HeaderName, HeaderName); 2] = [
        (
            header::ACCESS_CONTROL_REQUEST_METHOD,
            header::ACCESS_CONTROL_ALLOW_METHODS,
        ),
        (
            header::ACCESS_CONTROL_REQUEST_HEADERS,
            header::ACCESS_CONTROL_ALLOW_HEADERS,
        ),
    ];
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    if !matches!(share, Share::Nobody) {
        for (request, allow) in ASKED {
            if let Some(value) = asked.get(request) {
                answer.headers_mut().insert(allow, value.clone());
            }
        }
        let age = header::ACCESS_CONTROL_MAX_AGE;
        answer.headers_mut().insert(age, MAX_AGE);
    }
    share.write(answer.headers_mut());
    answer
}

fn refused() -> Response<Body> {
    let mut answer = Response::new(Body::from(REFUSED));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    Share::Nobody.write(answer.headers_mut());
    answer
}

/// The answer, on its way.
pub struct Answering<F>(State<F>);

enum State<F> {
    /// It needs nobody else.
    Ready(Option<Response<Body>>),
    /// The service gives it; who may read it is added.
    Passed(F, Option<Share>),
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(answer) => {
                let answer = answer.take().expect("a future is not polled after its end");
                Poll::Ready(Ok(answer))
            }
            State::Passed(answer, share) => Pin::new(answer).poll(cx).map_ok(|mut answer| {
                if let Some(share) = share.take() {
                    share.write(answer.headers_mut());
                }
                answer
            }),
        }
    }
}
