//! Rooms that clients have to themselves: what is published in one is for one client,
//! wherever it is connected. Knows no door.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::Hub;
use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::name::{NamespaceName, RoomId, RoomName};
use crate::core::room::{Joined, Newcomer, Refused};
use crate::core::rules;

impl Hub {
    /// Asks the node whose client has this room to itself, where this one has not.
    ///
    /// # Errors
    /// Nobody has it, or its node does not answer.
    pub async fn ask(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
        question: String,
    ) -> Result<String, Error> {
        let id = self.area(namespace)?.id(room);
        match self.broker.cluster() {
            Some(cluster) => cluster.ask(id, question).await,
            None => Err(Error::NotCreated(room.to_string())),
        }
    }

    /// What other nodes ask of the rooms of a namespace is answered by this; the first
    /// one that is named.
    pub fn answer_for(
        &self,
        namespace: &NamespaceName,
        answer: impl Fn(RoomName, String) -> BoxFuture<'static, Option<String>> + Send + Sync + 'static,
    ) {
        if let Some(area) = self.areas.get(namespace) {
            area.answerer.get_or_init(|| Box::new(answer));
        }
    }

    /// Answers what another node asks; nothing where nobody here can.
    pub fn answer(
        &self,
        id: &RoomId,
        question: String,
    ) -> Option<BoxFuture<'static, Option<String>>> {
        let answer = self.areas.get(&id.namespace)?.answerer.get()?;
        Some(answer(id.room.clone(), question))
    }

    /// Gives the client a room to itself, for as long as it is connected.
    ///
    /// # Errors
    /// There is one of that name, the client has one, or clients have none here.
    pub async fn settle(&self, client: &Arc<Client>, room: &RoomName) -> Result<(), Error> {
        let (tell, told) = oneshot::channel();
        self.begin_to_settle(client, room, tell)?;
        // Nobody answers once the server has stopped.
        told.await.unwrap_or(Err(Error::Closing))
    }

    fn begin_to_settle(
        &self,
        client: &Arc<Client>,
        room: &RoomName,
        tell: oneshot::Sender<Result<(), Error>>,
    ) -> Result<(), Error> {
        let mut state = client.lock();
        rules::may_settle(&state, &client.area.spec)?;
        let own = client.area.create(room, None)?;
        let newcomer = Newcomer {
            client: client.clone(),
            name: client.id().guest_name(),
            since: None,
        };
        let welcome = move |joined: Result<Joined, Error>| {
            // Whoever waits may have gone.
            drop(tell.send(joined.map(drop)));
        };
        match self.comes(newcomer, &own, Box::new(welcome)) {
            Ok(()) => {
                state.rooms.insert(room.clone(), own);
                Ok(())
            }
            Err((Refused::Closed, _)) => Err(Error::Closing),
            Err(_) => Err(Error::Busy),
        }
    }
}
