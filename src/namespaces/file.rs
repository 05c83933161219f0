//! One namespace's file: its keys, what each takes, and what contradicts what.
//! Knows no folder: whoever has found the file gives its text.

use std::fs;

use crate::core::name::{NamespaceName, Nickname, RoomName};
use crate::core::namespace::{Limits, Namespace, Protocol, PublishFrom, Publisher, Rooms, Verb};
use crate::core::token::Token;
use crate::document::Table;
use crate::problem::{Fault, Origin, Problem, Problems};

/// The most events that a room can keep.
///
/// A room keeps fewer big messages: its history is bounded in bytes as well.
const HISTORY_MOST: usize = 1_000;

/// The most retain keys, fixed rooms or rooms per client: far above any use,
/// and small enough to be searched one by one.
const LIST_MOST: usize = 1_000;

/// The word for [`Rooms::Created`].
const CREATED: &str = "created";

/// The word for [`Rooms::Own`].
const OWN: &str = "own";

/// The biggest message that a namespace can allow, in bytes.
const MESSAGE_MOST: usize = 1024 * 1024;

/// The most events per second that a namespace can allow one client.
const RATE_MOST: usize = 100_000;

/// Reads one file, `stem.toml`; nothing if it says `enabled = false`.
///
/// # Errors
/// Everything that is wrong in it.
pub fn read(stem: &str, called: &str, text: &str) -> Result<Option<Namespace>, Problems> {
    let name = NamespaceName::parse(&format!("/{stem}")).map_err(|error| {
        Problems(vec![Problem {
            origin: Origin::File {
                file: called.to_owned(),
                line: None,
            },
            fault: Fault::WrongValue {
                key: "the name of the file".to_owned(),
                why: error.to_string(),
            },
        }])
    })?;
    let mut table = Table::parse(called, text).map_err(|problem| Problems(vec![problem]))?;
    let enabled = table.boolean("enabled").unwrap_or(true);
    let namespace = fill(Namespace::new(name), &mut table, enabled);
    let problems = table.finish();
    if problems.is_empty() {
        Ok(enabled.then_some(namespace))
    } else {
        Err(Problems(problems))
    }
}

fn fill(mut namespace: Namespace, table: &mut Table<'_>, enabled: bool) -> Namespace {
    namespace.about = table.string("about").unwrap_or_default();
    namespace.reserved = table.string("reserved");
    let protocol = table.word("protocol", &Protocol::ALL, Protocol::as_str);
    let verbs = table.words("verbs", &Verb::ALL, Verb::as_str);
    let publishers = table.words("publishers", &Publisher::ALL, Publisher::as_str);
    namespace.publish_from = table
        .word("publish_from", &PublishFrom::ALL, PublishFrom::as_str)
        .unwrap_or(PublishFrom::Members);
    namespace.rooms = rooms(table);
    namespace.nickname_required = table.boolean("nickname_required").unwrap_or(false);
    namespace.retain = retain(table);
    namespace.history = table
        .number("history", 0..=HISTORY_MOST)
        .unwrap_or(Namespace::HISTORY);
    namespace.durable = table.boolean("durable").unwrap_or(false);
    namespace.presence = table.boolean("presence").unwrap_or(true);
    namespace.limits = limits(table);
    namespace.publish_token = publish_token(table);
    if let Some(protocol) = protocol {
        namespace.protocol = protocol;
    }
    match (verbs, namespace.protocol) {
        (Some(verbs), _) => namespace.verbs = verbs,
        (None, Protocol::Room) => {}
        (None, _) => namespace.verbs.clear(),
    }
    match publishers {
        Some(publishers) => namespace.publishers = publishers,
        // Who leaves NOTIFY out wants clients that only listen.
        None if namespace.protocol == Protocol::Room
            && !namespace.verbs.contains(&Verb::Notify) =>
        {
            namespace.publishers.clear();
        }
        None => {}
    }
    check(&namespace, table, enabled);
    namespace
}

fn rooms(table: &mut Table<'_>) -> Rooms {
    let items = match table.strings_or("rooms", &["open", CREATED, OWN]) {
        Some(Ok(items)) => items,
        Some(Err(CREATED)) => return Rooms::Created,
        Some(Err(OWN)) => return Rooms::Own,
        Some(Err(_)) | None => return Rooms::Open,
    };
    if items.is_empty() || items.len() > LIST_MOST {
        table.wrong("rooms", format!("name 1 to {LIST_MOST} rooms, or \"open\""));
    }
    let mut fixed = Vec::new();
    for item in items {
        match RoomName::parse(&item.text) {
            Ok(room) if fixed.contains(&room) => {
                let why = format!("`{room}` stands there twice");
                table.wrong_at(Some(item.line), "rooms", why);
            }
            Ok(room) => fixed.push(room),
            Err(error) => table.wrong_at(Some(item.line), "rooms", error),
        }
    }
    Rooms::Fixed(fixed)
}

