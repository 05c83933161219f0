//! Refusals of HTTP requests: problem details (RFC 9457), and the only table of the HTTP statuses
//! of the hub's refusals. `docs/errors.md` lists the codes.

use axum::extract::rejection::PathRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::FieldError;
use crate::core::error::Error;

/// The code of a body or path that can't be read.
pub(super) const INVALID_REQUEST: &str = "invalid_request";

/// Why a request is refused: problem details (RFC 9457), with the stable code as
/// an extension.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl ToString) -> Self {
        let detail = detail.to_string();
        Self {
            status,
            code,
            detail,
        }
    }

    /// The client sent something that the server can't read.
    pub(super) fn bad_request(code: &'static str, why: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, why)
    }

    /// The server can't answer now.
    pub(super) fn unavailable(code: &'static str, why: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, why)
    }
}

/// The answer of a route to a method that it does not have.
pub(super) async fn method_not_allowed() -> Problem {
    let why = "this endpoint takes other methods, which the header `Allow` names";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why)
}

/// The content type of a [`Problem`].
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// The JSON of problem details (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDetails<'a> {
    /// Always `about:blank`: the code says what kind of problem it is.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The reason phrase of the status.
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

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::bad_request(INVALID_REQUEST, error)
    }
}

impl From<PathRejection> for Problem {
    /// axum decodes a path as UTF-8, and refuses nothing else.
    fn from(_: PathRejection) -> Self {
        Self::bad_request(INVALID_REQUEST, "the path is not UTF-8")
    }
}

impl From<Error> for Problem {
    /// A refusal of the hub, with its HTTP status.
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
        // RFC 9110, section 11.6.1, requires it with 401.
        if self.status == StatusCode::UNAUTHORIZED {
            return ([(header::WWW_AUTHENTICATE, "Bearer")], answer).into_response();
        }
        answer.into_response()
    }
}

/// The HTTP status of a refusal of the hub: the only such table. The push and webhook transports
/// derive their own from it.
pub(super) fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::Name(_)
        | Error::NameTooLong { .. }
        | Error::NameRequired(_)
        | Error::HistoryTooLong(_)
        | Error::TooDeep(_) => StatusCode::BAD_REQUEST,
        Error::TokenNeeded(_) => StatusCode::UNAUTHORIZED,
        Error::WrongToken(_)
        | Error::NoToken(_)
        | Error::NotAllowed { .. }
        | Error::Reserved { .. } => StatusCode::FORBIDDEN,
        Error::UnknownNamespace(_)
        | Error::UnknownRoom { .. }
        | Error::NotCreated(_)
        | Error::NotInRoom(_)
        | Error::NoPeer(_) => StatusCode::NOT_FOUND,
        Error::RoomExists(_) => StatusCode::CONFLICT,
        Error::TooBig(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::TooManyRooms(_) | Error::TooManyOfAddress(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::Full(_) | Error::Crowded(_) | Error::Busy | Error::Alone | Error::Closing => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::core::name::NameError;

    #[test]
    fn the_docs_list_every_code_of_the_hub_with_its_status() {
        let docs = include_str!("../../docs/errors.md");
        let text = || "x".to_owned();
        let all = [
            Error::Name(NameError::NotANamespace),
            Error::TokenNeeded(text()),
            Error::WrongToken(text()),
            Error::NoToken(text()),
            Error::NameTooLong { what: "", most: 1 },
            Error::UnknownNamespace(text()),
            Error::Reserved {
                namespace: text(),
                why: text(),
            },
            Error::UnknownRoom {
                room: text(),
                known: text(),
            },
            Error::NotCreated(text()),
            Error::RoomExists(text()),
            Error::HistoryTooLong(1),
            Error::NotAllowed {
                verb: "",
                namespace: text(),
            },
            Error::NameRequired(text()),
            Error::Crowded(1),
            Error::NoPeer(text()),
            Error::NotInRoom(text()),
            Error::TooManyRooms(1),
            Error::Full(text()),
            Error::TooBig(1),
            Error::TooDeep(1),
            Error::TooManyOfAddress(1),
            Error::Busy,
            Error::Alone,
            Error::Closing,
        ];
        for error in &all {
            let row = format!("| `{}` | {} |", error.code(), status_of(error).as_u16());
            assert!(docs.contains(&row), "{row}");
        }
        // The list above has all codes.
        let source = include_str!("../core/error.rs").lines();
        let codes = source.filter_map(|line| line.split_once("=> \"")?.1.split('"').next());
        let known = all.iter().map(Error::code).collect::<BTreeSet<_>>();
        assert_eq!(known, codes.collect());
    }
}
