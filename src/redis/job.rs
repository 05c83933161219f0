//! What is to be done in Redis, one command each: what the hub wants, and what the node
//! needs itself. Knows how each is asked, not what becomes of the answer.

use ::redis::Cmd;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::frame::{self, NodeId};
use super::keys::{self, Prefix};
use super::link::{Ask, Asked};
use super::rules::{Rules, STREAM_LEAST, has_place};
use super::script::Script;
use crate::core::broker::{Done, Presence, Told};
use crate::core::durable::Contents;
use crate::core::error::Error;
use crate::core::event::{Epoch, Kind, Offset, Publication, To};
use crate::core::hub::NAMES_MOST;
use crate::core::name::RoomId;
use crate::core::terms::Terms;
use crate::core::token::TokenHash;

/// How long an event is known again by its id, in milliseconds: ten minutes. A node that
/// can't reach Redis for longer may publish again what was under way when that began.
const KNOWN_FOR: u64 = 10 * 60 * 1000;

/// How long a node is believed to be there since it last said so.
pub(super) const LEASE: std::time::Duration = std::time::Duration::from_secs(15);

/// One thing to do.
pub(super) enum Job {
    Publish(Box<Outgoing>),
    Enter(RoomId, Presence),
    Exit(Box<Leaving>),
    Clients(RoomId, Told),
    Terms(RoomId, Tell<Option<Terms>>),
    Create(RoomId, Terms, Tell<()>),
    Delete(RoomId, TokenHash, Tell<()>),
    /// The hub has opened the room.
    Follow(RoomId),
    Subscribe(RoomId),
    Unsubscribe(RoomId),
    /// Asks what the room has; all of it, or what is behind the place that the node has
    /// come to.
    Sync(RoomId, bool),
    /// Tells Redis what it has forgotten.
    Seed(RoomId, Offset, Contents),
    Renew(RoomId),
    /// Says who of this node is in the room, and whether nobody else is on the way.
    Refresh(RoomId, Vec<Presence>, bool),
    /// Asks whether there is an answer.
    Ping,
    /// What the hub wants to know of whoever has a room to itself.
    Ask(RoomId, String, Tell<String>),
    /// The same with its number, on its way to all who may have the room.
    Question(RoomId, u64, String),
    /// What that node, of this name, is answered.
    Answer(String, String),
    /// Listens for answers.
    Listen,
}

pub(super) type Tell<T> = oneshot::Sender<Result<T, Error>>;

/// A publication on its way.
pub(super) struct Outgoing {
    pub(super) publication: Publication,
    /// Whether the clients of this node have heard it.
    pub(super) is_heard: bool,
    done: Option<Done>,
}

/// A client that has left a room.
pub(super) struct Leaving {
    pub(super) room: RoomId,
    pub(super) who: Presence,
    /// By what it is known again that it has left.
    pub(super) id: Uuid,
    /// Whether the clients of this node have heard it.
    pub(super) is_heard: bool,
}

/// What a job needs to be asked.
pub(super) struct Context<'a> {
    pub(super) prefix: &'a Prefix,
    pub(super) node: &'a NodeId,
    /// Whether nodes that say nothing may be taken for gone.
    pub(super) may_bury: bool,
    /// How far the node has come in the room.
    pub(super) at: Option<Offset>,
}

impl Outgoing {
    pub(super) fn room(&self) -> RoomId {
        RoomId {
            namespace: self.publication.namespace.clone(),
            room: self.publication.room.clone(),
        }
    }

    /// The publisher is told that it is published.
    pub(super) fn succeed(&mut self, offset: Offset) {
        if let Some(done) = self.done.take() {
            done(Ok(offset));
        }
    }

    /// The publisher is told why not.
    pub(super) fn fail(mut self, error: Error) {
        if let Some(done) = self.done.take() {
            done(Err(error));
        }
    }

    /// The name of the peer that it is for.
    pub(super) fn peer(&self) -> String {
        match &self.publication.to {
            To::Peer(name) => name.to_string(),
            To::Everybody | To::These(_) => String::new(),
        }
    }

    /// What it takes while it waits, in bytes: an estimate.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.publication.message.get().len()
    }
}

impl Leaving {
    /// What says so to the others.
    pub(super) fn announcement(&self) -> Publication {
        announcement(&self.room, Kind::Left, &self.who, Some(self.id))
    }
}

/// What says that a peer of a lobby comes or goes.
pub(super) fn announcement(
    room: &RoomId,
    kind: Kind,
    who: &Presence,
    id: Option<Uuid>,
) -> Publication {
    Publication {
        namespace: room.namespace.clone(),
        room: room.room.clone(),
        kind,
        sender: who.name.clone(),
        to: To::Everybody,
        message: RawValue::NULL.to_owned(),
        origin: Some(who.key),
        retain: Vec::new(),
        token: None,
        id,
        same: None,
    }
}

impl Job {
    pub(super) fn publish(publication: Publication, done: Done) -> Self {
        Self::Publish(Box::new(Outgoing {
            publication,
            is_heard: false,
            done: Some(done),
        }))
    }

