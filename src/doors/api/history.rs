//! `GET /api/now-playing/history`: the play log, as JSON or CSV, newest first.
//! Knows what can be asked for; the store answers.

use std::io::{self, Write};

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use chrono::{DateTime, Duration, SecondsFormat, SubsecRound, Utc};
use tracing::debug;
use utoipa::ToSchema;

use super::accept::prefers_csv;
use super::cached::{Pieces, cached};
use super::turn::in_turn;
use super::{Api, CACHE_BUSTER, INVALID_QUERY, unknown_parameter};
use crate::doors::Problem;
use crate::nowplaying::{Aired, CsvRows, Item, Station, parse_time};
use crate::store::{Query, Store, StoreError};

/// How many items there are if nothing else is asked for: as many as the
/// station's site shows.
const LIMIT: usize = 25;

/// The most that one answer holds: two days, some 200 KiB with titles as they are. Who wants more
/// asks again, with the oldest start as `to`.
const LIMIT_MOST: usize = 1_000;

/// An answer is full with this many bytes of texts, whatever its `limit`: four times the
/// texts of [`LIMIT_MOST`] usual items. As JSON or CSV they take a few times as much at most.
const TEXT_BYTES_MOST: usize = 256 * 1024;

/// How long an answer may be kept, in seconds: a list of what was may be that late.
const MAX_AGE: u32 = 5;

/// How much of a wrong value an error repeats, in characters.
const VALUE_SHOWN: usize = 40;

/// What errors call a valid time.
const TIME: &str = "a date such as 2026-11-21 or a time such as 2026-11-21T18:00:00Z";

/// The code of a play log that can't be read.
const UNREADABLE: &str = "unreadable";

/// What was asked for.
pub(super) struct Asked {
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
        (status = 200, description = "The items. An answer is full with `limit` items or 256 KiB of texts; then the header `Link` names the next page with `rel=\"next\"`", content(
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
    let asked = query.unwrap_or_default();
    let read = read(&asked, &headers, &api.station);
    let Asked { query, form } = read?;
    let all = query.all;
    let page = match api.store.clone() {
        Some(store) => {
            let read = in_turn(&api.readers, move || page(&store, query)).await?;
            // Not an empty list, which a CDN would keep and a report believe.
            read.map_err(|error| {
                debug!(%error, "the play log is asked for");
                Problem::unavailable(UNREADABLE, "the play log can't be read; try again later")
            })?
        }
        None => Page::default(),
    };
    let rows = page.items.iter();
    let rows = rows.map(|item| Aired::new(item, &api.station, all));
    let (body, kind) = match form {
        Form::Json => (json(rows), "application/json"),
        Form::Csv => (csv(rows, all), "text/csv; charset=utf-8"),
    };
    let body = body.expect("a list in memory takes all that is written");
    let mut answer = cached(&headers, kind, MAX_AGE, body);
    if form == Form::Csv {
        let name = HeaderValue::from_static(r#"attachment; filename="history.csv""#);
        answer
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    if let Some(link) = page.next.and_then(|to| next_page(&asked, to)) {
        answer.headers_mut().insert(header::LINK, link);
    }
    Ok(answer)
}

fn json<'a>(rows: impl Iterator<Item = Aired<'a>>) -> io::Result<Pieces> {
    let mut body = Pieces::default();
    body.write_all(b"[")?;
    for (number, row) in rows.enumerate() {
        body.write_all(if number == 0 { b"" } else { b"," })?;
        serde_json::to_writer(&mut body, &row)?;
    }
    body.write_all(b"]")?;
    Ok(body)
}

fn csv<'a>(rows: impl Iterator<Item = Aired<'a>>, all: bool) -> io::Result<Pieces> {
    let mut csv = CsvRows::begin(Pieces::default(), all)?;
    rows.into_iter().try_for_each(|row| csv.write(row))?;
    csv.finish()
}

/// The `Link` header (RFC 8288) of the next page: the same query, for items that started
/// before `to`.
pub(super) fn next_page(asked: &str, to: DateTime<Utc>) -> Option<HeaderValue> {
    let others = form_urlencoded::parse(asked.as_bytes()).filter(|(name, _)| name != "to");
    let next = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(others)
        .append_pair("to", &to.to_rfc3339_opts(SecondsFormat::Secs, true))
        .finish();
    HeaderValue::from_str(&format!(r#"<?{next}>; rel="next""#)).ok()
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

/// A page of items.
#[derive(Default)]
struct Page {
    items: Vec<Item>,
    /// The `to` of the next page, if there may be one.
    next: Option<DateTime<Utc>>,
}

/// What is asked for, and what else started in the second of the oldest.
///
/// Starts are shown in whole seconds. Who goes on with the oldest of them as `to`
/// would miss the rest of that second, if an answer ended within a second. So a full answer
/// also contains the other items of its oldest second, within the same bounds again; further
/// items of that second are left out.
fn page(store: &Store, query: Query) -> Result<Page, StoreError> {
    let limit = query.limit.unwrap_or(LIMIT);
    let query = Query {
        text_bytes: Some(TEXT_BYTES_MOST),
        ..query
    };
    let mut items = store.history(&query)?;
    let bytes: usize = items.iter().map(Item::text_bytes).sum();
    let is_full = items.len() == limit || bytes >= TEXT_BYTES_MOST;
    let Some(oldest) = items.last().filter(|_| is_full) else {
        return Ok(Page { items, next: None });
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
    let next = Some(second);
    Ok(Page { items, next })
}

/// The parameters of a query.
const PARAMETERS: [&str; 6] = ["limit", "q", "from", "to", "all", "format"];

pub(super) fn read(query: &str, headers: &HeaderMap, station: &Station) -> Result<Asked, Problem> {
    let mut form = match prefers_csv(headers) {
        true => Form::Csv,
        false => Form::Json,
    };
    let mut asked = Query {
        limit: Some(LIMIT),
        ..Query::default()
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |wanted: &str| {
            let shown: String = value.chars().take(VALUE_SHOWN).collect();
            let why = format!("`{name}` must be {wanted}, not \"{shown}\"");
            Problem::bad_request(INVALID_QUERY, why)
        };
        let time = || parse_time(&value, station.timezone).map_err(|_| wrong(TIME));
        match &*name {
            "limit" | "q" => {
                let number = value.parse().ok();
                let number = number.filter(|number| (1..=LIMIT_MOST).contains(number));
                let wanted = || wrong(&format!("a number from 1 to {LIMIT_MOST}"));
                asked.limit = Some(number.ok_or_else(wanted)?);
            }
            "from" => asked.from = Some(time()?),
            "to" => asked.to = Some(time()?),
            "all" => {
                asked.all = match &*value {
                    "1" | "true" | "" => true,
                    "0" | "false" => false,
                    _ => return Err(wrong("1 or 0")),
                }
            }
            "format" => {
                form = match &*value {
                    "csv" => Form::Csv,
                    "json" => Form::Json,
                    _ => return Err(wrong("csv or json")),
                }
            }
            CACHE_BUSTER => {}
            unknown => return Err(unknown_parameter(unknown, &PARAMETERS)),
        }
    }
    Ok(Asked { query: asked, form })
}
