//! One connection from the question to the backend to its farewell. Knows how each
//! step follows the other; how calls are made is the backend's matter.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::uri::{InvalidUri, PathAndQuery, Uri};
use axum::http::{HeaderValue, Method};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Webhook;
use super::call::{Call, Unanswered};
use super::connections::{Connection, Place};
use super::exchange::exchange;
use super::outlet::{self, OwnOutlet, Way};
use super::protocol::{self, NotWelcome, Notice, Welcome};
use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::outlet::{CloseReason, Outlet};
use crate::net::{Upgraded, Wire};

/// Why a client is not let in.
pub(super) enum Turned {
    /// The backend does not want it.
    Away,
    /// The backend is broken.
    Broken,
    /// The backend is silent.
    Silent,
}

/// A connection that the backend has accepted; it is told of its end once, whatever
/// becomes of it.
pub(super) struct Accepted {
    door: Arc<Webhook>,
    pub(super) place: Place,
    pub(super) peer: Peer,
    welcome: Welcome,
    /// The backend has been told.
    told: bool,
}

/// Who connects.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    pub(super) authorization: Option<HeaderValue>,
}

/// Asks the backend whether a client may connect, unless the client has stopped waiting
/// before the backend could be asked.
pub(super) async fn ask(
    door: Arc<Webhook>,
    peer: Peer,
    given_up: impl Future<Output = ()>,
) -> Result<Accepted, Turned> {
    let place = door.connections.begin();
    let notice = Notice::NewConnection {
        ws_uri: &door.uri_of(&place.id),
        timeout: door.backend.settings().timeout_millis(),
    };
    let call = call(
        &door,
        &place,
        &peer,
        Method::POST,
        "application/json",
        notice.body(),
    );
    let answer = match door.backend.ask(&call, given_up).await {
        Ok(answer) => answer,
        Err(why) => {
            if let Some(count) = door.tally.due("refused") {
                info!(connection = place.id.short(), count, %why, "rejected a client");
            }
            return Err(match why {
                Unanswered::Status(status) if status.is_client_error() => Turned::Away,
                Unanswered::Status(_) | Unanswered::Broken(_) => Turned::Broken,
                Unanswered::Silent | Unanswered::GivenUp => Turned::Silent,
            });
        }
    };
    match protocol::welcome(&answer, door.is_wsaas) {
        Ok(welcome) => {
            door.accepted.send_modify(|count| *count += 1);
            Ok(Accepted {
                door,
                place,
                peer,
                welcome,
                told: false,
            })
        }
        Err(NotWelcome::Refused) => {
            if let Some(count) = door.tally.due("refused") {
                let why = "the backend refused the client";
                info!(
                    connection = place.id.short(),
                    count, why, "rejected a client"
                );
            }
            Err(Turned::Away)
        }
        Err(NotWelcome::Rubbish(why)) => {
            if let Some(count) = door.tally.due("unreadable") {
                warn!(connection = place.id.short(), count, %why, "rejected a client: the backend's answer can't be read");
            }
            Err(Turned::Broken)
        }
    }
}

/// Serves a connection that is open, to its end and the backend's knowledge of it.
pub(super) async fn serve(mut accepted: Accepted, stream: Upgraded, wire: Wire) {
    let way = Way {
        wire,
        closed: CancellationToken::new(),
        is_wsaas: accepted.door.is_wsaas,
    };
    let outlet = Arc::new(OwnOutlet(way.clone()));
    let door = accepted.door.clone();
    let welcome = std::mem::take(&mut accepted.welcome);
    match settle(&door, &accepted, &outlet).await {
        Ok(client) => {
            let _guard = door.hub.forget_on_panic(&client);
            let connection = Connection::new(&door.hub, way.clone(), accepted.peer.address);
            let connection = Arc::new(connection);
            greet(&connection, &accepted, welcome, &way).await;
            accepted.place.open(connection.clone());
            exchange(&door, &accepted, &client, &connection, stream, way).await;
            door.hub.disconnect(&client);
            accepted.say_goodbye().await;
        }
        Err(why) => {
            if let Some(count) = door.tally.due("unserved") {
                warn!(connection = accepted.place.id.short(), count, %why, "closed a new connection: the server can't serve it");
            }
            outlet.close(CloseReason::Stopping);
            accepted.say_goodbye().await;
        }
    }
}

