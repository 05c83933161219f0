//! The page `/`, which shows what is playing, and the widget `/embed` for other
//! sites, with what both load. Only files, finished when the program is built:
//! what they show they hear over the other doors, of which this one knows nothing.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{etag, is_known};

/// What a page may load and do: its own files and connections only, nothing
/// written inside HTML, and no text that becomes HTML (trusted types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors ";

/// Stored, but asked for anew each time: the addresses stay the same when the
/// server is a newer one, and the parts of a page have to fit each other.
const REVALIDATE: &str = "no-cache";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// All that there is, by its path.
const FILES: [File; 8] = [
    File::new("/", HTML, include_str!("page/page.html")),
    File {
        framed_by: "*",
        ..File::new("/embed", HTML, include_str!("page/embed.html"))
    },
    File::new("/page/page.css", CSS, include_str!("page/page.css")),
    File::new("/page/icon.svg", SVG, include_str!("page/icon.svg")),
    File::new("/page/page.js", SCRIPT, include_str!("page/page.js")),
    File::new("/page/source.js", SCRIPT, include_str!("page/source.js")),
    File::new("/page/tracks.js", SCRIPT, include_str!("page/tracks.js")),
    File::new("/page/view.js", SCRIPT, include_str!("page/view.js")),
];

/// The routes.
pub fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, file| {
        let tag = etag(&[file.text]);
        let answer = async move |headers: HeaderMap| file.answer(&tag, &headers);
        router.route(file.path, get(answer))
    })
}

#[derive(Clone, Copy)]
struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
    /// Pages of which origins may show it in a frame.
    framed_by: &'static str,
}

impl File {
    const fn new(path: &'static str, kind: &'static str, text: &'static str) -> Self {
        Self {
            path,
            kind,
            text,
            framed_by: "'self'",
        }
    }

    fn answer(&self, tag: &str, request: &HeaderMap) -> Response {
        let policy = format!("{POLICY}{}", self.framed_by);
        let head = [
            (header::ETAG, tag),
            (header::CACHE_CONTROL, REVALIDATE),
            (header::CONTENT_SECURITY_POLICY, &policy),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        if is_known(request, tag) {
            return (StatusCode::NOT_MODIFIED, head).into_response();
        }
        (head, [(header::CONTENT_TYPE, self.kind)], self.text).into_response()
    }
}
