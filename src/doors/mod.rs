//! The ways in for clients. Each door translates its protocol for the hub, and
//! knows no other door. Before all of them stands `cors`. Here is what those that
//! speak HTTP have in common: how they read a body, how they refuse, the tags of what
//! they answer; and how those read that speak WebSocket themselves.

pub mod api;
mod body;
pub mod cors;
mod etag;
mod fields;
mod host;
pub mod page;
mod problem;
pub mod push;
mod socket;
pub mod socketio;
pub mod sse;
pub mod webhook;
pub mod websocket;

use axum::http::{HeaderMap, header};

use self::body::{BODY_MOST, Unread, decode, read_body, read_text};
use self::etag::{etag, is_known};
use self::fields::{FieldError, Fields, parse_json, unknown};
use self::problem::{PROBLEM_JSON, Problem, ProblemDetails, method_not_allowed, status_of};
use self::socket::{Asked, Reader, Silence, open_socket};
use crate::core::source::SourceKey;
use crate::net::ClientSource;

/// The address that a request counts for.
fn source_of(extensions: &http::Extensions) -> Option<SourceKey> {
    extensions.get::<ClientSource>()?.0
}

/// What stands behind `Authorization: Bearer` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
