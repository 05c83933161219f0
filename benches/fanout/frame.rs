//! WebSocket frames, as far as the bench needs them: whole messages, unmasked
//! from the server, masked to it.

/// A text frame.
pub const TEXT: u8 = 1;
/// A close frame.
pub const CLOSE: u8 = 8;
/// A ping.
pub const PING: u8 = 9;
/// The answer to a ping.
pub const PONG: u8 = 10;

/// Set in a first byte that begins a message's last frame.
const FIN: u8 = 0x80;
/// Set in a second byte where a mask follows.
const MASKED: u8 = 0x80;

/// A frame as a client sends it; the mask is zero, which leaves the payload as
/// it is.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len());
    frame[1] |= MASKED;
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A frame as a server sends it.
pub fn plain(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn head(opcode: u8, length: usize) -> Vec<u8> {
    let first = FIN | opcode;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => vec![first, length],
        (_, Ok(length)) => {
            let [high, low] = length.to_be_bytes();
            vec![first, 126, high, low]
        }
        _ => {
            let mut head = vec![first, 127];
            head.extend_from_slice(&(length as u64).to_be_bytes());
            head
        }
    }
}

/// The first frame of these bytes: its opcode, its payload and what follows it;
/// none while it is not all there.
pub fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match second & !MASKED {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(*length)).ok()?, rest)
        }
        length => (usize::from(length), rest),
    };
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((first & 0x0f, payload, rest))
}