async fn settle(
    door: &Webhook,
    accepted: &Accepted,
    outlet: &Arc<OwnOutlet>,
) -> Result<Arc<Client>, Error> {
    let client = door.hub.connect(&door.namespace, outlet.clone())?;
    let settled = door.hub.settle(&client, accepted.place.id.room()).await;
    if let Err(error) = settled {
        door.hub.disconnect(&client);
        return Err(error);
    }
    Ok(client)
}

/// What the backend has said in its answer is done.
async fn greet(connection: &Connection, accepted: &Accepted, welcome: Welcome, way: &Way) {
    let tally = &accepted.door.tally;
    for why in welcome.wrong {
        if let Some(count) = tally.due("left out") {
            warn!(connection = accepted.place.id.short(), count, %why, "ignored a part of the backend's answer");
        }
    }
    for payload in welcome.send {
        if outlet::send(way, &outlet::frame(&payload, way.is_wsaas)).is_err() {
            // More than can wait: or gone, which is the same in the end.
            outlet::close(way, CloseReason::TooSlow);
        }
    }
    for (namespace, room) in welcome.rooms {
        if let Err(why) = connection.join(&namespace, &room).await
            && let Some(count) = tally.due("not joined")
        {
            let id = &accepted.place.id;
            warn!(connection = id.short(), count, %namespace, %room, %why, "a client could not join a room that the backend named");
        }
    }
}

pub(super) fn call(
    door: &Webhook,
    place: &Place,
    peer: &Peer,
    method: Method,
    content_type: &'static str,
    body: Bytes,
) -> Call {
    let target = &door.backend.settings().target;
    let uri = below(target, &place.id.to_string()).expect("a UUID fits in a path");
    Call::new(method, uri, peer.authorization.clone(), content_type, body)
}

/// The address with one more part; what it asks for stays behind it.
fn below(target: &Uri, part: &str) -> Result<Uri, InvalidUri> {
    let path = target.path().trim_end_matches('/');
    let query = target
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let path: PathAndQuery = format!("{path}/{part}{query}").parse()?;
    let mut parts = target.clone().into_parts();
    parts.path_and_query = Some(path);
    Ok(Uri::from_parts(parts).expect("only the path is another one"))
}

impl Accepted {
    /// Tells the backend that the connection is gone, once all else is told.
    async fn say_goodbye(mut self) {
        self.told = true;
        let farewell = farewell(
            self.door.clone(),
            self.place.id.to_string(),
            self.farewell_call(),
        );
        // It is not found from here on.
        drop(self);
        farewell.await;
    }

    fn farewell_call(&self) -> Call {
        let uri = self.door.uri_of(&self.place.id);
        let notice = Notice::ConnectionClose { ws_uri: &uri };
        let (door, place, peer) = (&self.door, &self.place, &self.peer);
        call(
            door,
            place,
            peer,
            Method::DELETE,
            "application/json",
            notice.body(),
        )
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        // The client was gone before its WebSocket was open.
        if !self.told
            && let Ok(runtime) = Handle::try_current()
        {
            let id = self.place.id.short().to_owned();
            let farewell = farewell(self.door.clone(), id, self.farewell_call());
            self.door.tasks.spawn_on(farewell, &runtime);
        }
    }
}

async fn farewell(door: Arc<Webhook>, id: String, call: Call) {
    let delivered = door.backend.deliver(&call).await;
    door.accepted.send_modify(|count| *count -= 1);
    match delivered {
        Ok(()) => {}
        Err(why) => {
            metrics::counter!("roomcast_webhook_undelivered_total").increment(1);
            if let Some(count) = door.tally.due("untold") {
                warn!(connection = id, count, %why, "could not tell the backend that a connection has closed: it still believes in it");
            }
        }
    }
}
