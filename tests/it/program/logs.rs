//! The log of the running program: its two formats, and what is never in it.

use serde_json::Value;

use super::{Program, command, run, taken};
use crate::client::Client;
use crate::http;
use crate::server::song;
use crate::source::Source;

/// Whatever holds this is nobody's business but the sender's.
const SECRET: &str = "hunter2";

/// Everything that the program says while it is used, up to its end.
async fn used(options: &[&str]) -> Vec<String> {
    let mut program = Program::start(&[&["-v"], options].concat()).await;
    let credentials = format!("Authorization: Bearer {SECRET}\r\n");
    for (method, target) in [
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/nothing"),
        ("POST", "/socket.io/"),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=none"),
        ("GET", "/socket.io/?EIO=9"),
    ] {
        let sign = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{sign}token={SECRET}");
        let answer = program.ask(method, &target, &credentials).await;
        assert_ne!(answer.status, 0, "{method} {target}");
    }
    // Not HTTP, and more than a head may hold.
    let long = format!("Cookie: {}\r\n", SECRET.repeat(10_000));
    for broken in [
        format!("GET /?{SECRET} HTTP/1.1\r\nAuthorization {SECRET}\r\n\r\n"),
        format!("GET /?{SECRET} {SECRET}\r\n\r\n"),
        format!("GET /?{SECRET} HTTP/1.1\r\n{long}\r\n"),
    ] {
        let answer = http::ask(program.connect().await, &broken).await;
        assert!((400..500).contains(&answer.status), "{}", answer.head);
    }
    let mut client = Client::open(program.address).await;
    client.set_namespace("/bus");
    client
        .send(format!(r#"40/bus,{{"token":"{SECRET}"}}"#))
        .await;
    client.connected().await.unwrap();
    client.join(SECRET).await;
    drop(client);
    program.line("disconnected").await;

    let path = format!(r#"<Asset File="\\studio\{SECRET}.wav" "#);
    let document = song(0, "A").replace("<Asset ", &path);
    assert!(document.contains(SECRET));
    let advertiser = song(9, SECRET)
        .replace("SONG", "SPOT")
        .replace("The Smiths", SECRET);
    let unreadable = document.replace("</LogEvent>", "</Wrong>");
    let declared = document.replace(
        "<ZettaLite",
        &format!("<!DOCTYPE z SYSTEM \"{SECRET}\"><ZettaLite"),
    );
    let cut = &document[..document.find("Title").unwrap()];
    let posted = format!(
        "POST /?{SECRET} HTTP/1.1\r\n{credentials}Content-Length: {}\r\n\r\n{document}",
        document.len()
    );
    let asked = format!("GET /?{SECRET} HTTP/1.1\r\n{credentials}\r\n");
    for text in [
        &document,
        &advertiser,
        &unreadable,
        &declared,
        cut,
        &posted,
        &asked,
    ] {
        program.feed(text).await;
    }
    program.line("only POST and PUT").await;
    program.signal("TERM").await;
    assert_eq!(program.exit().await.code(), Some(0));
    // Else nothing was looked at.
    for words in [
        "on air",
        "a document can't be read",
        "a sender went away inside a document",
        "only POST and PUT of ZettaLite documents are served on this port",
        "a sender has gone",
        "stopped",
    ] {
        let mut lines = program.seen.iter();
        assert!(lines.any(|line| line.contains(words)), "{words}");
    }
    program.seen
}

fn object(line: &str) -> Value {
    let object: Value = serde_json::from_str(line).unwrap_or_else(|error| {
        panic!("{error}: {line}");
    });
    assert!(object["level"].is_string(), "{line}");
    assert!(object["message"].is_string(), "{line}");
    object
}

#[tokio::test]
async fn no_secret_is_logged_and_every_line_is_of_the_format() {
    // Without the option: JSON, as stderr is no terminal here.
    for (options, json) in [
        (&["--log-format", "json"][..], true),
        (&["--log-format", "text"], false),
        (&[], true),
    ] {
        let lines = used(options).await;
        for line in &lines {
            assert!(!line.to_lowercase().contains(SECRET), "{line}");
            assert!(!line.contains('\u{1b}'), "{line}");
            if json {
                object(line);
            }
        }
        let debug = |line: &String| line.contains("DEBUG");
        assert!(lines.iter().any(debug), "-v shows no more than usual");
    }
}

/// The reason for the end is a line of the log as well.
#[tokio::test]
async fn a_failed_start_is_logged_in_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, port) = taken();
    let options = ["--host", "127.0.0.1", "--port", &port];
    let rest = ["--zetta-listen", "off", "--log-format"];
    for format in ["json", "text"] {
        let arguments = [&options[..], &rest, &[format]].concat();
        let ended = run(command(folder.path(), &arguments)).await;
        assert_eq!(ended.code, Some(1));
        let last = ended.stderr.lines().last().unwrap();
        assert!(last.contains("is already in use"), "{last}");
        if format == "json" {
            for line in ended.stderr.lines() {
                object(line);
            }
            assert_eq!(object(last)["level"], "ERROR");
        }
    }
}

/// What ends it is said even where nothing is logged.
#[tokio::test]
async fn the_log_is_as_loud_and_as_coloured_as_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (_listener, port) = taken();
    let options = ["--host", "127.0.0.1", "--port", &port];
    let rest = ["--zetta-listen", "off", "--log-format", "text"];
    for (more, logged, coloured) in [
        (["--log-style", "auto"], true, false),
        (["--log-style", "always"], true, true),
        (["--log-level", "error"], true, false),
        (["--log-level", "off"], false, false),
    ] {
        let arguments = [&options[..], &rest, &more].concat();
        let ended = run(command(folder.path(), &arguments)).await;
        assert_eq!(ended.code, Some(1));
        let last = ended.stderr.lines().last().unwrap();
        assert!(last.contains("is already in use"), "{last}");
        assert_eq!(last.starts_with("server: "), !logged, "{more:?}: {last}");
        assert_eq!(last.contains('\u{1b}'), coloured, "{more:?}: {last}");
    }
}

/// As in `server 2>&1 | head`: nobody reads the log any more.
#[tokio::test]
async fn a_log_that_nobody_takes_stops_nothing() {
    let mut program = Program::start(&[]).await;
    program.lines.close();
    let events = "/events/metadata/now-playing";
    let mut source = Source::open(program.address, events, "").await;
    assert_eq!(source.told().await.event, "joined");
    for start in 1..=5 {
        let title = format!("Song {start}");
        program.feed(&song(start, &title)).await;
        assert_eq!(source.told().await.data["message"]["track"], title);
    }
    program.signal("TERM").await;
    assert_eq!(program.exit().await.code(), Some(0));
}
