//! Rooms that clients have to themselves: what is published in one is for one client,
//! wherever it is connected. Knows no door.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Hub;
use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::name::RoomName;
use crate::core::room::{Joined, Newcomer, Refused};
use crate::core::rules;

impl Hub {
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
