//! From the records of TLS to bytes: pure, in the buffer into which they were read.

use std::ops::Range;
use std::sync::Arc;

use rustls::crypto::cipher::InboundOpaqueMessage;
use rustls::{
    AlertDescription, ContentType, Error, InvalidMessage, PeerMisbehaved, ProtocolVersion,
};

use super::fault::Fault;
use super::keys::{Keys, Receiving};
use super::messages::{Messages, NewKeys};

/// Bytes of a record before what it protects.
pub(super) const HEAD_LEN: usize = 5;
/// The longest record: content, its type and padding, and the tag.
const RECORD_MAX: usize = HEAD_LEN + 16 * 1024 + 256;
/// Bytes of records read at once.
const BUFFER: usize = 64 * 1024;
/// Things that are no data which may come one after another: empty records, alerts that are no end, and
/// messages that change keys or bring tickets.
const IDLE_MAX: u32 = 32;

/// See the [module](self).
pub(super) struct Opener {
    keys: Arc<Keys>,
    receiving: Receiving,
    messages: Messages,
    buffer: Vec<u8>,
    /// Where records are that have not been opened.
    unopened: Range<usize>,
    /// Where opened bytes are that have not been taken: before those.
    opened: Range<usize>,
    /// Things without data since the last one with some.
    idle: u32,
    /// How the session has ended: by a goodbye, or by what was wrong with it.
    ended: Option<Result<(), Error>>,
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
            messages: Messages::new(is_client),
            buffer,
            unopened: 0..begun.len(),
            opened: 0..0,
            idle: 0,
            ended: None,
        }
    }

    /// Opens records until there is something to take or nothing to open.
    ///
    /// # Errors
    /// When the peer does not keep to the protocol or ends the session with an alert. It will be told, and
    /// nothing comes of the session any more but this error.
    pub(super) fn step(&mut self) -> Result<Step, Error> {
        loop {
            if let Some(ended) = &self.ended {
                return ended.clone().map(|()| Step::Closed);
            }
            if !self.opened.is_empty() {
                return Ok(Step::Take);
            }
            match self.open() {
                Ok(true) => {}
                Ok(false) => return Ok(Step::Read),
                Err(fault) => {
                    if let Some(alert) = fault.alert {
                        self.keys.tell(alert);
                    }
                    self.ended = Some(Err(fault.error));
                }
            }
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
    fn record_len(&self) -> Result<Option<usize>, Fault> {
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
            let error = Error::PeerSentOversizedRecord;
            return Err(Fault::new(AlertDescription::RecordOverflow, error));
        }
        Ok((len <= bytes.len()).then_some(len))
    }

    /// Opens the next record, if it is whole.
    fn open(&mut self) -> Result<bool, Fault> {
        let Some(len) = self.record_len()? else { return Ok(false) };
        let start = self.unopened.start;
        self.unopened.start += len;
        let (kind, content) = self.decrypt(start + HEAD_LEN..start + len)?;
        if kind != ContentType::Handshake && self.messages.is_amid_one() {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        match kind {
            ContentType::ApplicationData if content.is_empty() => self.idle()?,
            ContentType::ApplicationData => {
                self.idle = 0;
                self.opened = content;
            }
            ContentType::Alert | ContentType::Handshake if content.is_empty() => {
                return Err(Fault::unexpected(InvalidMessage::InvalidEmptyPayload));
            }
            ContentType::Alert => self.alert(content)?,
            ContentType::Handshake => self.handshake(content)?,
            kind => return Err(inappropriate(kind)),
        }
        Ok(true)
    }

    /// Decrypts what lies there; answers of what type it is, and where.
    fn decrypt(&mut self, record: Range<usize>) -> Result<(ContentType, Range<usize>), Fault> {
        let number = self.receiving.number;
        self.receiving.number =
            number.checked_add(1).ok_or_else(|| Fault::ours(Error::DecryptError))?;
        let sealed = &mut self.buffer[record.clone()];
        let place = sealed.as_ptr();
        let (kind, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);
        let sealed = InboundOpaqueMessage::new(kind, version, sealed);
        let plain = self.receiving.open.decrypt(sealed, number).map_err(|error| {
            let alert = match error {
                Error::DecryptError => AlertDescription::BadRecordMac,
                Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
                _ => AlertDescription::UnexpectedMessage,
            };
            Fault::new(alert, error)
        })?;
        debug_assert_eq!(plain.payload.as_ptr(), place, "a record is opened where it was");
        Ok((plain.typ, record.start..record.start + plain.payload.len()))
    }

    /// A peer that sends nothing but what is no data wants to keep us busy.
    fn idle(&mut self) -> Result<(), Fault> {
        self.idle += 1;
        if self.idle > IDLE_MAX {
            return Err(PeerMisbehaved::TooManyEmptyFragments.into());
        }
        Ok(())
    }

    fn alert(&mut self, content: Range<usize>) -> Result<(), Fault> {
        let alert = match self.buffer[content] {
            [_, alert] => alert,
            [] | [_] => return Err(InvalidMessage::MessageTooShort.into()),
            [_, _, ..] => return Err(InvalidMessage::TrailingData("Alert").into()),
        };
        match alert.into() {
            AlertDescription::CloseNotify => self.ended = Some(Ok(())),
            // Means nothing by itself: a goodbye follows.
            AlertDescription::UserCanceled => self.idle()?,
            // Whatever its level: in TLS 1.3 every other one is the end.
            alert => return Err(Fault::told(alert)),
        }
        Ok(())
    }

    fn handshake(&mut self, content: Range<usize>) -> Result<(), Fault> {
        let Range { mut start, end } = content;
        while start < end {
            // One record may have thousands.
            self.idle()?;
            let (used, new_keys) = self.messages.take(&self.buffer[start..end])?;
            start += used;
            let Some(NewKeys { wanted }) = new_keys else { continue };
            if start < end {
                // The rest of the record has been protected with keys that are gone.
                return Err(PeerMisbehaved::KeyEpochWithPendingFragment.into());
            }
            if wanted {
                self.keys.ask();
            }
            self.receiving = self.keys.next_for_receiving().map_err(Fault::ours)?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }
}

fn inappropriate(kind: ContentType) -> Fault {
    let expect_types = vec![ContentType::ApplicationData];
    Fault::unexpected(Error::InappropriateMessage { expect_types, got_type: kind })
}
