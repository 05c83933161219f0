//! Rooms that backends create, publish in and delete, each with a token of its own;
//! and who may publish from outside at all. Knows tokens, and no header.

use super::Hub;
use crate::core::area::Area;
use crate::core::error::Error;
use crate::core::name::{NamespaceName, RoomName};
use crate::core::namespace::Rooms;
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
    pub async fn create(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
        wanted: Wanted,
    ) -> Result<Token, Error> {
        let area = self.area(namespace)?;
        rules::may_create(&area.spec, room)?;
        let token = Token::random();
        let terms = wanted.with(token.hash(), &area.spec)?;
        match self.broker.cluster() {
            Some(cluster) => cluster.create(area.id(room), terms).await?,
            None => drop(area.create(room, Some(terms))?),
        }
        Ok(token)
    }

    /// Deletes a room that was created; its members learn it behind its last event.
    ///
    /// # Errors
    /// As [`Hub::authorise`]; or rooms of this namespace are not created.
    pub async fn delete(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
        by: Deleter<'_>,
    ) -> Result<(), Error> {
        let area = self.area(namespace)?;
        rules::may_create(&area.spec, room)?;
        let token = self.token_of(area, room).await?;
        if let Deleter::Backend(offered) = by {
            rules::is_token_of(room, token, offered)?;
        }
        match self.broker.cluster() {
            Some(cluster) => cluster.delete(area.id(room), token).await,
            None => self.delete_here(area, room, token),
        }
    }

    fn delete_here(&self, area: &Area, room: &RoomName, token: TokenHash) -> Result<(), Error> {
        let not_created = || Error::NotCreated(room.to_string());
        let found = area.find(room).filter(|room| room.token() == Some(token));
        let found = found.ok_or_else(not_created)?;
        if !area.remove(&found) {
            return Err(not_created());
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
    pub async fn authorise(
        &self,
        namespace: &NamespaceName,
        room: &RoomName,
        offered: Option<&str>,
    ) -> Result<Granted, Error> {
        let area = self.area(namespace)?;
        match area.spec.rooms {
            Rooms::Created => {
                let token = self.token_of(area, room).await?;
                rules::is_token_of(room, token, offered)?;
                Ok(Granted(Some(token)))
            }
            Rooms::Open | Rooms::Fixed(_) | Rooms::Own => {
                rules::may_publish_with(&area.spec, offered)?;
                Ok(Granted::default())
            }
        }
    }

    /// Of the token of a room that was created.
    async fn token_of(&self, area: &Area, room: &RoomName) -> Result<TokenHash, Error> {
        let here = area.find(room).and_then(|room| room.token());
        let token = match (here, self.broker.cluster()) {
            (None, Some(cluster)) => {
                let terms = cluster.terms(area.id(room)).await?;
                terms.map(|terms| terms.token_hash)
            }
            (here, _) => here,
        };
        token.ok_or_else(|| Error::NotCreated(room.to_string()))
    }
}
