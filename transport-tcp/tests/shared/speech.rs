//! What endpoints say to each other, byte by byte, for peers that do as they like.
#![allow(dead_code, reason = "each test program uses a part")]

/// Kinds of handshake messages.
pub(crate) const HELLO: u8 = 1;
pub(crate) const WELCOME: u8 = 2;
pub(crate) const REFUSAL: u8 = 3;
pub(crate) const CONFIRMATION: u8 = 4;

/// Kinds of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const OPEN: u8 = 1;
pub(crate) const CLOSE: u8 = 2;
pub(crate) const CREDIT: u8 = 3;
pub(crate) const PING: u8 = 4;
pub(crate) const PONG: u8 = 5;
pub(crate) const BYE: u8 = 6;
/// Flags beside them.
pub(crate) const MORE: u8 = 1 << 4;
pub(crate) const EXTENDED: u8 = 1 << 5;

/// Why somebody refuses.
pub(crate) const CROSSED: u8 = 2;
pub(crate) const LINKED: u8 = 6;
pub(crate) const TAKEN: u8 = 7;

/// Bytes of a handshake message before its body.
pub(crate) const HEAD_LEN: usize = 15;

/// A message of the handshake.
pub(crate) fn message(kind: u8, versions: (u16, u16), body: &[u8]) -> Vec<u8> {
    let mut bytes = b"midflght".to_vec();
    bytes.push(kind);
    for number in [versions.0, versions.1, body.len() as u16] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Somebody at `address` who hears nothing of us for ten minutes without a worry.
pub(crate) fn introduction(address: &str, nonce: u8) -> Vec<u8> {
    let mut body = vec![nonce; 16];
    body.extend_from_slice(&600_000_u32.to_le_bytes());
    body.extend_from_slice(&100_000_000_u32.to_le_bytes());
    body.push(address.len() as u8);
    body.extend_from_slice(address.as_bytes());
    body
}

pub(crate) fn hello(address: &str) -> Vec<u8> {
    message(HELLO, (1, 1), &introduction(address, 9))
}

pub(crate) fn confirmation() -> Vec<u8> {
    message(CONFIRMATION, (1, 1), &[])
}

/// A frame; `kind` may have flags.
pub(crate) fn frame(kind: u8, connection: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes();
    bytes[3] = kind;
    let mut bytes = bytes.to_vec();
    bytes.extend_from_slice(&connection.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
