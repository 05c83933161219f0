//! `GET /api/now-playing/history`: the play log, as JSON or CSV, newest first.
//! Knows what can be asked for; the store answers.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use chrono::{Duration, SubsecRound};
use tracing::debug;
use utoipa::ToSchema;

use super::Api;
use super::accept::prefers_csv;
use super::cached::cached;
use super::turn::in_turn;
use crate::doors::Problem;
use crate::nowplaying::{Aired, Item, Station, parse_time};
use crate::store::{Query, Store, StoreError};

/// How many items there are if nothing else is asked for: as many as the
/// station's site shows.
const LIMIT: usize = 25;

/// The most that one answer holds: two days, some 200 KiB with titles as they are. Who wants more asks again,
/// with the oldest start as `to`.
const LIMIT_MOST: usize = 1_000;

/// How long an answer may be kept, in seconds: a list of what was may be that late.
const MAX_AGE: u32 = 5;

/// The code of a play log that can't be read.
const UNREADABLE: &str = "unreadable";

/// What was asked for.
struct Asked {
    query: Query,
    form: Form,
}

/// In which form.
#[derive(Clone, Copy, PartialEq, ToSchema)]
#[schema(rename_all = "lowercase")]
enum Form {
    Csv,
    Json,
}

/// What was played, newest first.
#[utoipa::path(
    get,
    path = "/api/now-playing/history",
    params(
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1_000, description = "By default 25. What started in the same second as the last is added, so that its `timestampUTC` as `to` gives what comes behind it. Also as `q`"),
        ("from" = Option<String>, Query, description = "What started then or later: RFC 3339, or a date of the station's clock"),
        ("to" = Option<String>, Query, description = "What started before, likewise"),
        ("all" = Option<bool>, Query, description = "`true` or 1: also what was no song"),
        ("format" = inline(Option<Form>), Query, description = "Else as `Accept` says"),
    ),
    responses(
        (status = 200, description = "The items", content(
            ([Aired<'static>] = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "As before"),
        (status = 400, description = "What is asked for makes no sense"),
        (status = 503, description = "It can't be read, or too many ask for it"),
    ),
)]
pub(super) async fn history(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let read = read(&query.unwrap_or_default(), &headers, &api.station);
    let Asked { query, form } = read.map_err(|why| Problem::bad_request("invalid_query", why))?;
    let all = query.all;
    let items = match api.store.clone() {
        Some(store) => {
            let read = in_turn(&api.readers, move || page(&store, query)).await?;
            // Not an empty list, which a CDN would keep and a report believe.
            read.map_err(|error| {
                debug!(%error, "the play log is asked for");
                Problem::unavailable(UNREADABLE, "the play log can't be read; try again later")
            })?
        }
        None => Vec::new(),
    };
    let rows = items.iter().map(|item| Aired::new(item, &api.station, all));
    if form == Form::Json {
        let rows: Vec<_> = rows.collect();
        let body = serde_json::to_string(&rows).expect("strings and numbers always serialize");
        return Ok(cached(&headers, "application/json", MAX_AGE, body));
    }
    let body = Aired::csv(rows, all);
    let name = [(
        header::CONTENT_DISPOSITION,
        r#"attachment; filename="history.csv""#,
    )];
    let answer = cached(&headers, "text/csv; charset=utf-8", MAX_AGE, body);
    Ok((name, answer).into_response())
}

/// The same, where the station's site has always asked for it.
#[utoipa::path(
    get,
    path = "/api/now-playing.php",
    params(("q" = Option<usize>, Query, minimum = 1, maximum = 1_000, description = "How many; as `limit`")),
    responses(
        (status = 200, description = "The items", content(
            ([Aired<'static>] = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "As before"),
        (status = 400, description = "What is asked for makes no sense"),
        (status = 503, description = "It can't be read, or too many ask for it"),
    ),
)]
pub(super) async fn history_of_old(
    state: State<Api>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    history(state, query, headers).await
}

/// What is asked for, and what else started in the second of the oldest.
///
/// Starts are shown in whole seconds. Who goes on with the oldest of them as `to`
/// would lose what of its second did not fit, if an answer ended within one.
fn page(store: &Store, query: Query) -> Result<Vec<Item>, StoreError> {
    let limit = query.limit.unwrap_or(LIMIT);
    let mut items = store.history(&query)?;
    let Some(oldest) = items.last().filter(|_| items.len() == limit) else {
        return Ok(items);
    };
    let second = oldest.start.trunc_subsecs(0);
    let end = second + Duration::seconds(1);
    let whole = Query {
        from: query.from.max(Some(second)),
        to: Some(query.to.map_or(end, |to| to.min(end))),
        // Nothing plays as many in a second.
        limit: Some(LIMIT_MOST),
        ..query
    };
    items.retain(|item| item.start >= end);
    items.extend(store.history(&whole)?);
    Ok(items)
}

fn read(query: &str, headers: &HeaderMap, station: &Station) -> Result<Asked, String> {
    let mut form = match prefers_csv(headers) {
        true => Form::Csv,
        false => Form::Json,
    };
    let mut asked = Query {
        limit: Some(LIMIT),
        ..Query::default()
    };
    let time = |value: &str| parse_time(value, station.timezone);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let named = |why| format!("{name}: {why}");
        match &*name {
            "limit" | "q" => asked.limit = Some(limit(&value)?),
            "from" => asked.from = Some(time(&value).map_err(named)?),
            "to" => asked.to = Some(time(&value).map_err(named)?),
            "all" => {
                asked.all = match &*value {
                    "1" | "true" | "" => true,
                    "0" | "false" => false,
                    _ => return Err("`all` is 1 or 0".to_owned()),
                }
            }
            "format" => {
                form = match &*value {
                    "csv" => Form::Csv,
                    "json" => Form::Json,
                    _ => return Err("`format` is csv or json".to_owned()),
                }
            }
            // What caches and trackers add is no error.
            _ => {}
        }
    }
    Ok(Asked { query: asked, form })
}

fn limit(value: &str) -> Result<usize, String> {
    let number = value.parse().ok();
    number
        .filter(|number| (1..=LIMIT_MOST).contains(number))
        .ok_or_else(|| format!("`limit` is a number from 1 to {LIMIT_MOST}"))
}
