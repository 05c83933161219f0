//! A service of a few paths behind `roomcast::net`, and its clients.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use roomcast::net::{self, ConnectionHandle, Connections, Limits, PeerAddr, tls::Acceptor};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::Connect;

/// Nothing in these tests takes this long unless it hangs.
pub async fn long<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what)
        .await
        .expect("hangs")
}

/// A WebSocket on the server's side.
pub struct Upgraded {
    pub websocket: WebSocketStream<net::Upgraded>,
}

/// A running server.
pub struct Served {
    pub addr: SocketAddr,
    pub connections: Connections,
    shutdown: CancellationToken,
    task: Option<JoinHandle<()>>,
    upgraded: mpsc::Receiver<Upgraded>,
    endless: mpsc::Receiver<ConnectionHandle>,
}

#[derive(Clone)]
struct Tell {
    upgraded: mpsc::Sender<Upgraded>,
    endless: mpsc::Sender<ConnectionHandle>,
}

impl Served {
    pub fn new(limits: Limits, tls: Option<Acceptor>) -> Self {
        let listener = net::bind("127.0.0.1:0".parse().unwrap(), "--port").unwrap();
        let addr = listener.local_addr().unwrap();
        let (connections, shutdown) = (Connections::new(), CancellationToken::new());
        let (told, upgraded) = mpsc::channel(8);
        let (begun, endless) = mpsc::channel(8);
        let tell = Tell {
            upgraded: told,
            endless: begun,
        };
        let service = tower::service_fn(move |request| answer(request, tell.clone()));
        let task = tokio::spawn(net::serve(
            listener,
            tls,
            limits,
            service,
            shutdown.clone(),
            connections.clone(),
        ));
        Self {
            addr,
            connections,
            shutdown,
            task: Some(task),
            upgraded,
            endless,
        }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    pub async fn upgraded(&mut self) -> Upgraded {
        long(self.upgraded.recv()).await.unwrap()
    }

    pub async fn endless(&mut self) -> ConnectionHandle {
        long(self.endless.recv()).await.unwrap()
    }

    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        long(self.task.take().unwrap()).await.unwrap();
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(mut request: Request<Incoming>, tell: Tell) -> Result<Response<Body>, Infallible> {
    let handle: ConnectionHandle = request.extensions().get().cloned().unwrap();
    Ok(match request.uri().path() {
        "/peer" => {
            let PeerAddr(peer) = request.extensions().get().unwrap();
            text(peer.to_string())
        }
        "/echo" => text(request.into_body().collect().await.unwrap().to_bytes()),
        "/endless" => {
            let _ = tell.endless.send(handle).await;
            let parts = stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[0; 16384]))));
            Response::new(StreamBody::new(parts).boxed_unsync())
        }
        "/websocket" => {
            handle.set_rule(Connect).unwrap();
            let key = &request.headers()[header::SEC_WEBSOCKET_KEY];
            let key = derive_accept_key(key.as_bytes());
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let io = net::upgraded(upgrade).await.unwrap();
                assert!(handle.set_rule(Connect).is_err(), "too late");
                let websocket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
                let _ = tell.upgraded.send(Upgraded { websocket }).await;
            });
            let mut response = text("");
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, "upgrade".parse().unwrap());
            headers.insert(header::UPGRADE, "websocket".parse().unwrap());
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, key.parse().unwrap());
            response
        }
        _ => text("hello"),
    })
}

fn text(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(Full::new(text.into()).boxed_unsync())
}

/// Sends a request; the whole first answer, which declares its length.
pub async fn ask(io: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    io.write_all(request.as_bytes()).await.unwrap();
    io.flush().await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("\r\n\r\n") {
        answer.push(char::from(long(io.read_u8()).await.unwrap()));
    }
    let length = answer.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    long(io.read_exact(&mut body)).await.unwrap();
    answer + std::str::from_utf8(&body).unwrap()
}

/// Everything up to the end of the connection, which must come.
pub async fn read_all(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = String::new();
    long(io.read_to_string(&mut all)).await.unwrap();
    all
}

/// The lines that are logged from now on in this process, at `warn` and above.
pub fn log() -> mpsc::UnboundedReceiver<String> {
    let (lines, log) = mpsc::unbounded_channel();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || Lines(lines.clone()))
        .init();
    log
}

struct Lines(mpsc::UnboundedSender<String>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
