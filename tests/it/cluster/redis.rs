//! A real Redis of a test's own, which can die, hang and come back. Knows no server
//! under test.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use crate::client::SOON;
use crate::program::signal;

/// How often it is looked whether it answers: nobody tells.
const LOOK: Duration = Duration::from_millis(5);

/// For how long it is waited for an answer that must not come.
const NOT_YET: Duration = Duration::from_millis(100);

/// What of its data outlives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keeps {
    Nothing,
    /// All that it has said is done.
    Everything,
}

/// A Redis; it is killed when this is dropped.
pub struct Redis {
    child: Child,
    keeps: Keeps,
    address: SocketAddr,
    folder: TempDir,
    /// Further options of its command line.
    options: Vec<String>,
}

/// What it answers.
#[derive(Debug, PartialEq)]
pub enum Reply {
    Nothing,
    Number(i64),
    Text(String),
    Many(Vec<Reply>),
    Error(String),
}

impl Redis {
    /// Starts one on a free port, and waits until it answers.
    pub async fn start(keeps: Keeps) -> Self {
        Self::start_with(keeps, async || Vec::new()).await
    }

    /// The same with these options, made anew where a port was taken meanwhile.
    pub async fn start_with(keeps: Keeps, options: impl AsyncFn() -> Vec<String>) -> Self {
        let mut folder = tempfile::tempdir().unwrap();
        loop {
            let address = free().await;
            let options = options().await;
            let mut redis = Self {
                child: spawn(&folder, address, keeps, &options),
                keeps,
                address,
                folder,
                options,
            };
            if redis.answers().await {
                return redis;
            }
            // Somebody else has taken the port meanwhile.
            folder = redis.folder;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, with no word to anybody.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again where it was, with what it has kept.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.folder, self.address, self.keeps, &self.options);
        assert!(self.answers().await, "the port was taken meanwhile");
    }

    /// From here on it answers nobody, and all connections stay.
    pub async fn freeze(&self) {
        signal(&self.child, "STOP").await;
    }

    /// It goes on where it was.
    pub async fn thaw(&self) {
        signal(&self.child, "CONT").await;
    }

    /// Asks it by a connection of its own.
    pub async fn ask(&self, words: &[&str]) -> Reply {
        let answer = ask(self.address, words);
        let answer = timeout(SOON, answer).await.expect("Redis does not answer");
        answer.unwrap()
    }

    /// Waits until it answers; false if it ends before.
    async fn answers(&mut self) -> bool {
        let own = format!("process_id:{}\r", self.child.id().unwrap());
        let mut look = interval(LOOK);
        let answers = async {
            loop {
                tokio::select! {
                    _ = self.child.wait() => return false,
                    _ = look.tick() => {}
                }
                // Another one may be on this port.
                let about = ask(self.address, &["INFO", "server"]).await;
                let is_own = matches!(about, Ok(Reply::Text(about)) if about.contains(&own));
                // While it reads what it has kept it answers only that it does.
                let pong = ask(self.address, &["PING"]).await;
                if is_own && matches!(pong, Ok(Reply::Text(pong)) if pong == "PONG") {
                    return true;
                }
            }
        };
        timeout(SOON, answers).await.expect("Redis does not start")
    }
}

/// A port of this machine that nobody has.
pub async fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn spawn(folder: &TempDir, address: SocketAddr, keeps: Keeps, options: &[String]) -> Child {
    let keeps = match keeps {
        Keeps::Nothing => "no",
        Keeps::Everything => "yes",
    };
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", &host, "--port", &port])
        .args(["--save", "", "--appendonly", keeps])
        .args(options)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command.spawn().expect("the tests need redis-server")
}

/// One request on a connection of its own, and its answer.
async fn ask(address: SocketAddr, words: &[&str]) -> io::Result<Reply> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    say(&mut stream, words).await?;
    hear(&mut stream).await
}

async fn say(stream: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<()> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).await
}

/// Reads one answer, as RESP 2 has it.
async fn hear(stream: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let Some((kind, rest)) = line.trim_end().split_at_checked(1) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let number = || rest.parse::<i64>().map_err(io::Error::other);
    Ok(match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Number(number()?),
        "$" | "*" if number()? < 0 => Reply::Nothing,
        "$" => {
            let length = number()? as usize;
            let mut text = vec![0; length + "\r\n".len()];
            stream.read_exact(&mut text).await?;
            Reply::Text(String::from_utf8_lossy(&text[..length]).into_owned())
        }
        "*" => {
            let mut many = Vec::new();
            for _ in 0..number()? {
                many.push(Box::pin(hear(stream)).await?);
            }
            Reply::Many(many)
        }
        _ => return Err(io::Error::other(line)),
    })
}

#[tokio::test]
async fn it_dies_and_comes_back_with_what_it_keeps() {
    let cases = [
        (Keeps::Everything, Reply::Text("v".to_owned())),
        (Keeps::Nothing, Reply::Nothing),
    ];
    for (keeps, kept) in cases {
        let mut redis = Redis::start(keeps).await;
        let set = redis.ask(&["SET", "k", "v"]).await;
        assert_eq!(set, Reply::Text("OK".to_owned()));
        redis.kill().await;
        assert!(ask(redis.address(), &["PING"]).await.is_err(), "{keeps:?}");
        redis.restart().await;
        assert_eq!(redis.ask(&["GET", "k"]).await, kept, "{keeps:?}");
    }
}

#[tokio::test]
async fn every_kind_of_answer_is_read() {
    let redis = Redis::start(Keeps::Nothing).await;
    redis.ask(&["RPUSH", "l", "a", "\u{e9}"]).await;
    let text = |text: &str| Reply::Text(text.to_owned());
    let cases: [(&[&str], Reply); 4] = [
        (&["LLEN", "l"], Reply::Number(2)),
        (&["GET", "none"], Reply::Nothing),
        (
            &["LRANGE", "l", "0", "-1"],
            Reply::Many(vec![text("a"), text("\u{e9}")]),
        ),
        (
            &["NONSENSE"],
            Reply::Error("ERR unknown command 'NONSENSE', with args beginning with:".to_owned()),
        ),
    ];
    for (words, expected) in cases {
        assert_eq!(redis.ask(words).await, expected, "{words:?}");
    }
}

#[tokio::test]
async fn while_it_hangs_connections_stay_and_nobody_is_answered() {
    let redis = Redis::start(Keeps::Nothing).await;
    let mut stream = BufReader::new(TcpStream::connect(redis.address()).await.unwrap());
    redis.freeze().await;
    say(&mut stream, &["PING"]).await.unwrap();
    let answer = timeout(NOT_YET, stream.fill_buf()).await;
    assert!(answer.is_err(), "it answers: {answer:?}");
    redis.thaw().await;
    let answer = timeout(SOON, hear(&mut stream)).await.expect("it hangs");
    assert_eq!(answer.unwrap(), Reply::Text("PONG".to_owned()));
}
