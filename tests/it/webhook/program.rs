//! The door of the program as its users run it: what it says, what it keeps to
//! itself, and how it stops.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::http::Method;
use futures_util::StreamExt;
use serde_json::json;
use tokio::net::TcpStream;

use super::backend::{Backend, Called, Does, ok};
use super::{Client, answered, rest, style};
use crate::http;
use crate::program::{Program, command, run};

/// The default of `--shutdown-timeout`.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// How long a start or an end takes besides what it waits for.
const SLACK: Duration = Duration::from_secs(5);

/// A program with a backend.
pub struct Running {
    pub program: Program,
    pub ws: SocketAddr,
    pub rest: SocketAddr,
}

impl Running {
    pub async fn start(target: &str, options: &[&str]) -> Self {
        Self::start_told(target, options, &[]).await
    }

    async fn start_told(target: &str, options: &[&str], environment: &[(&str, &str)]) -> Self {
        let own = ["--target-address", target, "--webhook-ws", "127.0.0.1:0"];
        let rest = ["--webhook-http", "127.0.0.1:0"];
        let options = [&own[..], &rest, style(options), options].concat();
        let folder = tempfile::tempdir().unwrap();
        let program = Program::start_told(folder, &options, environment).await;
        let address = |words: &str| {
            let url = program.has_said(words);
            url.trim_end_matches('/').parse().unwrap()
        };
        Self {
            ws: address("webhook ws: ws://"),
            rest: address("webhook REST: http://"),
            program,
        }
    }

    /// So many clients that were let in.
    pub async fn clients(&self, count: usize) -> Vec<Client> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(Client::connect(self.ws).await.unwrap());
        }
        clients
    }

    /// What a figure is now.
    pub async fn figure(&self, name: &str) -> f64 {
        let shown = self.program.get("/metrics").await.body;
        let value = shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {name}: {shown}"))
            .parse()
            .unwrap()
    }

    /// Whether the log holds these words, as far as it was read.
    fn says(&self, words: &str) -> bool {
        let mut lines = self.program.seen.iter();
        lines.any(|line| line.contains(words))
    }

    /// Has it stop, while the clients take leave; how long that has taken.
    async fn stop(&mut self, clients: Vec<Client>) -> Duration {
        let begun = Instant::now();
        self.program.signal("TERM").await;
        for mut client in clients {
            assert_eq!(client.closed().await, 1001);
            // The answer to that goes out.
            while let Some(Ok(_)) = client.0.next().await {}
        }
        assert_eq!(self.program.exit().await.code(), Some(0));
        begun.elapsed()
    }
}

fn gone(calls: &[Called]) -> usize {
    let gone = calls.iter().filter(|call| call.method == Method::DELETE);
    gone.count()
}

