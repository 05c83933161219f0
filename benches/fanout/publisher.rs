//! Publishes over one HTTP connection that is kept.

use std::io::ErrorKind;

use anyhow::{Context, bail, ensure};

use super::transport::Transport;

/// One who publishes; one event at a time.
pub struct Publisher {
    transport: Transport,
    answer: Vec<u8>,
    /// Whether the server has answered for the last one.
    pub answered: bool,
}

impl Publisher {
    /// Publishes over this connection.
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            answer: Vec::new(),
            answered: true,
        }
    }

    /// Whether the connection has come about.
    pub fn connected(&self) -> bool {
        self.transport.connected().unwrap_or(false)
    }

    /// Sends a request that publishes something.
    pub fn publish(&mut self, request: &str) -> anyhow::Result<()> {
        self.answered = false;
        Ok(self.transport.send(request.as_bytes())?)
    }

    /// Reads what there is of the answer.
    pub fn readable(&mut self, scratch: &mut [u8]) -> anyhow::Result<()> {
        loop {
            match self.transport.read(scratch) {
                Ok(0) => bail!("the publisher was cut off"),
                Ok(read) => self.answer.extend_from_slice(&scratch[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Woken while it is still being connected.
                Err(error) if error.kind() == ErrorKind::NotConnected => break,
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(end) = whole(&self.answer)? {
            let answer = String::from_utf8_lossy(&self.answer);
            ensure!(answer.starts_with("HTTP/1.1 200 "), "refused: {answer}");
            self.answer.drain(..end);
            self.answered = true;
        }
        Ok(())
    }
}

/// The length of an HTTP message with a Content-Length, once it is all there.
pub fn whole(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .with_context(|| format!("no length: {head}"))?;
    let end = end + 4 + length.trim().parse::<usize>()?;
    Ok((bytes.len() >= end).then_some(end))
}
