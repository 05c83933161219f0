//! `server simulate`: what it says, to whom it plays, and how it ends.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};
use tokio::time::timeout;

use super::{Program, command, run, signal};
use crate::client::SOON;

/// A simulation that goes on until it is told to end, or is dropped.
struct Playing {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Playing {
    fn to(address: SocketAddr, stdout: impl Into<Stdio>) -> Self {
        let folder = std::env::temp_dir();
        let arguments = ["simulate", &address.to_string(), "--no-spare"];
        let mut child = command(&folder, &arguments)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, stderr }
    }

    /// Waits for the words on stderr.
    async fn says(&mut self, words: &str) {
        let said = async {
            while let Some(line) = self.stderr.next_line().await.unwrap() {
                if line.contains(words) {
                    return;
                }
            }
            panic!("it has ended without {words:?}");
        };
        let said = timeout(SOON, said).await;
        said.unwrap_or_else(|_| panic!("it does not say {words:?}"));
    }

    /// The exit code.
    async fn ended(&mut self) -> Option<i32> {
        let ended = timeout(SOON, self.child.wait()).await;
        ended.expect("it goes on").unwrap().code()
    }
}

#[tokio::test]
async fn so_many_items_are_played_and_printed() {
    let program = Program::start(&[]).await;
    let zetta = program.zetta.to_string();
    let played = ["simulate", &zetta, "--items", "4", "--seed", "1"];
    let arguments = [&played[..], &["--speed", "3600"]].concat();
    let ended = run(command(program.folder.path(), &arguments)).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ended.stdout);
    // The format of the station's hour.
    for (line, kind) in lines.iter().zip(["SONG", "SONG", "LINK", "SONG"]) {
        assert!(line.contains(&format!("Z  {kind}  ")), "{line}");
        let hidden = line.ends_with(']');
        assert_eq!(hidden, kind == "LINK", "{line}");
    }
    for words in ["--seed 1 plays the same again", "Zetta has connected"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let speed = "invalid value '0' for '--speed <N>'";
    for (arguments, expected) in [
        (&["nowhere"][..], "invalid value 'nowhere' for '[ADDRESS]'"),
        (&["http://x:1234"], "for '[ADDRESS]': it is HOST:PORT"),
        (&["--speed", "0"], speed),
        (&["--items", "0"], "for '--items <N>'"),
        (&["--seed", "x"], "for '--seed <N>'"),
        (&["1234", "1235"], "unexpected argument '1235'"),
    ] {
        let arguments = [&["simulate"], arguments].concat();
        let ended = run(command(folder.path(), &arguments)).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    // On an address that no other test takes a port of, to be free again.
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for name in ["INT", "TERM"] {
        let mut playing = Playing::to(address, Stdio::null());
        playing.says("Zetta: cannot connect: ").await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        playing.says("Zetta has connected").await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut begin = [0; 5];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"<?xml");
        signal(&playing.child, name).await;
        assert_eq!(playing.ended().await, Some(0), "{name}");
    }
}

#[tokio::test]
async fn another_port_of_the_server_is_found_to_be_the_wrong_one() {
    let program = Program::start(&[]).await;
    let mut playing = Playing::to(program.address, Stdio::null());
    playing
        .says("what answered is not the Zetta port of a server; trying again")
        .await;
}

#[tokio::test]
async fn it_ends_when_nobody_reads_what_it_prints() {
    let program = Program::start(&[]).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut playing = Playing::to(program.zetta, writer);
    assert_eq!(playing.ended().await, Some(0));
}
