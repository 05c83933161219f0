//! Request heads as the engine gets them. It keeps the head of the request that
//! opened a session for as long as that lives, so there is nothing in it that
//! nobody looks at again: a browser's is some KiB, most of it cookies.

use std::sync::Arc;

use axum::body::Bytes;
use http::header::{HeaderValue, SEC_WEBSOCKET_KEY};
use http::{Extensions, HeaderMap, Request, Uri};
use hyper::upgrade::OnUpgrade;

use super::link::Link;

/// The request with what the engine looks at, and the session that it opens.
///
/// Nothing of the old head's memory is kept.
pub(super) fn lean<B>(request: Request<B>, opens: Option<Arc<Link>>) -> Request<B> {
    let (mut old, body) = request.into_parts();
    let mut extensions = Extensions::new();
    if let Some(upgrade) = old.extensions.remove::<OnUpgrade>() {
        extensions.insert(upgrade);
    }
    if let Some(link) = opens {
        extensions.insert(link);
    }
    // By itself a map would make room for six.
    let mut headers = HeaderMap::with_capacity(1);
    if let Some(key) = old.headers.get(SEC_WEBSOCKET_KEY) {
        // What was a value is one.
        let fresh = HeaderValue::from_bytes(key.as_bytes()).unwrap_or_else(|_| key.clone());
        headers.insert(SEC_WEBSOCKET_KEY, fresh);
    }
    let mut lean = Request::new(body);
    *lean.uri_mut() = fresh(&old.uri);
    *lean.method_mut() = old.method;
    *lean.version_mut() = old.version;
    *lean.headers_mut() = headers;
    *lean.extensions_mut() = extensions;
    lean
}

/// What the engine is given with a WebSocket on which a session begins.
pub(super) fn opening(uri: &Uri, link: Arc<Link>) -> Request<()> {
    let mut opening = Request::new(());
    *opening.uri_mut() = fresh(uri);
    opening.extensions_mut().insert(link);
    opening
}

fn fresh(uri: &Uri) -> Uri {
    // What http has parsed and printed it parses again; if ever it does not,
    // the old one is right, though it keeps the old memory.
    let text = Bytes::copy_from_slice(uri.to_string().as_bytes());
    Uri::from_maybe_shared(text).unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lean_head_has_the_key_and_nothing_of_the_old_memory() {
        let request = Request::get("/socket.io/?EIO=4&transport=websocket&a=%20b")
            .header("cookie", "much")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .extension(1_u8)
            .body(())
            .unwrap();
        let (uri, headers) = (request.uri().clone(), request.headers().clone());

        let lean = lean(request, None);
        assert_eq!(lean.uri(), &uri);
        assert_eq!(lean.headers().len(), 1);
        assert!(lean.extensions().get::<u8>().is_none());
        let key = |headers: &HeaderMap| headers[SEC_WEBSOCKET_KEY].clone();
        assert_eq!(key(lean.headers()), key(&headers));
        assert_ne!(
            key(lean.headers()).as_bytes().as_ptr(),
            key(&headers).as_bytes().as_ptr()
        );
        assert_ne!(lean.uri().path().as_ptr(), uri.path().as_ptr());
    }
}
