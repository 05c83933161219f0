//! The program as its users run it: a child process, its output, its exit code.

mod check;
mod headers;
mod healthcheck;
mod logs;
mod metrics;
mod output;
mod push_secrets;
mod signals;
mod simulate;
mod start;
mod status;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::client::SOON;
use crate::http::{self, Answer, host_unless_in};
use crate::net::tls;
use crate::server::feed;

/// Ports that are free, on this machine only.
const FREE: [&str; 6] = [
    "--host",
    "127.0.0.1",
    "--port",
    "0",
    "--zetta-listen",
    "127.0.0.1:0",
];

/// The program in a folder, told nothing by the environment of the tests.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        // As systemd says it: nothing is left behind by the tests.
        .env("RUNTIME_DIRECTORY", folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// What a program has left that ended by itself.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub async fn run(mut command: Command) -> Ended {
    let output = timeout(SOON, command.output())
        .await
        .expect("the program goes on")
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A port that is taken for as long as the listener lives.
fn taken() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, port)
}

fn word_after(line: &str, words: &str) -> Option<String> {
    let (_, rest) = line.split_once(words)?;
    rest.split(['"', ' ']).next().map(str::to_owned)
}

pub async fn signal(child: &Child, name: &str) {
    // Every shell has `kill`, and not every system `/bin/kill`.
    let kill = format!("kill -{name} {}", child.id().unwrap());
    let status = Command::new("sh").args(["-c", &kill]).status().await;
    assert!(status.unwrap().success());
}

/// A server that runs; it is killed when this is dropped.
pub struct Program {
    child: Child,
    pub folder: TempDir,
    lines: UnboundedReceiver<String>,
    /// Every line of stderr that was read so far.
    pub seen: Vec<String>,
    url: String,
    pub address: SocketAddr,
    zetta: SocketAddr,
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for T {}

impl Program {
    pub async fn start(options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options).await
    }

    /// Starts on free ports, and waits until it has said which.
    pub async fn start_in(folder: TempDir, options: &[&str]) -> Self {
        Self::start_told(folder, options, &[]).await
    }

    /// The same, where the environment says something as well.
    pub async fn start_told(
        folder: TempDir,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = command(folder.path(), &[&FREE[..], options].concat())
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, lines) = unbounded_channel();
        // Also while no test looks: a full pipe would hold the program up.
        tokio::spawn(async move {
            while let Some(line) = stderr.next_line().await.unwrap() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut program = Self {
            child,
            folder,
            lines,
            seen: Vec::new(),
            url: String::new(),
            address: nowhere,
            zetta: nowhere,
        };
        program.url = program.said("Socket.IO: ").await;
        let (_, rest) = program.url.split_once("://").unwrap();
        program.address = rest.trim_end_matches("/socket.io/").parse().unwrap();
        let zetta = program.said("Zetta: tcp://").await;
        program.zetta = zetta.parse().unwrap();
        program
    }

    /// Where something listens, as it has said at its start.
    pub fn address_of(&self, what: &str) -> SocketAddr {
        let said = self.seen.iter().find_map(|line| {
            let (_, rest) = line.split_once(&format!("{what}: "))?;
            let (_, address) = rest.split_once("://")?;
            address.split(['/', '"', ' ']).next()
        });
        said.expect("it does not listen there").parse().unwrap()
    }

    /// The next line of stderr that holds the words.
    pub async fn line(&mut self, words: &str) -> String {
        while let Some(line) = self.next_line().await {
            if line.contains(words) {
                return line;
            }
        }
        panic!("no line with {words:?}: {:#?}", self.seen);
    }

    /// The word after these, in the next line that holds them.
    async fn said(&mut self, words: &str) -> String {
        let line = self.line(words).await;
        word_after(&line, words).unwrap()
    }

    /// The word after these, in what was said so far.
    pub fn has_said(&self, words: &str) -> String {
        let mut found = self.seen.iter().filter_map(|line| word_after(line, words));
        found
            .next()
            .unwrap_or_else(|| panic!("no {words:?}: {:#?}", self.seen))
    }

    async fn next_line(&mut self) -> Option<String> {
        let line = timeout(SOON, self.lines.recv())
            .await
            .unwrap_or_else(|_| panic!("nothing more is said: {:#?}", self.seen));
        self.seen.extend(line.clone());
        line
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal by its short name, as in `kill -TERM`.
    pub async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// Waits for the end of the program, and of what it says.
    pub async fn exit(&mut self) -> ExitStatus {
        while self.next_line().await.is_some() {}
        timeout(SOON, self.child.wait())
            .await
            .expect("the program goes on")
            .unwrap()
    }

    /// A connection to the main port; who speaks TLS trusts the folder's own
    /// certificate and no other.
    async fn connect(&self) -> Box<dyn Stream> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        if !self.url.starts_with("https:") {
            return Box::new(tcp);
        }
        let certs = self.folder.path().join("certs");
        let mut files = ["server.crt", tls::CERT_FILE]
            .map(|name| certs.join(name))
            .into_iter();
        let cert = files.find(|file| file.exists()).unwrap();
        Box::new(tls::handshake(tcp, &cert, tls::BOTH).await.unwrap())
    }

    /// Sends a request without a body; `headers` end with a line's end each.
    async fn ask(&self, method: &str, target: &str, headers: &str) -> Answer {
        let host = host_unless_in(headers);
        let request =
            format!("{method} {target} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n");
        http::ask(self.connect().await, &request).await
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    /// Writes to the Zetta port, and waits until the server has taken it all.
    pub async fn feed(&self, text: &str) {
        feed(self.zetta, text).await;
    }
}
