//! `GET /api/openapi.json`: the description of the API (OpenAPI 3.1), made from the code.
//! Gathers what the handlers say of themselves, and knows not how they do it.

use std::sync::LazyLock;

use std::collections::BTreeMap;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaType};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, PartialSchema, ToSchema};

use super::track::PostedTrack;
use super::{NoParameters, history, now, publish};
use crate::doors::{PROBLEM_JSON, ProblemDetails};

/// This description.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object),
        (status = 400, description = "An unknown parameter"),
    ),
)]
pub(super) async fn description(_: NoParameters) -> impl IntoResponse {
    static JSON: LazyLock<String> = LazyLock::new(|| {
        let json = Description::openapi().to_json();
        json.expect("a description made of strings always serializes")
    });
    ([(header::CONTENT_TYPE, "application/json")], JSON.as_str())
}

/// What can be posted to a room.
pub(super) struct Posted;

impl PartialSchema for Posted {
    /// A track is any JSON as well, so it is not one of the two but any of them.
    fn schema() -> RefOr<Schema> {
        let any = ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .description(Some("The message, in all other namespaces: any JSON"));
        let track = Ref::from_schema_name(PostedTrack::name());
        AnyOfBuilder::new().item(track).item(any).into()
    }
}

impl ToSchema for Posted {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((PostedTrack::name().into_owned(), PostedTrack::schema()));
    }
}

/// Why a publication is refused, at every path that takes one.
pub(super) struct Unpublished;

impl IntoResponses for Unpublished {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refusals = [
            (
                400,
                "The body or a name can't be read, or a parameter is unknown",
            ),
            (401, "No token"),
            (403, "Not the token, or nobody publishes there over HTTP"),
            (404, "No such namespace or room"),
            (408, "The body took too long"),
            (413, "The message is too big"),
            (415, "`Content-Type` names a charset that is not known"),
            (503, "Busy, full, or stopping"),
        ];
        let described = refusals.map(|(status, why)| {
            let response = ResponseBuilder::new().description(why).build();
            (status.to_string(), response.into())
        });
        described.into()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "roomcast",
        description = "What is playing, what was played, and publishing in rooms."
    ),
    servers((url = "/", description = "The server that says this")),
    paths(
        now::now_playing,
        history::history,
        history::history_of_old,
        publish::to_room,
        publish::to_bus,
        description
    ),
    components(schemas(ProblemDetails)),
    modifiers(&Bearer, &Problems)
)]
struct Description;

/// What is needed to publish.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// Every refusal is written as problem details: said here, so that no path forgets it.
struct Problems;

impl Modify for Problems {
    fn modify(&self, description: &mut openapi::OpenApi) {
        let paths = description.paths.paths.values_mut();
        let operations = paths.flat_map(|path| [&mut path.get, &mut path.post]);
        for operation in operations.flatten() {
            for (status, response) in &mut operation.responses.responses {
                let is_refusal = status.starts_with(['4', '5']);
                if let RefOr::T(response) = response
                    && is_refusal
                {
                    let problem = Ref::from_schema_name(ProblemDetails::name());
                    let content = Content::new(Some(problem));
                    response
                        .content
                        .insert(PROBLEM_JSON.to_owned(), content.into());
                }
            }
        }
    }
}
