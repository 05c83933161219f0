//! The ways in for clients. Each door translates its protocol for the hub, and
//! knows no other door. Before all of them stands `cors`. Here is what those that
//! speak HTTP have in common: how they read a body, how they refuse, the tags of what
//! they answer; and how those read that speak WebSocket themselves.

pub mod api;
mod body;
pub mod cors;
mod etag;
pub mod page;
pub mod push;
mod socket;
pub mod socketio;
pub mod sse;
pub mod webhook;
pub mod websocket;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use self::body::{BODY_MOST, Unread, decode, read_body, read_text};
use self::etag::{etag, is_known};
use self::socket::{Asked, Reader, Silence, open_socket};
use crate::core::error::Error;
use crate::core::source::SourceKey;
use crate::net::ClientSource;

/// Why a request is refused: problem details (RFC 9457), with the stable code as
/// an extension.
struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl ToString) -> Self {
        let detail = detail.to_string();
        Self {
            status,
            code,
            detail,
        }
    }

    /// What was sent can't be read.
    fn bad_request(code: &'static str, why: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, why)
    }

    /// It can't be answered now.
    fn unavailable(code: &'static str, why: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, why)
    }
}

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

/// What a [`Problem`] is written as.
const PROBLEM_JSON: &str = "application/problem+json";

/// Problem details (RFC 9457), as they are written.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
struct ProblemDetails<'a> {
    /// Always `about:blank`: the code says what kind of problem it is.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// What HTTP says of the status.
    #[schema(example = "Unauthorized")]
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599, example = 401)]
    status: u16,
    /// Which problem it is: stable, for programs.
    #[schema(example = "token_needed")]
    code: &'static str,
    /// What is wrong, for people.
    detail: &'a str,
}

impl From<Error> for Problem {
    /// What the hub has refused, as HTTP says it.
    fn from(error: Error) -> Self {
        Self::new(status_of(&error), error.code(), error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = ProblemDetails {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
        };
        let problem = serde_json::to_string(&problem);
        let problem = problem.expect("strings and numbers always serialize");
        let head = [
            (header::CONTENT_TYPE, PROBLEM_JSON),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let answer = (self.status, head, problem);
        // What 401 has to say (RFC 9110, section 11.6.1).
        if self.status == StatusCode::UNAUTHORIZED {
            return ([(header::WWW_AUTHENTICATE, "Bearer")], answer).into_response();
        }
        answer.into_response()
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::UnknownNamespace(_) | Error::UnknownRoom { .. } | Error::NotCreated(_) => {
            StatusCode::NOT_FOUND
        }
        Error::RoomExists(_) => StatusCode::CONFLICT,
        Error::TokenNeeded(_) => StatusCode::UNAUTHORIZED,
        Error::NotAllowed { .. }
        | Error::Reserved { .. }
        | Error::WrongToken(_)
        | Error::NoToken(_) => StatusCode::FORBIDDEN,
        Error::TooBig(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Busy | Error::Alone | Error::Full(_) | Error::Closing => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Error::TooManyOfAddress(_) => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    }
}
