//! The publishers' port: creates, pings and deletes channels, and pushes messages.
//! Translates only.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::oneshot;
use tracing::{debug, info};

use super::admission::{Door, Head, drain};
use super::asked::{self, CreateChannel, DeleteChannel, PingChannel, PushMessage};
use super::protocol;
use super::refusal::Refusal;
use super::{Channels, Publishers};
use crate::core::error::Error;
use crate::core::event::To;
use crate::core::hub::{Deleter, Outside};
use crate::core::name::{Nickname, RoomName};
use crate::core::namespace::Publisher;
use crate::doors::{etag, is_known};

/// How many clients one push may name: who means more means everybody.
const RECIPIENTS_MOST: usize = 10_000;

const SCRIPT: &str = include_str!("pushserver.js");

pub(super) fn router(publishers: Publishers) -> Router {
    let tag = etag(&[SCRIPT]);
    Router::new()
        .route("/channel/create", post(create))
        .route("/channel/ping", post(ping))
        .route("/channel/delete", post(delete))
        .route("/push", post(push))
        .route(
            "/js/pushserver.js",
            get(async move |h: HeaderMap| script(&tag, &h)),
        )
        .method_not_allowed_fallback(async |body: Body| {
            drain(body).await;
            Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this endpoint takes other methods, which the header `Allow` names",
            )
        })
        .fallback(async |body: Body| {
            drain(body).await;
            Refusal::new(StatusCode::NOT_FOUND, "there is nothing here")
        })
        .with_state(Arc::new(Door::new(publishers)))
}

async fn create(
    State(door): State<Arc<Door>>,
    head: Head,
    body: Body,
) -> Result<Response, Refusal> {
    let body = door.admit(&head, body).await?;
    door.may_create(&head)?;
    let asked: CreateChannel = asked::action(&body)?;
    let channel = named(&asked.channel)?;
    let Channels { hub, namespace } = &door.publishers.channels;
    let token = hub.create(namespace, &channel, asked.wanted()?).await?;
    door.written().await;
    info!(%channel, "a channel was created");
    Ok(done("Created", &channel, Some(token.reveal())))
}

async fn ping(State(door): State<Arc<Door>>, head: Head, body: Body) -> Result<Response, Refusal> {
    let body = door.admit(&head, body).await?;
    let asked: PingChannel = asked::action(&body)?;
    let channel = named(&asked.channel)?;
    let token = asked.channel_token.as_deref();
    let Channels { hub, namespace } = &door.publishers.channels;
    hub.authorise(namespace, &channel, token).await?;
    Ok(done("OK", &channel, None))
}

async fn push(State(door): State<Arc<Door>>, head: Head, body: Body) -> Result<Response, Refusal> {
    let body = door.admit(&head, body).await?;
    let mut asked: PushMessage = asked::action(&body)?;
    let message = asked.take_message()?;
    let channel = named(&asked.channel)?;
    let Channels { hub, namespace } = &door.publishers.channels;
    let token = asked.channel_token.unwrap_or_default();
    let granted = hub.authorise(namespace, &channel, Some(&token)).await?;
    if asked.recipients.len() > RECIPIENTS_MOST {
        let why = format!("a push can have {RECIPIENTS_MOST} recipients at most");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let (tell, told) = oneshot::channel();
    let from = Outside {
        publisher: Publisher::Http,
        namespace,
        room: channel.clone(),
        sender: Nickname::http(),
        to: match asked.recipients {
            nobody if nobody.is_empty() => To::Everybody,
            some => To::These(some.into()),
        },
        message,
        retain: &[],
        granted,
        same: None,
    };
    // Whoever asked may have gone.
    hub.publish(from, Box::new(|published| drop(tell.send(published))));
    // The broker has dropped it: it is stopping.
    told.await.unwrap_or(Err(Error::Closing))?;
    Ok(done("Sent", &channel, None))
}

async fn delete(
    State(door): State<Arc<Door>>,
    head: Head,
    body: Body,
) -> Result<Response, Refusal> {
    let body = door.admit(&head, body).await?;
    let asked: DeleteChannel = asked::action(&body)?;
    let channel = named(&asked.channel)?;
    let token = asked.channel_token.unwrap_or_default();
    let by = match door.has_key(&head.1) {
        true => Deleter::Operator,
        false => Deleter::Backend(Some(&token)),
    };
    let Channels { hub, namespace } = &door.publishers.channels;
    hub.delete(namespace, &channel, by).await?;
    door.written().await;
    info!(%channel, "a channel was deleted");
    Ok(done("Deleted", &channel, None))
}

/// The client for browsers; what it loads has no say in who may.
fn script(tag: &str, request: &HeaderMap) -> Response {
    let head = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
    ];
    if is_known(request, tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, SCRIPT).into_response()
}

fn named(channel: &str) -> Result<RoomName, Refusal> {
    Ok(RoomName::parse(channel).map_err(Error::from)?)
}

fn done(message: &str, channel: &RoomName, token: Option<&str>) -> Response {
    json(
        StatusCode::OK,
        protocol::server_ack(message, channel, token),
    )
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let reason = self.reason;
        debug!(reason, "a publisher was refused");
        metrics::counter!("roomcast_refused_total", "door" => "push", "reason" => reason)
            .increment(1);
        let answer = json(self.status, self.json());
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => ([(header::RETRY_AFTER, "1")], answer).into_response(),
            _ => answer,
        }
    }
}

fn json(status: StatusCode, text: String) -> Response {
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, head, text).into_response()
}
