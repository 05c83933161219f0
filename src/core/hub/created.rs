//! Rooms that backends create, publish in and delete, each with a token of its own;
//! and who may publish from outside at all. Knows tokens, and no header.

use std::sync::Arc;

use super::Hub;
use crate::core::area::Area;
use crate::core::error::Error;
use crate::core::name::{NamespaceName, RoomName};
use crate::core::namespace::Rooms;
use crate::core::room::Room;
use crate::core::rules;
use crate::core::terms::Wanted;
use crate::core::token::{Token, TokenHash};

/// Leave to publish: in a room that has a token of its own, for as long as it is the
/// same room.
#[derive(Clone, Copy, Debug, Default)]
pub struct Granted(pub(super) Option<TokenHash>);

/// Who deletes a room.
#[derive(Clone, Copy, Debug)]
pub enum Deleter<'a> {
    /// Somebody who offers the room's token, or nothing.
    Backend(Option<&'a str>),
    /// Whoever the server belongs to: tokens get lost.
    Operator,
}

impl Hub {
    /// Creates a room, and gives the token by which it is published in and deleted:
    /// nobody can be told it again.
    ///
    /// # Errors
    /// There is one of that name, or too many; its name is too long, or it is to
    /// keep too much; or rooms of this namespace are not created.
    pub fn create(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
        wanted: Wanted,
    ) -> Result<Token, Error> {
        let area = self.area(namespace)?;
        rules::may_create(&area.spec, room)?;
        let token = Token::random();
        let terms = wanted.with(token.hash(), &area.spec)?;
        area.create(room, Some(terms))?;
        Ok(token)
    }

    /// Deletes a room that was created; its members learn it behind its last event.
    ///
    /// # Errors
    /// As [`Hub::authorise`]; or rooms of this namespace are not created.
    pub fn delete(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
        by: Deleter<'_>,
    ) -> Result<(), Error> {
        let area = self.area(namespace)?;
        rules::may_create(&area.spec, room)?;
        let found = created(area, room)?;
        if let Deleter::Backend(offered) = by {
            rules::is_token_of(&found, offered)?;
        }
        if !area.remove(&found) {
            return Err(Error::NotCreated(room.to_string()));
        }
        found.end(&self.tasks);
        Ok(())
    }

    /// Whether a backend may publish in a room with what it offers: the token of the
    /// namespace, or of the room where each has one.
    ///
    /// # Errors
    /// It offers nothing or the wrong thing, the namespace is closed to backends, or
    /// nobody has created the room.
    pub fn authorise(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
        offered: Option<&str>,
    ) -> Result<Granted, Error> {
        let area = self.area(namespace)?;
        match area.spec.rooms {
            Rooms::Created => {
                let room = created(area, room)?;
                rules::is_token_of(&room, offered)?;
                Ok(Granted(room.token()))
            }
            Rooms::Open | Rooms::Fixed(_) | Rooms::Own => {
                rules::may_publish_with(&area.spec, offered)?;
                Ok(Granted::default())
            }
        }
    }
}

fn created(area: &Area, room: &RoomName) -> Result<Arc<Room>, Error> {
    let found = area.find(room);
    found.ok_or_else(|| Error::NotCreated(room.to_string()))
}