    /// A publication that the clients of this node have heard.
    pub(super) fn heard(publication: Publication) -> Self {
        Self::Publish(Box::new(Outgoing {
            publication,
            is_heard: true,
            done: None,
        }))
    }

    pub(super) fn exit(room: RoomId, who: Presence) -> Self {
        Self::Exit(Box::new(Leaving {
            room,
            who,
            id: Uuid::new_v4(),
            is_heard: false,
        }))
    }

    /// What it takes to be asked, in bytes: an estimate.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Publish(outgoing) => outgoing.weight(),
            Self::Seed(_, _, contents) => {
                let history = contents.history.iter();
                history.map(|event| event.weight()).sum()
            }
            Self::Refresh(_, present, _) => present.len() * size_of::<Presence>(),
            _ => size_of::<Self>(),
        }
    }

    /// Whether somebody can be told that it is not done now.
    pub(super) fn can_be_refused(&self) -> bool {
        !matches!(self, Self::Follow(_) | Self::Exit(_))
    }

    /// By what the event is known again that all nodes are to hear of.
    pub(super) fn event(&self) -> Option<Uuid> {
        match self {
            Self::Publish(outgoing) => outgoing.publication.id,
            Self::Exit(leaving) => Some(leaving.id),
            _ => None,
        }
    }

    /// The room that it is about, if it is about one.
    pub(super) fn room(&self) -> Option<RoomId> {
        match self {
            Self::Answer(..) | Self::Listen | Self::Ping => None,
            Self::Publish(outgoing) => Some(outgoing.room()),
            Self::Exit(leaving) => Some(leaving.room.clone()),
            Self::Enter(room, _)
            | Self::Clients(room, _)
            | Self::Terms(room, _)
            | Self::Create(room, ..)
            | Self::Delete(room, ..)
            | Self::Follow(room)
            | Self::Subscribe(room)
            | Self::Unsubscribe(room)
            | Self::Sync(room, _)
            | Self::Seed(room, ..)
            | Self::Renew(room)
            | Self::Ask(room, ..)
            | Self::Question(room, ..)
            | Self::Refresh(room, ..) => Some(room.clone()),
        }
    }

    /// How it is asked; nothing where no namespace has such a room.
    pub(super) fn ask(&self, rules: Option<&Rules>, context: &Context<'_>) -> Option<Ask> {
        let (channel, what) = match (self, self.room()) {
            (Self::Answer(node, answer), _) => {
                let inbox = context.prefix.inbox(node);
                let mut command = ::redis::cmd("SPUBLISH");
                command.arg(&inbox).arg(answer);
                (inbox, Asked::Command(command))
            }
            (Self::Ping, _) => {
                let inbox = context.prefix.inbox(context.node.as_str());
                let mut command = ::redis::cmd("EXISTS");
                command.arg(&inbox);
                (inbox, Asked::Command(command))
            }
            (Self::Listen, _) => {
                let inbox = context.prefix.inbox(context.node.as_str());
                (inbox, Asked::Subscribe)
            }
            (_, room) => {
                let room = room?;
                let channel = context.prefix.channel(&room);
                let asked = self.asked(&room, &channel, rules?, context)?;
                (channel, asked)
            }
        };
        Some(Ask { channel, what })
    }

    fn asked(
        &self,
        room: &RoomId,
        channel: &str,
        rules: &Rules,
        context: &Context<'_>,
    ) -> Option<Asked> {
        // Who knows of events begins no epoch: Redis may have forgotten them.
        let known = context.at.filter(|at| at.number > 0);
        let epoch = match (self, known) {
            (Self::Seed(..) | Self::Sync(..), _) | (_, None) => Epoch::random().to_string(),
            (_, Some(at)) => format!("={}", at.epoch),
        };
        let node = context.node.as_str();
        let may_bury = u8::from(context.may_bury);
        let is_lobby = u8::from(rules.is_lobby);
        let call = |script: Script| {
            let mut command = script.call(channel, &[]);
            command.arg(&epoch);
            command
        };
        Some(Asked::Command(match self {
            Self::Subscribe(_) => return Some(Asked::Subscribe),
            Self::Unsubscribe(_) => return Some(Asked::Unsubscribe),
            // The first two are asked as others, once the node has seen them.
            Self::Follow(_) | Self::Ask(..) | Self::Answer(..) | Self::Listen | Self::Ping => {
                return None;
            }
            Self::Question(_, _, question) => {
                let mut command = Script::Ask.call(channel, &[]);
                command.arg(rules.need.as_str()).arg(question);
                command
            }
            Self::Publish(outgoing) => outgoing.command(channel, &epoch, rules, context),
            Self::Enter(_, who) => {
                let joined = announcement(room, Kind::Joined, who, None);
                let mut command = call(Script::Enter);
                command.arg(node).arg(member(who, rules));
                command.arg(lease()).arg(lasts(rules));
                command.arg(rules.need_to_enter()).arg(rules.most());
                command.arg(frame::write(&joined, context.node));
                command.arg(rules.cap()).arg(may_bury);
                command
            }
            Self::Exit(leaving) => {
                let payload = match rules.is_lobby {
                    true => frame::write(&leaving.announcement(), context.node),
                    false => String::new(),
                };
                let mut command = call(Script::Exit);
                command.arg(node).arg(member(&leaving.who, rules));
                command.arg(payload).arg(rules.cap());
                command
            }
            Self::Clients(..) => {
                let mut command = call(Script::Clients);
                command.arg(NAMES_MOST).arg(is_lobby);
                command.arg(rules.cap()).arg(may_bury);
                command
            }
            Self::Terms(..) => {
                let mut command = ::redis::cmd("HMGET");
                command.arg(format!("{channel}:m")).arg(&["t", "r", "y"]);
                command
            }
            Self::Create(_, terms, _) => {
                let mut command = call(Script::Create);
                command.arg(terms.token_hash.as_bytes());
                command.arg(u8::from(terms.retain)).arg(terms.history);
                command
            }
            Self::Delete(_, token, _) => {
                let mut command = Script::Delete.call(channel, &[]);
                command.arg(token.as_bytes());
                command
            }
            Self::Sync(_, all) => {
                let at = context.at.map(|at| (at.epoch.to_string(), at.number));
                let (known, number) = at.unwrap_or_default();
                let mut command = call(Script::Sync);
                command.arg(rules.need_to_enter()).arg(lasts(rules));
                command.arg(known).arg(number).arg(u8::from(*all));
                command.arg(if rules.is_lobby { node } else { "" });
                command.arg(rules.cap());
                command
            }
            Self::Seed(_, at, contents) => {
                let mut command = call(Script::Seed);
                seed(&mut command, *at, contents, rules, context.node);
                command
            }
            Self::Renew(_) => {
                let mut command = call(Script::Renew);
                command.arg(node).arg(lease()).arg(lasts(rules));
                command.arg(is_lobby).arg(rules.cap()).arg(may_bury);
                command
            }
            Self::Refresh(_, present, is_complete) => {
                let mut command = call(Script::Refresh);
                command.arg(node).arg(lease()).arg(lasts(rules));
                command.arg(is_lobby).arg(rules.cap());
                command.arg(u8::from(*is_complete));
                for who in present {
                    command.arg(member(who, rules));
                    command.arg(context.node.origin(who.key));
                }
                command
            }
        }))
    }
}

