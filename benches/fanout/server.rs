//! The servers that are measured, each a child process on free ports.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use roomcast::net::tls::CERT_FILE;
use tempfile::TempDir;

use super::channel;
use super::process;
use super::speech::Speech;
use super::transport::{Peer, trusting};

/// The longest wait for a server to say where it listens.
const START: Duration = Duration::from_secs(20);

/// The argument by which this program runs as the floor.
pub const FLOOR: &str = "floor";

/// What is measured.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    /// A loop of `send(2)`, of frames as they are at this door.
    Floor(Speech),
    /// This crate's server over HTTP.
    Roomcast,
    /// The same as one of the nodes that meet at this Redis.
    Node(SocketAddr),
    /// The same over TLS.
    RoomcastTls,
    /// Its push door: a channel, and `POST /push`.
    Push,
    /// Its door for raw WebSockets.
    Raw,
    /// Socket.IO on Node: the script.
    NodeJs(PathBuf),
}

impl Kind {
    /// As it is called in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Floor(Speech::SocketIo) => "floor",
            Self::Floor(Speech::Push) => "floor, push",
            Self::Floor(Speech::Raw) => "floor, raw",
            Self::Push => "push door",
            Self::Raw => "raw door",
            Self::Roomcast => "roomcast",
            Self::Node(_) => "roomcast, a node",
            Self::RoomcastTls => "roomcast, TLS",
            Self::NodeJs(_) => "socket.io on Node",
        }
    }

    /// Whether it is the floor of what comes behind it.
    pub fn is_floor(&self) -> bool {
        matches!(self, Self::Floor(_))
    }

    /// How events are heard there.
    pub fn speech(&self) -> Speech {
        match self {
            Self::Floor(speech) => *speech,
            Self::Push => Speech::Push,
            Self::Raw => Speech::Raw,
            Self::Roomcast | Self::Node(_) | Self::RoomcastTls | Self::NodeJs(_) => {
                Speech::SocketIo
            }
        }
    }

    /// Whether it is measured how many can join at once: where the answer to that
    /// says which event is the next.
    pub fn has_storm(&self) -> bool {
        matches!(self, Self::Roomcast | Self::RoomcastTls)
    }

    fn command(&self) -> anyhow::Result<Command> {
        Ok(match self {
            Self::Floor(speech) => {
                let mut command = Command::new(std::env::current_exe()?);
                let speech = speech
                    .to_possible_value()
                    .context("a door without a name")?;
                command.args([FLOOR, speech.get_name()]);
                command
            }
            Self::NodeJs(script) => {
                let mut command = Command::new("node");
                command.arg(script);
                command
            }
            Self::Roomcast | Self::Node(_) | Self::RoomcastTls | Self::Push | Self::Raw => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
                command.env_clear().args([
                    "--host=127.0.0.1",
                    "--port=0",
                    "--zetta-listen=off",
                    "--log-format=text",
                    // What the system allows is less, or the same.
                    "--max-connections=1000000",
                ]);
                if let Self::Node(redis) = self {
                    command.arg(format!("--redis={redis}"));
                }
                if *self == Self::RoomcastTls {
                    command.arg("--https");
                }
                if *self == Self::Push {
                    let ports = ["--push-http=127.0.0.1:0", "--push-ws=127.0.0.1:0"];
                    command.arg("--push").args(ports);
                }
                command
            }
        })
    }
}

/// A server that runs; it is killed when this is dropped.
pub struct Server {
    child: Child,
    kind: Kind,
    /// Of the channel that is measured.
    token: Option<String>,
    _folder: TempDir,
    /// Where clients connect.
    pub clients: Peer,
    /// Where events are published.
    pub publishers: Peer,
}

impl Server {
    /// Starts one, and waits until it has said where it listens.
    pub fn start(kind: &Kind) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut child = kind
            .command()?
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", kind.name()))?;
        let mut said = Said::by(&mut child)?;
        let (clients, publishers) = match kind {
            Kind::Floor(_) => (said.address("clients: ")?, said.address("publish: ")?),
            Kind::NodeJs(_) => [said.address("clients: ")?; 2].into(),
            Kind::Roomcast | Kind::Node(_) | Kind::Raw => {
                [said.address("Socket.IO: http://")?; 2].into()
            }
            Kind::RoomcastTls => [said.address("Socket.IO: https://")?; 2].into(),
            Kind::Push => {
                let publishers = said.address("push http: http://")?;
                (said.address("push ws: ws://")?, publishers)
            }
        };
        let is_push = *kind == Kind::Push;
        let token = is_push.then(|| channel::create(publishers)).transpose()?;
        let tls = match kind {
            Kind::RoomcastTls => Some(trusting(&folder.path().join("certs").join(CERT_FILE))?),
            _ => None,
        };
        let peer = |address| Peer {
            address,
            tls: tls.clone(),
        };
        Ok(Self {
            child,
            kind: kind.clone(),
            token,
            _folder: folder,
            clients: peer(clients),
            publishers: peer(publishers),
        })
    }

    /// Whether it is the floor, which has its own manners.
    pub fn is_floor(&self) -> bool {
        self.kind.is_floor()
    }

    /// How events are heard here.
    pub fn speech(&self) -> Speech {
        self.kind.speech()
    }

    /// The request that publishes this message here, in this room.
    pub fn publish(&self, room: &str, message: &str) -> String {
        channel::publish(self.token.as_deref(), room, message)
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.child.id())
    }

    /// The memory that it has resident, in KiB.
    pub fn resident(&self) -> anyhow::Result<f64> {
        process::resident(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server says on stderr; it is read to the end, so that no full pipe
/// holds the server up.
struct Said(Receiver<String>, Vec<String>);

impl Said {
    fn by(child: &mut Child) -> anyhow::Result<Self> {
        let stderr = child.stderr.take().context("no stderr")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Self(lines, Vec::new()))
    }

    /// The address behind these words, in the next line that has them.
    fn address(&mut self, words: &str) -> anyhow::Result<SocketAddr> {
        loop {
            let line = self
                .0
                .recv_timeout(START)
                .map_err(|_| anyhow!("no line with {words:?}, only:\n{}", self.1.join("\n")))?;
            if let Some((_, rest)) = line.split_once(words) {
                return Ok(rest.split('/').next().unwrap_or(rest).parse()?);
            }
            self.1.push(line);
        }
    }
}
