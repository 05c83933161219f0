//! One machine of the studio: its connection, which it opens again whenever it
//! is gone, and what it writes on it, when and in which pieces. Knows what is
//! on, but not what is played next: that is the programme.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::address::Address;
use super::dice::Dice;
use super::document::{Logged, Machine, Mark};
use super::options::Speed;
use super::{News, Role, Tell};

/// How long to wait before an address is tried again: a person who has just
/// started the server is not kept waiting, and the log of the other side not filled.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a connect or a write may take; on a studio's network it is nothing.
const STALL_MOST: Duration = Duration::from_secs(10);

/// How often what is on is said again.
const REPEAT_EVERY: Duration = Duration::from_secs(10);

/// The stop of an item comes so long after the start of the next, at most.
const STOP_LATE_MOST: Duration = Duration::from_millis(2_500);

/// Between the pieces of a document that is cut; it still is one in good time.
const PIECE_AFTER: Duration = Duration::from_millis(120);

/// The most documents with which a start is told, the first one included.
const BURST_MOST: usize = 4;

/// One document in so many comes in pieces.
const CUT_ONCE_IN: usize = 5;

/// The most pieces of a document.
const PIECES_MOST: usize = 4;

/// What may stand between two documents.
const BETWEEN: [&str; 4] = ["", "\n", "\r\n", " \r\n\r\n"];

/// What is on, and around it.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) current: Logged,
    pub(super) before: Option<Logged>,
    pub(super) next: Vec<Logged>,
}

/// A machine that sends.
pub(super) struct Sender {
    pub(super) role: Role,
    pub(super) address: Address,
    pub(super) machine: Machine,
    pub(super) speed: Speed,
    /// How long it is behind the log.
    pub(super) lag: Duration,
    pub(super) dice: Dice,
    pub(super) tell: Tell,
    /// Wakes whoever waits for the first connection.
    pub(super) connected: Arc<Notify>,
}

/// Why a connection is gone, or was never there.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It can't be opened.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// It was closed by the other side.
    #[error("it was closed, as by a server that stops or whose --zetta-allow lacks this machine")]
    Closed,
    /// Reading or writing fails.
    #[error("the connection is lost: {0}")]
    Broken(#[from] io::Error),
    /// What was written was answered, which a Zetta port never does.
    #[error("what answered is not the Zetta port of a server")]
    Answered,
    /// Nothing is taken any more.
    #[error("nothing was taken for {} s", STALL_MOST.as_secs())]
    Stalled,
}

impl Sender {
    /// Sends what is on until there are no more scenes.
    pub(super) async fn run(mut self, mut scenes: Receiver<Arc<Scene>>) {
        let mut latest = None;
        let mut said = String::new();
        while let Some(stream) = self.connect(&mut scenes, &mut latest, &mut said).await {
            self.tell(News::Connected(self.role, self.address.clone()));
            self.connected.notify_one();
            said.clear();
            let Err(trouble) = self.send(stream, &mut scenes, &mut latest).await else {
                return;
            };
            self.complain(trouble, &mut said);
        }
    }

