//! Connections on other nodes: what the backend asks of them is asked there. Knows what
//! can be asked of a connection; not how nodes are joined.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::Webhook;
use super::connections::Connection;
use super::id::Id;
use super::protocol::Answer;
use crate::core::error::Error;
use crate::core::name::{NamespaceName, RoomName};

/// What can be asked of a connection, but to be written to and closed.
#[derive(Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub(super) enum Wish {
    /// What is known of it.
    About,
    /// That it hears a room as well.
    Join { namespace: String, room: String },
    /// That it hears a room no more.
    Leave { namespace: String, room: String },
}

/// After how long a connection that is not known is looked for again: a node tells the
/// others of it right after it is open, in a round trip.
const AGAIN_AFTER: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(200),
];

/// An answer on its way to the node that was asked first.
#[derive(Serialize, Deserialize)]
pub(super) struct Relayed {
    status: u16,
    body: String,
}

impl Wish {
    /// Does it.
    pub(super) async fn fulfil(&self, connection: &Connection) -> Result<Answer, Answer> {
        match self {
            Self::About => return Ok(Answer::about(connection.about())),
            Self::Join { namespace, room } => {
                let (namespace, room) = parse(namespace, room)?;
                connection.join(&namespace, &room).await?;
            }
            Self::Leave { namespace, room } => {
                let (namespace, room) = parse(namespace, room)?;
                connection.leave(&namespace, &room)?;
            }
        }
        Ok(Answer::ok())
    }
}

fn parse(namespace: &str, room: &str) -> Result<(NamespaceName, RoomName), Error> {
    let namespace = NamespaceName::parse(&format!("/{namespace}"))?;
    Ok((namespace, RoomName::parse(room)?))
}

/// Has another node do it, if the connection is there.
pub(super) async fn ask(door: &Webhook, id: &Id, wish: &Wish) -> Result<Response, Answer> {
    let question = serde_json::to_string(wish).expect("strings always serialize");
    let ask = || door.hub.ask(&door.namespace, id.room(), question.clone());
    let answer = patiently(door, ask).await?;
    let unreadable = |_| Answer::from(Error::Busy);
    let relayed: Relayed = serde_json::from_str(&answer).map_err(unreadable)?;
    let status = StatusCode::from_u16(relayed.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((status, head, relayed.body).into_response())
}

/// Does something to a connection that may be on another node, where its client may
/// have seen it open before the other nodes have.
pub(super) async fn patiently<T, F: Future<Output = Result<T, Error>>>(
    door: &Webhook,
    does: impl Fn() -> F,
) -> Result<T, Answer> {
    let mut again = AGAIN_AFTER.iter().filter(|_| door.hub.has_other_nodes());
    loop {
        match (does().await, again.next()) {
            (Err(Error::NotCreated(_)), Some(after)) => sleep(*after).await,
            (Err(Error::NotCreated(_)), None) => return Err(Answer::not_found()),
            (done, _) => return Ok(done?),
        }
    }
}

/// Answers what other nodes ask of the connections of this one.
pub(super) fn answer_others(door: &Arc<Webhook>) {
    let this = Arc::downgrade(door);
    door.hub.answer_for(&door.namespace, move |room, question| {
        let this = this.clone();
        Box::pin(async move {
            let wish: Wish = serde_json::from_str(&question).ok()?;
            let connections = this.upgrade()?.connections.clone();
            let answer = match connections.find(&Id::of(room)).await {
                Some(connection) => wish.fulfil(&connection).await,
                None => Err(Answer::not_found()),
            };
            let answer = answer.unwrap_or_else(|refused| refused);
            let relayed = Relayed {
                status: answer.status.as_u16(),
                body: answer.json(),
            };
            Some(serde_json::to_string(&relayed).expect("strings and numbers always serialize"))
        })
    });
}
