//! The ways in for clients. Each door translates its protocol for the hub, and
//! knows no other door. Before all of them stands `cors`. Here is what those that
//! speak HTTP have in common: how they refuse.

pub mod api;
pub mod cors;
pub mod socketio;
pub mod sse;
pub mod websocket;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::core::error::Error;

/// What the hub has refused, as HTTP says it.
fn refused(error: &Error) -> Response {
    problem(status_of(error), error.code(), &error.to_string())
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::UnknownNamespace(_) | Error::UnknownRoom { .. } => StatusCode::NOT_FOUND,
        Error::NotAllowed { .. } | Error::Reserved { .. } => StatusCode::FORBIDDEN,
        Error::TooBig(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Busy | Error::Full(_) | Error::Closing => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Problem details (RFC 9457), with the stable code as an extension.
fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, problem.to_string()).into_response()
}
