//! Following HTTP/1.1 heads in bytes that pass by: where a request that asks
//! for a WebSocket ends, and where the answer 101 ends. Pure; it judges nothing,
//! hyper does. Where it loses the thread it lets everything pass.

/// Longest part of a line that is looked at; the headers of interest are short.
const LINE_MAX: usize = 48;

/// Follows one direction line by line, keeping the start of each line.
#[derive(Debug)]
struct Lines {
    start: [u8; LINE_MAX],
    have: u8,
}

impl Lines {
    const fn new() -> Self {
        Self {
            start: [0; LINE_MAX],
            have: 0,
        }
    }

    /// Takes bytes up to the end of a line; whether the line is whole.
    fn take(&mut self, input: &[u8]) -> (usize, bool) {
        let end = input.iter().position(|byte| *byte == b'\n');
        let part = &input[..end.unwrap_or(input.len())];
        for (slot, byte) in self.start[usize::from(self.have)..].iter_mut().zip(part) {
            *slot = *byte;
            self.have += 1;
        }
        (end.map_or(input.len(), |at| at + 1), end.is_some())
    }

    /// The whole line's start, in small letters, without its end; then anew.
    fn finish(&mut self) -> Line {
        let mut line = Line {
            bytes: self.start,
            len: usize::from(self.have),
        };
        self.have = 0;
        if line.len > 0 && line.bytes[line.len - 1] == b'\r' {
            line.len -= 1;
        }
        line.bytes.make_ascii_lowercase();
        line
    }
}

struct Line {
    bytes: [u8; LINE_MAX],
    len: usize,
}

impl Line {
    fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The value, if the line is this header.
    fn value(&self, name: &str) -> Option<&str> {
        let value = self.text().strip_prefix(name.as_bytes())?;
        let value = value.strip_prefix(b":")?;
        // A cut character at the end of a long line is of no interest.
        std::str::from_utf8(value).ok().map(str::trim)
    }
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub(super) struct Requests {
    lines: Lines,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head(Facts),
    /// So many bytes of a body, or of a chunk and its line end, are to come.
    Body {
        left: u64,
        then: Then,
    },
    ChunkSize,
    Trailers,
    Lost,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Head,
    ChunkSize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    begun: bool,
    websocket: bool,
    length: u64,
    chunked: bool,
}

impl Requests {
    pub(super) const fn new() -> Self {
        Self {
            lines: Lines::new(),
            state: HEAD,
        }
    }

    /// Goes on until the head of a WebSocket upgrade ends.
    ///
    /// Returns how many bytes may pass, and whether they end with such a head.
    pub(super) fn follow(&mut self, input: &[u8]) -> (usize, bool) {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            if let State::Lost = self.state {
                return (input.len(), false);
            }
            if let State::Body { left, then } = &mut self.state {
                let taken = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                *left -= taken as u64;
                used += taken;
                if *left == 0 {
                    self.state = match then {
                        Then::Head => HEAD,
                        Then::ChunkSize => State::ChunkSize,
                    };
                }
                continue;
            }
            let (taken, whole) = self.lines.take(rest);
            used += taken;
            if whole && self.line() {
                return (used, true);
            }
        }
        (used, false)
    }

    /// Handles a whole line; true if it ends the head of an upgrade.
    fn line(&mut self) -> bool {
        let line = self.lines.finish();
        self.state = match self.state {
            State::Head(mut facts) if !line.text().is_empty() => {
                facts.note(&line);
                State::Head(facts)
            }
            // Empty lines before the request line count for nothing.
            State::Head(facts) if !facts.begun => HEAD,
            State::Head(facts) if facts.chunked => State::ChunkSize,
            State::Head(facts) if facts.length > 0 => State::Body {
                left: facts.length,
                then: Then::Head,
            },
            State::Head(facts) => {
                self.state = HEAD;
                return facts.websocket;
            }
            State::ChunkSize => chunk(line.text()),
            State::Trailers if line.text().is_empty() => HEAD,
            other => other,
        };
        false
    }
}

const HEAD: State = State::Head(Facts {
    begun: false,
    websocket: false,
    length: 0,
    chunked: false,
});

impl Facts {
    fn note(&mut self, line: &Line) {
        if !self.begun {
            self.begun = true;
        } else if let Some(value) = line.value("upgrade") {
            self.websocket |= value.contains("websocket");
        } else if let Some(value) = line.value("content-length") {
            self.length = value.parse().unwrap_or(0);
        } else if let Some(value) = line.value("transfer-encoding") {
            self.chunked |= value.contains("chunked");
        }
    }
}

fn chunk(line: &[u8]) -> State {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let size = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    match size {
        Some(0) => State::Trailers,
        Some(size) => State::Body {
            left: size.saturating_add(2),
            then: Then::ChunkSize,
        },
        None => State::Lost,
    }
}

/// Waits for the end of the head of the answer 101.
#[derive(Debug)]
pub(super) struct Switching {
    lines: Lines,
    seen: bool,
}

impl Switching {
    pub(super) const fn new() -> Self {
        Self {
            lines: Lines::new(),
            seen: false,
        }
    }

    /// Returns how many bytes belong to HTTP, and whether the head has ended.
    pub(super) fn follow(&mut self, input: &[u8]) -> (usize, bool) {
        let mut used = 0;
        while used < input.len() {
            let (taken, whole) = self.lines.take(&input[used..]);
            used += taken;
            if !whole {
                break;
            }
            let line = self.lines.finish();
            if line.text().starts_with(b"http/1.1 101") {
                self.seen = true;
            } else if self.seen && line.text().is_empty() {
                return (used, true);
            }
        }
        (used, false)
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
