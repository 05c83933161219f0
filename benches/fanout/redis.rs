//! A real redis-server that joins the nodes of a run, and what it says of itself.
//! Knows no room.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::process;

/// What is asked; the answer has all the sections that are read here.
const INFO: &[u8] = b"INFO stats memory\r\n";

/// The longest wait for an answer: it is busy with a storm at most.
const ANSWER: Duration = Duration::from_secs(10);

/// A redis-server that keeps nothing on disk; it is killed when this is dropped.
pub struct Redis {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    stream: TcpStream,
    /// Where it would write.
    folder: TempDir,
}

/// What it had done up to a moment.
#[derive(Clone, Copy)]
pub struct Done {
    /// Its CPU time.
    pub cpu: Duration,
    /// Commands, those that its scripts run too.
    pub commands: f64,
    /// Bytes that it has read.
    pub input: f64,
    /// Bytes that it has written.
    pub output: f64,
    /// The bytes of its data and its connections at that moment.
    pub memory: f64,
    /// The bytes of the answer that says so: they count in what is said next.
    answer: f64,
}

impl Redis {
    /// Starts one on a free port.
    pub fn start() -> anyhow::Result<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let folder = tempfile::tempdir()?;
        let child = spawn(free, &folder)?;
        Ok(Self {
            child,
            address: free,
            stream: connect(free)?,
            folder,
        })
    }

    /// Starts another in the place of one that has ended; it knows nothing.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.child = spawn(self.address, &self.folder)?;
        self.stream = connect(self.address)?;
        Ok(())
    }

    /// What it has done by now, without being asked for it.
    pub fn done(&mut self) -> anyhow::Result<Done> {
        let said = self.ask(INFO)?;
        let number = |key: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(key));
            let number = line.with_context(|| format!("Redis says no {key}"))?;
            Ok::<f64, anyhow::Error>(number.trim().parse()?)
        };
        Ok(Done {
            cpu: process::cpu(self.child.id())?,
            commands: number("total_commands_processed:")?,
            input: number("total_net_input_bytes:")?,
            output: number("total_net_output_bytes:")?,
            memory: number("used_memory:")?,
            answer: said.len() as f64,
        })
    }

    /// Asks, and reads one answer as it comes: its length, then itself.
    fn ask(&mut self, command: &[u8]) -> anyhow::Result<String> {
        self.stream.write_all(command)?;
        let mut reader = BufReader::new(&self.stream);
        let mut answer = String::new();
        reader.read_line(&mut answer)?;
        let length = answer.strip_prefix('$').context(answer.clone())?;
        let length = length.trim().parse::<usize>()? + b"\r\n".len();
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        Ok(answer + &String::from_utf8(text)?)
    }

    /// Kills it.
    pub fn end(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.end();
    }
}

impl Done {
    /// What it has done since, but for the question that was asked then.
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            commands: self.commands - before.commands - 1.0,
            input: self.input - before.input - INFO.len() as f64,
            output: self.output - before.output - before.answer,
            memory: self.memory - before.memory,
            answer: self.answer,
        }
    }
}

fn spawn(address: SocketAddr, folder: &TempDir) -> anyhow::Result<Child> {
    let port = address.port().to_string();
    let mut child = Command::new("redis-server")
        .args(["--port", &port, "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("redis-server does not start; is it installed?")?;
    let mut said = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let is_ready = said.any(|line| line.is_ok_and(|l| l.contains("Ready to accept connections")));
    ensure!(is_ready, "redis-server has ended");
    // It is read to the end, so that no full pipe holds Redis up.
    thread::spawn(move || said.for_each(drop));
    Ok(child)
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}
