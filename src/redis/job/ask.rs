//! How each job is asked of Redis: its command and what that takes. Knows no answers.

use ::redis::Cmd;
use uuid::Uuid;

use super::{Job, LEASE, Outgoing, announcement};
use crate::core::broker::Presence;
use crate::core::durable::Contents;
use crate::core::event::{Epoch, Kind, Offset, To};
use crate::core::name::RoomId;
use crate::core::token::TokenHash;
use crate::redis::frame::{self, NodeId};
use crate::redis::keys::{self, Prefix};
use crate::redis::link::{Ask, Asked};
use crate::redis::rules::{Need, Rules, STREAM_LEAST, has_place};
use crate::redis::script::Script;

/// How long an event is known again by its id, in milliseconds: ten minutes. A node that
/// can't reach Redis for longer may publish again what was under way when that began.
const KNOWN_FOR: u64 = 10 * 60 * 1000;

/// What a job needs to be asked.
pub(in crate::redis) struct Context<'a> {
    pub(in crate::redis) prefix: &'a Prefix,
    pub(in crate::redis) node: &'a NodeId,
    /// Whether nodes that say nothing may be taken for gone.
    pub(in crate::redis) may_bury: bool,
    /// How far the node has come in the room.
    pub(in crate::redis) at: Option<Offset>,
    /// Who of this node is in the room, where that is to be said.
    pub(in crate::redis) present: Vec<Presence>,
}

impl Job {
    /// How it is asked; nothing where no namespace has such a room.
    pub(in crate::redis) fn ask(
        &self,
        rules: Option<&Rules>,
        context: &Context<'_>,
    ) -> Option<Ask> {
        let (channel, what) = match (self, self.room()) {
            (Self::Answer(node, answer), _) => {
                let inbox = context.prefix.inbox(node);
                let mut command = ::redis::cmd("SPUBLISH");
                command.arg(&inbox).arg(answer);
                (inbox, Asked::Command(command))
            }
            (Self::Count(room, ..), _) => {
                let key = context.prefix.created(&room.namespace);
                let mut command = ::redis::cmd("SCARD");
                command.arg(&key);
                (key, Asked::Command(command))
            }
            (Self::Counted(room, is_new), _) => {
                let key = context.prefix.created(&room.namespace);
                let mut command = ::redis::cmd(if *is_new { "SADD" } else { "SREM" });
                command.arg(&key).arg(room.room.as_str());
                (key, Asked::Command(command))
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
            Self::Follow(_)
            | Self::Ask(..)
            | Self::Answer(..)
            | Self::Listen
            | Self::Count(..)
            | Self::Counted(..)
            | Self::Ping => return None,
            Self::Question(_, _, question) => {
                let mut command = Script::Ask.call(channel, &[]);
                command.arg(rules.need.as_str()).arg(question);
                command
            }
            Self::Publish(outgoing) => outgoing.command(channel, &epoch, rules, context),
            Self::Lost(_, id) => {
                let payload = frame::write_lost(*id);
                publish(channel, *id, &epoch, &payload, rules, &[], "")
            }
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
                command.arg(u8::from(rules.need == Need::Own));
                command
            }
            Self::Clients(_, page, _) => {
                let mut command = call(Script::Clients);
                // One name more than the page shows whether there is another page.
                command.arg(page.limit() + 1).arg(page.after).arg(is_lobby);
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
            Self::Refresh(_, is_complete) => {
                let mut command = call(Script::Refresh);
                command.arg(node).arg(lease()).arg(lasts(rules));
                command.arg(is_lobby).arg(rules.cap());
                command.arg(u8::from(*is_complete));
                for who in &context.present {
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
        let mut command = publish(channel, id, epoch, &payload, rules, token, how);
        for key in rules.retained_as(publication) {
            command.arg(key);
        }
        command
    }
}

/// Appends an entry to the stream of a room, and sends it to all nodes.
fn publish(
    channel: &str,
    id: Uuid,
    epoch: &str,
    payload: &str,
    rules: &Rules,
    token: &[u8],
    how: &str,
) -> Cmd {
    let mut command = Script::Publish.call(channel, &[keys::same(channel, id)]);
    command.arg(epoch).arg(payload).arg(rules.cap());
    command.arg(lasts(rules)).arg(KNOWN_FOR);
    let need = rules.need.as_str();
    command.arg(need).arg(token).arg(how).arg(STREAM_LEAST);
    command
}

/// A client among those of its node; the peers of a lobby are found by their names.
fn member(who: &Presence, rules: &Rules) -> String {
    match rules.is_lobby {
        true => who.name.to_string(),
        false => format!("{} {}", who.key.number(), who.name),
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

/// The name of a member that another node has written down.
pub(in crate::redis) fn name_of<'a>(member: &'a str, rules: &Rules) -> &'a str {
    match member.split_once(' ') {
        Some((_, name)) if !rules.is_lobby => name,
        _ => member,
    }
}
