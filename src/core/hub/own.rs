//! Rooms that clients have to themselves: what is published in one is for one client,
//! wherever it is connected. Knows no door.

use std::sync::Arc;

use super::Hub;
use crate::core::client::Client;
use crate::core::error::Error;
use crate::core::name::RoomName;
use crate::core::room::Refused;
use crate::core::rules;

impl Hub {
    /// Gives the client a room to itself, for as long as it is connected.
    ///
    /// # Errors
    /// There is one of that name, the client has one, or clients have none here.
    pub fn settle(&self, client: &Arc<Client>, room: &RoomName) -> Result<(), Error> {
        let mut state = client.lock();
        rules::may_settle(&state, &client.area.spec)?;
        let own = client.area.create(room, None)?;
        let name = client.id().guest_name();
        match own.join(client, name, None, |_| (), &self.tasks) {
            Ok(()) => {
                state.rooms.insert(room.clone(), own);
                Ok(())
            }
            Err((Refused::Closed, _)) => Err(Error::Closing),
            Err(_) => Err(Error::Busy),
        }
    }
}
