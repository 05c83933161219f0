//! Tells a Zetta from what else speaks on its port: scanners, browsers, and
//! the HTTP POST that some set-ups send. Knows first bytes and HTTP heads.

/// The largest HTTP head that is read.
const HEAD_MOST: usize = 16 * 1024;

/// The answer to a document that was posted.
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nOK";

/// What speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Post,
    Http,
    Tls,
    Ssh,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Post | Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Ssh => "SSH",
        }
    }
}

const SIGNS: [(&[u8], Kind); 12] = [
    (b"POST ", Kind::Post),
    (b"GET ", Kind::Http),
    (b"HEAD ", Kind::Http),
    (b"PUT ", Kind::Http),
    (b"OPTIONS ", Kind::Http),
    (b"DELETE ", Kind::Http),
    (b"PATCH ", Kind::Http),
    (b"CONNECT ", Kind::Http),
    (b"TRACE ", Kind::Http),
    (b"PRI * HTTP/2", Kind::Http),
    (b"SSH-", Kind::Ssh),
    (&[0x16, 3], Kind::Tls),
];

/// Looks at the first bytes of a connection.
#[derive(Default)]
pub(super) struct Greeting {
    seen: Vec<u8>,
    done: bool,
}

impl Greeting {
    /// What speaks, as soon as it is known not to be a Zetta.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Option<Kind> {
        if self.done {
            return None;
        }
        self.seen.extend(bytes.iter().take(16));
        let sign = SIGNS.iter().find(|(sign, _)| self.seen.starts_with(sign));
        let open = SIGNS.iter().any(|(sign, _)| sign.starts_with(&self.seen));
        if sign.is_some() || !open {
            self.done = true;
            self.seen = Vec::new();
        }
        sign.map(|(_, kind)| *kind)
    }
}

/// A posted document: its head is looked at, its body is a stream like any.
#[derive(Default)]
pub(super) struct Post {
    head: Vec<u8>,
    body: Option<Body>,
}

struct Body {
    length: usize,
    read: usize,
}

/// The answer to a request that took too long.
pub(super) const TOO_SLOW: &str = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";

/// Why a POST is refused, with the whole answer.
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) text: &'static str,
}

impl Post {
    /// Takes what was read; tells how many of its last bytes are the body's.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        if let Some(body) = &mut self.body {
            body.read += bytes.len();
            return Ok(bytes.len());
        }
        // The end may have begun with what came before.
        let from = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(bytes);
        let end = self.head[from..]
            .windows(4)
            .position(|part| part == b"\r\n\r\n");
        let Some(end) = end.map(|end| from + end) else {
            if self.head.len() > HEAD_MOST {
                return Err(refused(431));
            }
            return Ok(0);
        };
        let read = self.head.len() - end - 4;
        let head = String::from_utf8_lossy(&self.head[..end]).to_ascii_lowercase();
        let mut length = None;
        for line in head.lines().skip(1) {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            match name.trim() {
                // A page that some browser shows wants to speak for the studio.
                "origin" => return Err(refused(403)),
                "content-length" => length = value.trim().parse().ok(),
                _ => {}
            }
        }
        let length = length.ok_or_else(|| refused(411))?;
        self.head = Vec::new();
        self.body = Some(Body { length, read });
        Ok(read)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.body
            .as_ref()
            .is_some_and(|body| body.read >= body.length)
    }
}

fn refused(status: u16) -> Refused {
    let text = match status {
        403 => {
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        }
        411 => {
            "HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        }
        _ => {
            "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        }
    };
    Refused { status, text }
}
