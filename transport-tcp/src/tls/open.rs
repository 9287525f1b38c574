//! From the records of TLS to bytes: pure, in the buffer into which they were read.

use std::ops::Range;
use std::sync::Arc;

use rustls::crypto::cipher::InboundOpaqueMessage;
use rustls::{
    AlertDescription, ContentType, Error, HandshakeType, InvalidMessage, PeerMisbehaved,
    ProtocolVersion,
};

use super::keys::{Keys, Receiving};

/// Bytes of a record before what it protects.
pub(super) const HEAD_LEN: usize = 5;
/// The longest record: content, its type and padding, and the tag.
const RECORD_MAX: usize = HEAD_LEN + 16 * 1024 + 256;
/// Bytes of records read at once.
const BUFFER: usize = 64 * 1024;
/// The longest message of the handshake's protocol after the handshake.
const MESSAGE_MAX: usize = 0xffff;
/// Records without data that may come one after another; empty ones, and those that change keys.
const IDLE_MAX: u32 = 32;

/// See the [module](self).
pub(super) struct Opener {
    keys: Arc<Keys>,
    receiving: Receiving,
    /// Whether tickets may come; they are not made use of.
    is_client: bool,
    buffer: Vec<u8>,
    /// Where records are that have not been opened.
    unopened: Range<usize>,
    /// Where opened bytes are that have not been taken: before those.
    opened: Range<usize>,
    /// A message of the handshake's protocol of which not all has come.
    message: Vec<u8>,
    /// Records without data since the last one with some.
    idle: u32,
    closed: bool,
}

/// What can be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There are bytes to take.
    Take,
    /// More must be read.
    Read,
    /// The peer has said that nothing follows.
    Closed,
}

impl Opener {
    /// Of a session in whose handshake `begun` was read too.
    pub(super) fn new(
        keys: Arc<Keys>,
        receiving: Receiving,
        is_client: bool,
        begun: &[u8],
    ) -> Self {
        let mut buffer = vec![0; BUFFER.max(begun.len())];
        buffer[..begun.len()].copy_from_slice(begun);
        Self {
            keys,
            receiving,
            is_client,
            buffer,
            unopened: 0..begun.len(),
            opened: 0..0,
            message: Vec::new(),
            idle: 0,
            closed: false,
        }
    }

    /// Opens records until there is something to take or nothing to open.
    ///
    /// # Errors
    /// When the peer does not keep to the protocol or ends the session with an alert; the peer will be
    /// told. Nothing may be asked of the session then.
    pub(super) fn step(&mut self) -> Result<Step, Error> {
        loop {
            if self.closed {
                return Ok(Step::Closed);
            }
            if !self.opened.is_empty() {
                return Ok(Step::Take);
            }
            let Some(len) = self.record_len().inspect_err(|error| self.tell(error))? else {
                return Ok(Step::Read);
            };
            self.open(len).inspect_err(|error| self.tell(error))?;
        }
    }