fn retain(table: &mut Table<'_>) -> Vec<String> {
    let items = table.strings("retain").unwrap_or_default();
    if items.len() > LIST_MOST {
        table.wrong("retain", format!("name {LIST_MOST} keys at most"));
    }
    let mut keys: Vec<String> = Vec::new();
    for item in items {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if item.text.is_empty() || !item.text.bytes().all(allowed) {
            let why = format!("`{}` is not a key: a-z, 0-9, - and _", item.text);
            table.wrong_at(Some(item.line), "retain", why);
        } else if keys.contains(&item.text) {
            let why = format!("`{}` stands there twice", item.text);
            table.wrong_at(Some(item.line), "retain", why);
        } else {
            keys.push(item.text);
        }
    }
    keys
}

/// Reads the file that a namespace's file names; its text is never repeated.
fn publish_token(table: &mut Table<'_>) -> Option<Token> {
    let path = table.string("publish_token_file")?;
    let token = fs::read_to_string(&path)
        .map_err(|error| format!("`{path}` can't be read: {error}"))
        .and_then(|text| Token::parse(text.trim()).map_err(|error| format!("`{path}`: {error}")));
    match token {
        Ok(token) => Some(token),
        Err(why) => {
            table.wrong("publish_token_file", why);
            None
        }
    }
}

fn limits(table: &mut Table<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(mut inner) = table.table("limits") else {
        return limits;
    };
    let mut set = |key, most, limit: &mut usize| {
        if let Some(number) = inner.number(key, 1..=most) {
            *limit = number;
        }
    };
    set(
        "nickname_chars",
        Nickname::MOST_CHARS,
        &mut limits.nickname_chars,
    );
    set("room_chars", RoomName::MOST_CHARS, &mut limits.room_chars);
    set("rooms_per_client", LIST_MOST, &mut limits.rooms_per_client);
    set("message_bytes", MESSAGE_MOST, &mut limits.message_bytes);
    let mut set = |key, limit: &mut u32| {
        if let Some(number) = inner.number(key, 1..=RATE_MOST) {
            *limit = u32::try_from(number).expect("the range above fits");
        }
    };
    set("events_per_second", &mut limits.events_per_second);
    set("burst", &mut limits.burst);
    table.absorb(inner);
    limits
}

/// What is right by itself and contradicts something else.
fn check(namespace: &Namespace, table: &mut Table<'_>, enabled: bool) {
    if let Some(why) = &namespace.reserved {
        if why.trim().is_empty() {
            table.wrong("reserved", "say what for: clients are told");
        }
        for key in ["protocol", "verbs", "publishers", "rooms"] {
            if table.has(key) {
                table.wrong(key, "a reserved namespace has none");
            }
        }
        return;
    }
    if enabled && !table.has("protocol") {
        table.missing("protocol", "say \"room\", \"lobby\" or \"trigger\"");
        return;
    }
    let is_created = namespace.rooms == Rooms::Created;
    let publish = namespace.publishers.contains(&Publisher::Clients);
    if namespace.publish_from == PublishFrom::Anyone {
        if !publish {
            let why = "\"anyone\" needs \"clients\" among the publishers";
            table.wrong("publish_from", why);
        }
        if namespace.protocol == Protocol::Lobby {
            let why = "only the members of a lobby can send signals";
            table.wrong("publish_from", why);
        }
        if is_created {
            let why = "\"anyone\" needs rooms that are open or fixed";
            table.wrong("publish_from", why);
        }
    }
    if namespace.protocol != Protocol::Room {
        if table.has("verbs") {
            table.wrong("verbs", "only the protocol \"room\" has verbs");
        }
        if matches!(namespace.rooms, Rooms::Created | Rooms::Own) {
            table.wrong("rooms", "only those of the protocol \"room\" can be that");
        }
        return;
    }
    if namespace.rooms == Rooms::Own {
        let join = namespace.verbs.contains(&Verb::Join);
        if join {
            table.wrong("verbs", "nobody joins a client's own room: say []");
        }
        if namespace.durable {
            table.wrong("durable", "a client's own room ends with it");
        }
    }
    if is_created && namespace.publish_token.is_some() {
        let why = "each room that is created has a token of its own";
        table.wrong("publish_token_file", why);
    }
    let notify = namespace.verbs.contains(&Verb::Notify);
    if notify && !publish && table.has("publishers") {
        table.wrong("publishers", "NOTIFY among the verbs needs \"clients\"");
    }
    if publish && !notify && table.has("verbs") {
        table.wrong("verbs", "\"clients\" among the publishers needs NOTIFY");
    }
    if namespace.verbs.contains(&Verb::Clients) && !namespace.presence {
        table.wrong("presence", "CLIENTS among the verbs needs it");
    }
    if namespace.publish_token.is_some() && !namespace.publishers.contains(&Publisher::Http) {
        table.wrong(
            "publish_token_file",
            "it needs \"http\" among the publishers",
        );
    }
    if let Rooms::Fixed(rooms) = &namespace.rooms {
        let most = namespace.limits.room_chars;
        if let Some(room) = rooms.iter().find(|r| r.as_str().chars().count() > most) {
            let why = format!("`{room}` is longer than limits.room_chars");
            table.wrong("rooms", why);
        }
    }
}
