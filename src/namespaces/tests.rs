//! Tests of reading namespaces: the built-in files, folders, and what is wrong.

use super::*;
use crate::core::name::RoomName;
use crate::core::namespace::Verb;

fn by_name<'a>(namespaces: &'a [Namespace], name: &str) -> &'a Namespace {
    namespaces
        .iter()
        .find(|n| n.name.as_str() == name)
        .unwrap_or_else(|| panic!("{name} is missing"))
}

fn wrong(text: &str) -> String {
    read("x", "x.toml", text).unwrap_err().to_string()
}

#[test]
fn the_built_in_files_load() {
    let all = load(None).unwrap();
    let names: Vec<_> = all.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "/bus",
            "/layout",
            "/lobby",
            "/metadata",
            "/push",
            "/schedule",
            "/trigger",
            "/webhook"
        ]
    );
    assert!(all.iter().all(|n| !n.about.is_empty()));

    let metadata = by_name(&all, "/metadata");
    assert_eq!(metadata.verbs, [Verb::Join, Verb::Leave, Verb::Clients]);
    assert_eq!(metadata.publishers, [Publisher::Http, Publisher::Feed]);
    assert_eq!(metadata.retain, ["song", "current"]);
    assert!(metadata.durable && metadata.presence && !metadata.nickname_required);
    let rooms = ["now-playing", "next"].map(|r| RoomName::parse(r).unwrap());
    assert_eq!(metadata.rooms, Rooms::Fixed(rooms.to_vec()));

    assert!(by_name(&all, "/schedule").reserved.is_some());
    for name in ["/layout", "/bus"] {
        let open = by_name(&all, name);
        assert_eq!(open.verbs, Verb::ALL);
        assert_eq!(open.rooms, Rooms::Open);
        assert!(open.nickname_required && open.retain.is_empty() && open.history > 0);
        let http = open.publishers.contains(&Publisher::Http);
        assert_eq!(http, name == "/bus");
    }
    for (name, protocol) in [("/lobby", Protocol::Lobby), ("/trigger", Protocol::Trigger)] {
        let other = by_name(&all, name);
        assert_eq!(other.protocol, protocol);
        assert!(other.presence && other.verbs.is_empty() && other.reserved.is_none());
    }
}

#[test]
fn a_folder_adds_overrides_and_removes() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("news.toml", "protocol = \"room\"\nretain = [\"latest\"]");
    put("layout.toml", "protocol = \"room\"\nhistory = 7");
    put("trigger.toml", "enabled = false");
    put("README.md", "not a namespace");
    put(".hidden.toml", "not = TOML = at all");

    let all = load(Some(folder.path())).unwrap();
    let names: Vec<_> = all.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "/bus",
            "/layout",
            "/lobby",
            "/metadata",
            "/news",
            "/push",
            "/schedule",
            "/webhook"
        ]
    );
    assert_eq!(by_name(&all, "/news").retain, ["latest"]);
    let layout = by_name(&all, "/layout");
    assert_eq!(layout.history, 7);
    // The file stands in the place of the whole built-in one.
    assert!(!layout.nickname_required);
}