    /// A connection, however long it takes; nothing where the scenes end before.
    async fn connect(
        &self,
        scenes: &mut Receiver<Arc<Scene>>,
        latest: &mut Option<Arc<Scene>>,
        said: &mut String,
    ) -> Option<TcpStream> {
        let connecting = async {
            // Also after a connection that was closed at once.
            if !said.is_empty() {
                sleep(RETRY_AFTER).await;
            }
            loop {
                let address = self.address.clone().into_pair();
                let trouble = match timeout(STALL_MOST, TcpStream::connect(address)).await {
                    Ok(Ok(stream)) => return stream,
                    Ok(Err(error)) => Trouble::Connect(error),
                    Err(_) => Trouble::Stalled,
                };
                self.complain(trouble, said);
                sleep(RETRY_AFTER).await;
            }
        };
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                stream = &mut connecting => return Some(stream),
                // What is over until then, nobody is told.
                scene = scenes.recv() => *latest = Some(scene?),
            }
        }
    }

    /// Sends until the scenes end.
    async fn send(
        &mut self,
        mut stream: TcpStream,
        scenes: &mut Receiver<Arc<Scene>>,
        latest: &mut Option<Arc<Scene>>,
    ) -> Result<(), Trouble> {
        // Else the kernel would put together what was cut.
        stream.set_nodelay(true)?;
        if let Some(scene) = latest {
            let again = self.on_air(scene);
            self.write(&mut stream, &[again]).await?;
        }
        let mut stop: Option<(Instant, String)> = None;
        let mut repeat_at = Instant::now() + self.speed.of(REPEAT_EVERY);
        let mut answer = [0; 64];
        loop {
            tokio::select! {
                scene = scenes.recv() => {
                    let Some(scene) = scene else {
                        return Ok(stream.shutdown().await?);
                    };
                    let scene = &*latest.insert(scene);
                    sleep(self.lag).await;
                    let mut documents = self.burst(scene);
                    documents.extend(stop.take().map(|(_, stop)| stop));
                    self.write(&mut stream, &documents).await?;
                    stop = self.late_stop(scene);
                    repeat_at = Instant::now() + self.speed.of(REPEAT_EVERY);
                }
                () = at(stop.as_ref().map(|(when, _)| *when)) => {
                    let due = stop.take().map(|(_, stop)| stop);
                    self.write(&mut stream, due.as_slice()).await?;
                }
                () = sleep_until(repeat_at) => {
                    let again = latest.as_ref().map(|scene| self.on_air(scene));
                    self.write(&mut stream, again.as_slice()).await?;
                    repeat_at = Instant::now() + self.speed.of(REPEAT_EVERY);
                }
                read = stream.read(&mut answer) => match read? {
                    0 => return Err(Trouble::Closed),
                    _ => return Err(Trouble::Answered),
                },
            }
        }
    }

    /// How a start is told: an update before it, then the same several times.
    fn burst(&mut self, scene: &Scene) -> Vec<String> {
        let mut documents = Vec::new();
        // What is played by hand is not known before.
        if !scene.current.item.by_hand {
            let update = [(&scene.current, Mark::Planned)];
            documents.push(self.machine.document(&update));
        }
        let times = 1 + self.dice.below(BURST_MOST);
        documents.extend(std::iter::repeat_n(self.on_air(scene), times));
        documents
    }

    fn on_air(&self, scene: &Scene) -> String {
        let next = scene.next.iter().map(|next| (next, Mark::Planned));
        let all: Vec<_> = std::iter::once((&scene.current, Mark::Current))
            .chain(next)
            .collect();
        self.machine.document(&all)
    }

    /// The stop of the item before, and when it is told. The log knows nothing
    /// of the end of what was played by hand.
    fn late_stop(&mut self, scene: &Scene) -> Option<(Instant, String)> {
        let before = scene
            .before
            .as_ref()
            .filter(|before| !before.item.by_hand)?;
        let tenths = u32::try_from(self.dice.below(10)).expect("it is below ten");
        let late = self.speed.of(STOP_LATE_MOST) / 10 * (1 + tenths);
        let document = self.machine.document(&[(before, Mark::Stopped)]);
        Some((Instant::now() + late, document))
    }

    /// Writes the documents back to back: most at once, some in pieces.
    async fn write(&mut self, stream: &mut TcpStream, documents: &[String]) -> Result<(), Trouble> {
        for document in documents {
            let between = BETWEEN[self.dice.below(BETWEEN.len())];
            let text = format!("{document}{between}");
            let mut rest = text.as_bytes();
            if self.dice.once_in(CUT_ONCE_IN) {
                for _ in 0..1 + self.dice.below(PIECES_MOST - 1) {
                    // Wherever it falls, also inside a letter.
                    let (piece, others) = rest.split_at(self.dice.below(rest.len()));
                    write_all(stream, piece).await?;
                    sleep(self.speed.of(PIECE_AFTER)).await;
                    rest = others;
                }
            }
            write_all(stream, rest).await?;
        }
        Ok(())
    }

    /// Says it, unless it was the last that was said.
    fn complain(&self, trouble: Trouble, said: &mut String) {
        let text = trouble.to_string();
        if text != *said {
            self.tell(News::Trouble(self.role, self.address.clone(), trouble));
            *said = text;
        }
    }

    fn tell(&self, news: News) {
        (self.tell)(news);
    }
}

async fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Trouble> {
    match timeout(STALL_MOST, stream.write_all(bytes)).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(Trouble::Stalled),
    }
}

/// Waits until then; for ever where there is no such time.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