impl Outgoing {
    fn command(&self, channel: &str, epoch: &str, rules: &Rules, context: &Context<'_>) -> Cmd {
        let publication = &self.publication;
        let id = publication.id.unwrap_or_default();
        let payload = frame::write(publication, context.node);
        let token = publication.token.as_ref();
        let token = token.map_or(&[][..], TokenHash::as_bytes);
        let need = rules.need.as_str();
        if !has_place(publication) {
            let mut command = Script::Tell.call(channel, &[keys::same(channel, id)]);
            command.arg(epoch).arg(payload).arg(KNOWN_FOR);
            command.arg(need).arg(token);
            command.arg(match &publication.to {
                To::Peer(name) => name.as_str(),
                To::Everybody | To::These(_) => "",
            });
            return command;
        }
        let how = match publication.same {
            None => "",
            Some(same) if same.begins_anew => "afresh",
            Some(_) => "once",
        };
        let mut command = Script::Publish.call(channel, &[keys::same(channel, id)]);
        command.arg(epoch).arg(payload).arg(rules.cap());
        command.arg(lasts(rules)).arg(KNOWN_FOR);
        command.arg(need).arg(token).arg(how).arg(STREAM_LEAST);
        for key in rules.retained_as(publication) {
            command.arg(key);
        }
        command
    }
}

/// A client among those of its node; the peers of a lobby are found by their names.
fn member(who: &Presence, rules: &Rules) -> String {
    match rules.is_lobby {
        true => who.name.to_string(),
        false => format!("{} {}", who.key.number(), who.name),
    }
}

/// The name of a member that another node has written down.
pub(super) fn name_of<'a>(member: &'a str, rules: &Rules) -> &'a str {
    match member.split_once(' ') {
        Some((_, name)) if !rules.is_lobby => name,
        _ => member,
    }
}

fn lease() -> u64 {
    LEASE.as_millis() as u64
}

fn lasts(rules: &Rules) -> u64 {
    rules.lasts()
}

fn seed(command: &mut Cmd, at: Offset, contents: &Contents, rules: &Rules, node: &NodeId) {
    // What has no place among the others' events comes in its turn.
    let is_shared = |number: u64| number <= at.number;
    let history = contents.history.iter();
    let history: Vec<_> = history.filter(|e| is_shared(e.offset.number)).collect();
    command
        .arg(lasts(rules))
        .arg(at.epoch.to_string())
        .arg(at.number);
    command.arg(rules.cap()).arg(history.len());
    for event in history {
        command.arg(event.offset.number);
        command.arg(frame::write_event(event, node));
    }
    for (key, event) in &contents.retained {
        if is_shared(event.offset.number) {
            command.arg(key).arg(frame::write_event(event, node));
        }
    }
}