/// What is not told is said, and waited for no longer than a stop may take.
#[tokio::test]
async fn a_stop_tells_of_all_who_were_there_or_says_how_many_not() {
    const CLIENTS: usize = 20;
    for is_there in [true, false] {
        let mut backend = Backend::start().await;
        let mut running = Running::start(&backend.target(), &[]).await;
        let clients = running.clients(CLIENTS).await;
        if !is_there {
            backend.die().await;
        }
        let took = running.stop(clients).await;
        assert!(took < STOP_LIMIT + SLACK, "{took:?}");
        let says = running.says(&format!(r#""untold":{CLIENTS}"#));
        assert_eq!(
            (gone(&backend.calls()), says),
            match is_there {
                true => (CLIENTS, false),
                false => (0, true),
            }
        );
    }
}

/// Also of those who don't answer to the end.
#[tokio::test]
async fn a_stop_tells_of_clients_that_do_not_answer() {
    let backend = Backend::start().await;
    let mut running = Running::start(&backend.target(), &[]).await;
    let silent = running.clients(3).await;
    let took = running.stop(Vec::new()).await;
    assert!(took < STOP_LIMIT + SLACK, "{took:?}");
    assert_eq!(gone(&backend.calls()), silent.len());
    assert!(!running.says("untold"), "{:#?}", running.program.seen);
}

/// The example that the other program comes with: a backend that says yes to all.
#[tokio::test]
async fn a_backend_that_says_ok_to_everything_is_served() {
    let backend = Backend::start().await;
    let target = format!("http://{}", backend.address);
    let mut running = Running::start(&target, &[]).await;
    let mut client = Client::connect(running.ws).await.unwrap();
    client.send(r#"{"hello":"backend"}"#).await;
    let calls = backend.called(2).await;
    let id = &calls[0].id;
    let path = format!("/{id}");
    let said: serde_json::Value = serde_json::from_str(&calls[0].text()).unwrap();
    let ws_uri = format!("http://localhost:{}/{id}", running.rest.port());
    let expected = json!({"code": "NEW_CONNECTION", "ws_uri": ws_uri, "timeout": 30000});
    assert_eq!(said, expected);
    assert_eq!(
        (&calls[1].path, &*calls[1].text()),
        (&path, r#"{"hello":"backend"}"#)
    );
    let written = rest(running.rest, "PUT", &path, "", "hello client").await;
    assert_eq!((written.status, &*written.body), (200, r#"{"code":"OK"}"#));
    assert_eq!(client.text().await, "hello client");
    let closed = rest(running.rest, "DELETE", &path, "", "").await;
    assert_eq!(answered(&closed), (200, "OK".into()));
    assert_eq!(client.closed().await, 1000);
    drop(client);
    let calls = backend.called(3).await;
    assert_eq!((&calls[2].method, &calls[2].path), (&Method::DELETE, &path));
    running.stop(Vec::new()).await;
}

#[tokio::test]
async fn refusals_are_logged_once_a_minute() {
    let backend = Backend::start().await;
    backend.does(|_| Does::Answers(403, String::new()));
    let mut running = Running::start(&backend.target(), &[]).await;
    for _ in 0..20 {
        assert_eq!(Client::connect(running.ws).await.err(), Some(403));
    }
    running.stop(Vec::new()).await;
    let lines = running.program.seen.iter();
    let refusals = lines.filter(|line| line.contains("rejected a client"));
    assert_eq!(refusals.count(), 1, "{:#?}", running.program.seen);
}

#[tokio::test]
async fn nothing_secret_is_logged() {
    /// Whatever holds this is nobody's business but the sender's.
    const SECRET: &str = "hunter2";
    let mut backend = Backend::start().await;
    let target = format!("{}?token={SECRET}", backend.target());
    let mut running = Running::start(&target, &["-v", "--webhook-retry", "1s"]).await;
    let bearer = format!("Bearer {SECRET}");
    let headers = [("authorization", &*bearer)];
    for does in [
        Does::Answers(200, format!(r#"{{"code":"{SECRET}"}}"#)),
        Does::Answers(200, format!(r#""{SECRET}""#)),
        Does::Answers(500, SECRET.to_owned()),
    ] {
        backend.does(move |_| does.clone());
        assert!(Client::connect_with(running.ws, &headers).await.is_err());
    }
    let odd = format!(r#"{{"code":"OK","send":"{SECRET}","rooms":["{SECRET}"]}}"#);
    backend.does(move |_| Does::Answers(200, odd.clone()));
    let mut client = Client::connect_with(running.ws, &headers).await.unwrap();
    backend.does(|_| ok());
    client.send(SECRET).await;
    backend.called(5).await;
    let line = format!("Authorization: {bearer}\r\nX-Token: {SECRET}\r\n");
    for path in ["/0", "/0?token=hunter2", "/0/1/2/3/4"] {
        rest(running.rest, "PUT", path, &line, SECRET).await;
    }
    let broken = format!("GET /?{SECRET} HTTP/1.1\r\nAuthorization {SECRET}\r\n\r\n");
    http::ask(TcpStream::connect(running.ws).await.unwrap(), &broken).await;
    backend.die().await;
    client.send(SECRET).await;
    assert_eq!(client.closed().await, 1011);
    assert!(Client::connect_with(running.ws, &headers).await.is_err());
    drop(client);
    running
        .program
        .line("could not tell the backend that a connection has closed")
        .await;
    running.stop(Vec::new()).await;
    for words in [
        "rejected a client",
        "can't be read",
        "could not deliver a client's message",
        "is tried again",
    ] {
        assert!(running.says(words), "{words}: {:#?}", running.program.seen);
    }
    for line in &running.program.seen {
        assert!(!line.contains(SECRET), "{line}");
    }
}

/// As in an image that holds nothing but the program.
#[tokio::test]
async fn a_system_without_authorities_serves_a_backend_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().to_str().unwrap();
    let environment = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", none)];
    let backend = Backend::start().await;
    let running = Running::start_told(&backend.target(), &[], &environment).await;
    assert!(Client::connect(running.ws).await.is_ok());

    let options = ["--port", "0", "--webhook-ws", "127.0.0.1:0"];
    let rest = ["--zetta-listen", "off", "--webhook-http", "127.0.0.1:0"];
    let target = ["--target-address", "https://localhost:1"];
    let mut command = command(folder.path(), &[&options[..], &rest, &target].concat());
    command.envs(environment);
    let ended = run(command).await;
    assert_eq!(ended.code, Some(1));
    let says = ended
        .stderr
        .contains("certificate authorities can't be read");
    assert!(says, "{}", ended.stderr);
}
