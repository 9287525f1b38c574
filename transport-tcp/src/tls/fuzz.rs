//! Records as functions over bytes, for the fuzz target. No part of the API.

use std::sync::Arc;

use rustls::crypto::cipher::{AeadKey, Iv};
use rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ExtractedSecrets};

use super::keys::{Keys, Next, Receiving, Sending};
use super::open::{Opener, Step};
use super::seal::Sealer;

/// A part of what comes.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// A record of this type, well protected. New keys in a record of their own are taken behind it.
    Record(u8, &'a [u8]),
    /// Bytes as they are.
    Bytes(&'a [u8]),
}

/// What has come of it.
#[derive(Debug, PartialEq)]
pub struct Opened {
    /// What was protected.
    pub data: Vec<u8>,
    /// Whether there was a goodbye, or what was wrong.
    pub end: Result<bool, Error>,
    /// What the peer is told of it.
    pub alert: Option<u8>,
}

/// What a peer sends that says these.
///
/// # Errors
/// rustls's.
pub fn sealed(parts: &[Part<'_>]) -> Result<Vec<u8>, Error> {
    let (keys, sending, _) = keys()?;
    let mut sealer = Sealer::new(keys, sending);
    let mut bytes = Vec::new();
    for part in parts {
        match *part {
            Part::Bytes(some) => bytes.extend_from_slice(some),
            Part::Record(kind, content) => {
                let kind = ContentType::from(kind);
                bytes.extend(sealer.record(kind, content.into())?);
                if kind == ContentType::Handshake && matches!(content, [24, 0, 0, 1, 0 | 1]) {
                    sealer.change_keys()?;
                }
            }
        }
    }
    Ok(bytes)
}

/// Opens `bytes`, which come in pieces of so many as `piece` says of what is left, at the most.
///
/// # Errors
/// rustls's, when there are no keys.
///
/// # Panics
/// When there is no room to read to, an error is not the last, or the peer is not told of it.
pub fn opened(
    mut bytes: &[u8],
    is_client: bool,
    mut piece: impl FnMut(usize) -> usize,
) -> Result<Opened, Error> {
    let (keys, _, receiving) = keys()?;
    let mut opener = Opener::new(keys.clone(), receiving, is_client, &[]);
    let mut data = Vec::new();
    let end = loop {
        match opener.step() {
            Ok(Step::Take) => {
                let some = opener.bytes();
                let some = &some[..piece(some.len()).clamp(1, some.len())];
                data.extend_from_slice(some);
                let count = some.len();
                opener.took(count);
            }
            Ok(Step::Closed) => break Ok(true),
            Ok(Step::Read) if bytes.is_empty() => break Ok(false),
            Ok(Step::Read) => {
                let room = opener.room();
                assert!(!room.is_empty(), "there is always room");
                let count = piece(bytes.len()).clamp(1, bytes.len()).min(room.len());
                room[..count].copy_from_slice(&bytes[..count]);
                opener.came(count);
                bytes = &bytes[count..];
            }
            Err(error) => {
                assert_eq!(opener.step(), Err(error.clone()), "an error is the last");
                let ended = matches!(error, Error::AlertReceived(_));
                assert!(ended || keys.untold().is_some(), "the peer is not told of {error}");
                break Err(error);
            }
        }
    };
    Ok(Opened { data, end, alert: keys.untold().map(u8::from) })
}

/// Secrets that are numbers, the same in both directions.
#[derive(Default)]
struct Numbered {
    sent: u8,
    received: u8,
}

fn numbered(number: u8) -> ConnectionTrafficSecrets {
    let (key, iv) = (AeadKey::from([number; 32]), Iv::from([number; 12]));
    ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }
}

impl Next for Numbered {
    fn sending(&mut self) -> Result<ConnectionTrafficSecrets, Error> {
        self.sent = self.sent.wrapping_add(1);
        Ok(numbered(self.sent))
    }

    fn receiving(&mut self) -> Result<ConnectionTrafficSecrets, Error> {
        self.received = self.received.wrapping_add(1);
        Ok(numbered(self.received))
    }
}

fn keys() -> Result<(Arc<Keys>, Sending, Receiving), Error> {
    let suite = TLS13_CHACHA20_POLY1305_SHA256.tls13().ok_or(Error::HandshakeNotComplete)?;
    let secrets = ExtractedSecrets { tx: (0, numbered(0)), rx: (0, numbered(0)) };
    Keys::with(suite, secrets, Box::<Numbered>::default())
}
