//! The Socket.IO client that pages load from the server, as `/socket.io/socket.io.js`.

use std::io;
use std::path::Path;

use axum::body::{Body, Bytes};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use super::PATH;
use crate::doors::{etag, is_known};

/// The names of the file below [`PATH`]: as in Socket.IO's own server.
const NAMES: [&str; 2] = ["/socket.io.js", "/socket.io.min.js"];

/// Caches may store the file, but ask for a newer one each time: it may change with a restart.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

const SCRIPT: HeaderValue = HeaderValue::from_static("application/javascript; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

const MISSING: &str = "This server was started without a Socket.IO client. \
    Start it with --socketio-client FILE to serve one here, or load a client from npm or \
    from a CDN (https://socket.io/docs/v4/client-installation/).\n";

/// The file of `--socketio-client`.
#[derive(Clone, Debug)]
pub struct ClientScript {
    text: Bytes,
    tag: HeaderValue,
}

impl ClientScript {
    /// Reads the file.
    ///
    /// # Errors
    /// It can't be read.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = std::fs::read(path)?;
        let tag = etag(&[&text]);
        Ok(Self {
            tag: HeaderValue::try_from(tag).expect("a tag is hexadecimal digits in quotes"),
            text: text.into(),
        })
    }
}

/// The answer to a request for the client; `None` if the request is for something else.
pub(super) fn answer<B>(
    script: Option<&ClientScript>,
    request: &Request<B>,
) -> Option<Response<Body>> {
    let name = request.uri().path().strip_prefix(PATH)?;
    if !NAMES.contains(&name) || ![Method::GET, Method::HEAD].contains(request.method()) {
        return None;
    }
    let Some(script) = script else {
        let mut missing = Response::new(Body::from(MISSING));
        *missing.status_mut() = StatusCode::NOT_FOUND;
        missing.headers_mut().insert(header::CONTENT_TYPE, TEXT);
        return Some(missing);
    };
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, script.tag.clone());
    headers.insert(header::CACHE_CONTROL, REVALIDATE);
    let known = script
        .tag
        .to_str()
        .is_ok_and(|tag| is_known(request.headers(), tag));
    if known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(header::CONTENT_TYPE, SCRIPT);
        *answer.body_mut() = script.text.clone().into();
    }
    Some(answer)
}