    /// What can be taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.opened.clone()]
    }

    /// So many bytes were taken.
    pub(super) fn took(&mut self, count: usize) {
        self.opened.start += count;
    }

    /// Where to read to, when there is nothing to take.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let Range { start, end } = self.unopened;
        if start == end {
            self.unopened = 0..0;
        } else if self.buffer.len() - start < RECORD_MAX {
            self.buffer.copy_within(start..end, 0);
            self.unopened = 0..end - start;
        }
        self.opened = 0..0;
        &mut self.buffer[self.unopened.end..]
    }

    /// So many bytes were read.
    pub(super) fn came(&mut self, count: usize) {
        self.unopened.end += count;
    }

    /// The length of the next record, when it is whole.
    fn record_len(&self) -> Result<Option<usize>, Error> {
        let bytes = &self.buffer[self.unopened.clone()];
        let Some(&[kind, major, _, high, low]) = bytes.first_chunk::<HEAD_LEN>() else {
            return Ok(None);
        };
        if major != 3 {
            return Err(InvalidMessage::UnknownProtocolVersion.into());
        }
        // After the handshake, all that comes is protected.
        let kind = ContentType::from(kind);
        if kind != ContentType::ApplicationData {
            return Err(inappropriate(kind));
        }
        let len = HEAD_LEN + usize::from(u16::from_be_bytes([high, low]));
        if len > RECORD_MAX {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok((len <= bytes.len()).then_some(len))
    }

    /// Opens the next record, which has so many bytes.
    fn open(&mut self, len: usize) -> Result<(), Error> {
        let start = self.unopened.start;
        let record = start + HEAD_LEN..start + len;
        self.unopened.start += len;
        let number = self.receiving.number;
        self.receiving.number = number.checked_add(1).ok_or(Error::DecryptError)?;
        let sealed = InboundOpaqueMessage::new(
            ContentType::ApplicationData,
            ProtocolVersion::TLSv1_2,
            &mut self.buffer[record.clone()],
        );
        let plain = self.receiving.open.decrypt(sealed, number)?;
        let (kind, len) = (plain.typ, plain.payload.len());
        // It is opened where it was.
        let content = record.start..record.start + len;
        self.count(len > 0 && kind == ContentType::ApplicationData)?;
        if kind != ContentType::Handshake && !self.message.is_empty() {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        match kind {
            ContentType::ApplicationData => self.opened = content,
            ContentType::Alert => self.alert(content)?,
            ContentType::Handshake => self.messages(content)?,
            kind => return Err(inappropriate(kind)),
        }
        Ok(())
    }

    /// A peer that sends nothing but what is no data wants to keep us busy.
    fn count(&mut self, data: bool) -> Result<(), Error> {
        self.idle = if data { 0 } else { self.idle + 1 };
        if self.idle > IDLE_MAX {
            return Err(PeerMisbehaved::TooManyEmptyFragments.into());
        }
        Ok(())
    }

    fn alert(&mut self, content: Range<usize>) -> Result<(), Error> {
        let Ok([_, alert]) = <[u8; 2]>::try_from(&self.buffer[content]) else {
            return Err(InvalidMessage::MessageTooShort.into());
        };
        match alert.into() {
            AlertDescription::CloseNotify => self.closed = true,
            // Means nothing by itself: a goodbye follows.
            AlertDescription::UserCanceled => {}
            // Whatever its level: in TLS 1.3 every other one is the end.
            alert => return Err(Error::AlertReceived(alert)),
        }
        Ok(())
    }

    /// Messages of the handshake's protocol after the handshake.
    fn messages(&mut self, content: Range<usize>) -> Result<(), Error> {
        if content.is_empty() {
            return Err(InvalidMessage::InvalidEmptyPayload.into());
        }
        self.message.extend_from_slice(&self.buffer[content]);
        while let Some(&[kind, high, mid, low]) = self.message.first_chunk::<4>() {
            let len = u32::from_be_bytes([0, high, mid, low]) as usize;
            if len > MESSAGE_MAX {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
            let Some(body) = self.message.get(4..4 + len) else { break };
            match HandshakeType::from(kind) {
                HandshakeType::KeyUpdate => {
                    let wanted = match body {
                        [0] => false,
                        [1] => true,
                        _ => return Err(InvalidMessage::InvalidKeyUpdate.into()),
                    };
                    if self.message.len() > 4 + len {
                        // The rest of the record has been protected with keys that are gone.
                        return Err(PeerMisbehaved::KeyEpochWithPendingFragment.into());
                    }
                    if wanted {
                        self.keys.ask();
                    }
                    self.receiving = self.keys.next_for_receiving()?;
                }
                HandshakeType::NewSessionTicket if self.is_client => {}
                kind => {
                    return Err(Error::InappropriateHandshakeMessage {
                        expect_types: vec![HandshakeType::KeyUpdate],
                        got_type: kind,
                    });
                }
            }
            self.message.drain(..4 + len);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Has the peer told what it did wrong; not when it was it that ended the session.
    fn tell(&self, error: &Error) {
        let alert = match error {
            Error::AlertReceived(_) => return,
            Error::DecryptError => AlertDescription::BadRecordMac,
            Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
            Error::InvalidMessage(_) => AlertDescription::DecodeError,
            _ => AlertDescription::UnexpectedMessage,
        };
        self.keys.tell(alert);
    }
}

fn inappropriate(kind: ContentType) -> Error {
    Error::InappropriateMessage { expect_types: vec![ContentType::ApplicationData], got_type: kind }
}
