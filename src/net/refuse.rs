//! Short answers to connections that are not served: full, or plain HTTP where
//! TLS is spoken. Knows as much of HTTP as these answers need.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// An answer, whole.
pub(super) struct Answer(&'static str);

/// The value of `Retry-After`, in seconds.
pub(super) const RETRY_AFTER_SECONDS: u64 = 5;

/// The answer to a connection above the limit of the server.
pub(super) const FULL: Answer = Answer(
    "HTTP/1.1 503 Service Unavailable\r\n\
     content-type: text/plain; charset=utf-8\r\n\
     x-content-type-options: nosniff\r\n\
     content-length: 56\r\n\
     retry-after: 5\r\n\
     connection: close\r\n\r\n\
     This server has no room for more connections right now.\n",
);

/// The answer to a connection above a limit of its address.
pub(super) const ADDRESS_FULL: Answer = Answer(
    "HTTP/1.1 429 Too Many Requests\r\n\
     content-type: text/plain; charset=utf-8\r\n\
     content-length: 55\r\n\
     retry-after: 5\r\n\
     connection: close\r\n\r\n\
     Too many connections come from your address right now.\n",
);

/// For a request without TLS on a port that speaks TLS.
pub(super) const SPEAKS_HTTPS: Answer = Answer(
    "HTTP/1.1 400 Bad Request\r\n\
     content-type: text/plain; charset=utf-8\r\n\
     x-content-type-options: nosniff\r\n\
     content-length: 54\r\n\
     connection: close\r\n\r\n\
     This port speaks HTTPS: use https:// (or wss://) here\n",
);

/// Longest time for one refusal: a few round trips on a bad network.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Most bytes of a request that are read to be thrown away. Closing a socket
/// with unread bytes resets it, and the peer may lose the answer.
const DRAIN_MAX: usize = 64 * 1024;

impl Answer {
    /// The body of the answer.
    pub(super) fn text(&self) -> &'static str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, text)| text)
    }

    /// Writes the answer, then waits for the peer to close, not for long.
    pub(super) async fn send<T>(&self, io: &mut T)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        // The peer's errors are of no interest any more.
        let _ = tokio::time::timeout(LINGER, async {
            io.write_all(self.0.as_bytes()).await?;
            io.shutdown().await?;
            let mut drained = 0;
            let mut waste = [0; 1024];
            while drained < DRAIN_MAX {
                match io.read(&mut waste).await? {
                    0 => break,
                    some => drained += some,
                }
            }
            std::io::Result::Ok(())
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_lengths_are_right() {
        for answer in [&FULL, &ADDRESS_FULL, &SPEAKS_HTTPS] {
            let Answer(text) = answer;
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length = length.split("\r\n").next().unwrap();
            assert_eq!(length, body.len().to_string(), "{text}");
            assert_eq!(answer.text(), body);
            let seconds = head.split("retry-after: ").nth(1).map(|rest| &rest[..1]);
            let expected = RETRY_AFTER_SECONDS.to_string();
            assert!(seconds.is_none_or(|seconds| seconds == expected), "{text}");
        }
    }

    #[tokio::test]
    async fn the_answer_arrives_whole_and_then_the_end() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        let peer = tokio::spawn(async move {
            theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut text = String::new();
            theirs.read_to_string(&mut text).await.unwrap();
            text
        });
        SPEAKS_HTTPS.send(&mut ours).await;
        assert_eq!(peer.await.unwrap(), SPEAKS_HTTPS.0);
    }
}
