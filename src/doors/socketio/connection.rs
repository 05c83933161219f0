//! What a connection that speaks Socket.IO over WebSocket needs of the net.
//! Knows packets by their first characters only.

use std::task::{Context, Poll};

use http::Request;
use tower::Service;

use crate::net::frame::Frame;
use crate::net::{ConnectionHandle, FrameRule, Next};

/// A text frame's opcode (RFC 6455, section 5.2).
const TEXT: u8 = 1;

/// Has each CONNECT answered before the client is read on.
#[derive(Clone)]
pub struct Ordered<S>(pub(super) S);

impl<S, B> Service<Request<B>> for Ordered<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let query = request.uri().query().unwrap_or_default();
        let upgrade = query.split('&').any(|part| part == "transport=websocket");
        if upgrade && let Some(connection) = request.extensions().get::<ConnectionHandle>() {
            // Too late only where the connection is gone.
            let _ = connection.set_rule(ConnectFirst);
        }
        self.0.call(request)
    }
}

/// Holds back what a client sends behind its CONNECT until that is answered.
///
/// The engine opens a namespace in a task of its own and closes on whatever
/// comes for the namespace before that task is through. Packets as in
/// Engine.IO v4 ("message", `4`) and Socket.IO v5 (CONNECT `0`, CONNECT_ERROR `4`).
struct ConnectFirst;

impl FrameRule for ConnectFirst {
    fn inbound(&mut self, frame: Frame<'_>) -> Next {
        if frame.header.opcode == TEXT && frame.start.starts_with(b"40") {
            Next::Wait
        } else {
            Next::Read
        }
    }

    fn outbound(&mut self, frame: Frame<'_>) -> Next {
        let answers = frame.start.starts_with(b"40") || frame.start.starts_with(b"44");
        if frame.header.opcode == TEXT && answers {
            Next::Read
        } else {
            Next::Wait
        }
    }
}