#[test]
fn everything_wrong_in_all_files_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("a.toml", "protocol = \"rooom\"\nhistroy = 5");
    put("B_b.toml", "");
    put("c.toml", "protocol = ");
    let message = load(Some(folder.path())).unwrap_err().to_string();
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), 4, "{message}");
    for (part, at) in [
        ("B_b.toml: the name of the file", 0),
        (
            "a.toml:1: protocol: unknown value `rooom`; did you mean `room`?",
            1,
        ),
        (
            "a.toml:2: unknown key `histroy`; did you mean `history`?",
            2,
        ),
        ("c.toml:1: not TOML", 3),
    ] {
        assert!(lines[at].contains(part), "{message}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = load(Some(&folder.path().join("nowhere"))).unwrap_err();
    assert!(error.to_string().contains("nowhere: can't be read"));
}

#[test]
fn what_is_wrong_is_named_with_line_and_key() {
    for (text, expected) in [
        ("", "x.toml: `protocol` is missing"),
        (
            "protocol = 3",
            "x.toml:1: protocol: expected a string, found a whole number",
        ),
        (
            "\nprotocol = \"lobbi\"",
            "x.toml:2: protocol: unknown value `lobbi`; did you mean `lobby`?",
        ),
        (
            "protocol = \"room\"\nverbs = [\n  \"JOIN\",\n  \"NOTFIY\"]",
            "x.toml:4: verbs: unknown value `NOTFIY`; did you mean `NOTIFY`?",
        ),
        (
            "protocol = \"room\"\nverbs = [\"join\"]",
            "x.toml:2: verbs: unknown value `join`; did you mean `JOIN`?",
        ),
        (
            "protocol = \"room\"\nverbs = [\"JOIN\", 3]",
            "x.toml:2: verbs: expected strings in the list, found a whole number",
        ),
        (
            "protocol = \"room\"\npublishers = \"feed\"",
            "x.toml:2: publishers: expected a list of strings, found a string",
        ),
        (
            "protocol = \"room\"\nhistory = \"100\"",
            "x.toml:2: history: expected a whole number from 0 to 1000, found a string",
        ),
        (
            "protocol = \"room\"\nhistory = -1",
            "x.toml:2: history: expected a whole number from 0 to 1000, found -1",
        ),
        (
            "protocol = \"room\"\nhistory = 1.5",
            "x.toml:2: history: expected a whole number from 0 to 1000, found a number",
        ),
        (
            "protocol = \"room\"\ndurable = 1",
            "x.toml:2: durable: expected true or false, found a whole number",
        ),
        (
            "protocol = \"room\"\nrooms = \"opne\"",
            "x.toml:2: rooms: expected \"open\", \"created\", \"own\" or a list of strings, found \"opne\"",
        ),
        (
            "protocol = \"trigger\"\nrooms = \"created\"",
            "x.toml:2: rooms: only those of the protocol \"room\" can be that",
        ),
        (
            "protocol = \"room\"\nverbs = []\nrooms = \"own\"\ndurable = true",
            "x.toml:4: durable: a client's own room ends with it",
        ),
        (
            "protocol = \"room\"\nverbs = [\"JOIN\"]\nrooms = \"own\"",
            "x.toml:2: verbs: nobody joins a client's own room: say []",
        ),
        (
            "protocol = \"room\"\nrooms = []",
            "x.toml:2: rooms: name 1 to",
        ),
        (
            "protocol = \"room\"\nrooms = [\"a\", \"\"]",
            "x.toml:2: rooms: the name of the room is empty",
        ),
        (
            "protocol = \"room\"\nrooms = [\"a\", \"a\"]",
            "x.toml:2: rooms: `a` stands there twice",
        ),
        (
            "protocol = \"room\"\nretain = [\"A b\"]",
            "x.toml:2: retain: `A b` is not a key",
        ),
        (
            "protocol = \"room\"\nnickname-required = true",
            "x.toml:2: unknown key `nickname-required`; did you mean `nickname_required`?",
        ),
        (
            "protocol = \"room\"\n[limits]\nbrust = 3",
            "x.toml:3: unknown key `limits.brust`; did you mean `burst`?",
        ),
        (
            "protocol = \"room\"\n[limits]\nroom_chars = 257",
            "x.toml:3: limits.room_chars: expected a whole number from 1 to 256, found 257",
        ),
        (
            "protocol = \"room\"\nlimits = 3",
            "x.toml:2: limits: expected a table [limits], found a whole number",
        ),
        (
            "protocol = \"room\"\nverbs = [\"JOIN\"]\npublishers = [\"clients\"]",
            "x.toml:2: verbs: \"clients\" among the publishers needs NOTIFY",
        ),
        (
            "protocol = \"room\"\npublishers = [\"http\"]",
            "x.toml:2: publishers: NOTIFY among the verbs needs \"clients\"",
        ),
        (
            "protocol = \"room\"\npresence = false",
            "x.toml:2: presence: CLIENTS among the verbs needs it",
        ),
        (
            "protocol = \"lobby\"\nverbs = [\"JOIN\"]",
            "x.toml:2: verbs: only the protocol \"room\" has verbs",
        ),
        (
            "reserved = \"later\"\nprotocol = \"room\"",
            "x.toml:2: protocol: a reserved namespace has none",
        ),
        ("reserved = \"\"", "x.toml:1: reserved: say what for"),
        (
            "protocol = \"room\"\nprotocol = \"room\"",
            "x.toml:2: not TOML: duplicate key",
        ),
        (
            "enabled = false\nhistroy = 3",
            "x.toml:2: unknown key `histroy`",
        ),
    ] {
        let message = wrong(text);
        assert!(
            message.starts_with(expected),
            "{text:?}\n{message}\nnot {expected}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn clients_only_listen_where_they_can_not_notify() {
    let text = "protocol = \"room\"\nverbs = [\"JOIN\"]";
    let namespace = read("x", "x.toml", text).unwrap().unwrap();
    assert!(namespace.publishers.is_empty());
}

#[test]
fn the_feed_needs_its_namespace() {
    let feed = "protocol = \"room\"\nverbs = [\"JOIN\"]\npublishers = [\"feed\"]";
    for (text, expected) in [
        ("enabled = false", "there is none"),
        ("reserved = \"later\"", "it is reserved"),
        ("protocol = \"lobby\"", "its protocol is not \"room\""),
        (
            "protocol = \"room\"",
            "\"feed\" is not among its publishers",
        ),
        (
            &format!("{feed}\nrooms = [\"now-playing\"]"),
            "its rooms lack \"next\"",
        ),
        (feed, ""),
    ] {
        let read = read("metadata", "metadata.toml", text).unwrap();
        let checked = check_feed(&Vec::from_iter(read));
        let message = checked.err().map(|error| error.to_string());
        assert_eq!(message.is_some(), !expected.is_empty(), "{text}");
        assert!(message.unwrap_or_default().contains(expected), "{text}");
    }
    assert_eq!(check_feed(&load(None).unwrap()), Ok(()));
}
