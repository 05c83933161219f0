//! A real HTTP backend in the test's process, which can be slow, refuse, answer
//! rubbish, die and come back. Knows what it was told, and no server under test.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream::pending;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::SOON;

/// One call, as it came.
#[derive(Clone, Debug)]
pub struct Called {
    pub method: Method,
    /// The last part of the path.
    pub id: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Called {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// What it does with a call.
#[derive(Clone, Debug)]
pub enum Does {
    /// Answers so.
    Answers(u16, String),
    /// Answers so, and wants to be asked again after so many seconds.
    Wants(u16, Option<u64>),
    /// Takes it, and never says what it was going to.
    Stalls,
    /// Says nothing until it is told to do something else.
    Hangs,
}

type Rule = Arc<dyn Fn(&Called) -> Does + Send + Sync>;

/// What a backend was told, for as long as the test lives: also over its deaths.
pub struct Backend {
    pub address: SocketAddr,
    told: Arc<Told>,
    running: Option<JoinHandle<()>>,
}

struct Told {
    /// Guards what was called, in order.
    calls: Mutex<Vec<Called>>,
    count: watch::Sender<usize>,
    rule: watch::Sender<Rule>,
}

/// Answers `{"code":"OK"}` to everything.
pub fn ok() -> Does {
    Does::Answers(200, r#"{"code":"OK"}"#.to_owned())
}

impl Backend {
    pub async fn start() -> Self {
        let rule: Rule = Arc::new(|_| ok());
        let told = Arc::new(Told {
            calls: Mutex::default(),
            count: watch::Sender::new(0),
            rule: watch::Sender::new(rule),
        });
        let mut backend = Self {
            address: ([127, 0, 0, 1], 0).into(),
            told,
            running: None,
        };
        backend.come_back();
        backend
    }

    /// What `--target-address` is.
    pub fn target(&self) -> String {
        format!("http://{}/websocket", self.address)
    }

    /// From here on it does this; what hangs is done anew.
    pub fn does(&self, rule: impl Fn(&Called) -> Does + Send + Sync + 'static) {
        self.told.rule.send_replace(Arc::new(rule));
    }

    /// Nobody listens any more, and all connections are cut.
    pub async fn die(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// Listens again, where it did before.
    pub fn come_back(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(4096).unwrap();
        self.address = listener.local_addr().unwrap();
        self.running = Some(tokio::spawn(serve(listener, self.told.clone())));
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Called> {
        self.told.calls.lock().unwrap().clone()
    }

    /// The calls of one connection, in order.
    pub fn calls_of(&self, id: &str) -> Vec<Called> {
        let calls = self.calls();
        calls.into_iter().filter(|call| call.id == id).collect()
    }

    /// Waits until so many calls have come.
    pub async fn called(&self, count: usize) -> Vec<Called> {
        self.until(|calls| calls.len() >= count).await
    }

    /// Waits until what has come is as wanted.
    pub async fn until(&self, wanted: impl Fn(&[Called]) -> bool) -> Vec<Called> {
        self.within(SOON, wanted).await
    }

    pub async fn within(&self, limit: Duration, wanted: impl Fn(&[Called]) -> bool) -> Vec<Called> {
        let mut count = self.told.count.subscribe();
        let wait = count.wait_for(|_| wanted(&self.told.calls.lock().unwrap()));
        if timeout(limit, wait).await.is_err() {
            let calls = self.calls();
            let last: Vec<_> = calls.iter().rev().take(5).collect();
            panic!("{} calls, the last ones {last:#?}", calls.len());
        }
        self.calls()
    }
}

async fn serve(listener: TcpListener, told: Arc<Told>) {
    let router = Router::new().fallback(answer).with_state(told);
    // In tasks of this one's: they end with it, as a process does.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            continue;
        };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let io = hyper_util::rt::TokioIo::new(tcp);
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(io, service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    State(told): State<Arc<Told>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let called = Called {
        method,
        id: path.rsplit('/').next().unwrap_or_default().to_owned(),
        path,
        headers,
        body,
    };
    told.calls.lock().unwrap().push(called.clone());
    told.count.send_modify(|count| *count += 1);
    let mut rule = told.rule.subscribe();
    loop {
        let does = rule.borrow_and_update()(&called);
        match does {
            Does::Answers(status, body) => {
                return (StatusCode::from_u16(status).unwrap(), body).into_response();
            }
            Does::Wants(status, seconds) => {
                let after = seconds.map(|seconds| [("retry-after", seconds.to_string())]);
                let status = StatusCode::from_u16(status).unwrap();
                return match after {
                    Some(after) => (status, after).into_response(),
                    None => status.into_response(),
                };
            }
            Does::Stalls => {
                return Body::from_stream(pending::<Result<Bytes, Infallible>>()).into_response();
            }
            Does::Hangs => rule.changed().await.unwrap(),
        }
    }
}
