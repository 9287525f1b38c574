//! From bytes to the records of TLS: pure.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::{AlertDescription, ContentType, Error, ProtocolVersion};

use super::keys::{Keys, Sending};

/// The longest content of a record.
const CONTENT_MAX: usize = 16 * 1024;
/// Bytes that are sealed in one go: as much as a socket takes at once, so that the peer opens the first
/// of it while the rest is being sealed.
const BYTES_MAX: usize = 64 * 1024;
/// Slices that are looked at in one go.
const SLICES_MAX: usize = 64;

const FATAL: u8 = 2;
const WARNING: u8 = 1;
/// A message of the handshake's protocol, after the handshake: new keys follow, and none are wanted.
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];

/// See the [module](self).
pub(super) struct Sealer {
    keys: Arc<Keys>,
    sending: Sending,
}

impl Sealer {
    pub(super) const fn new(keys: Arc<Keys>, sending: Sending) -> Self {
        Self { keys, sending }
    }

    /// Puts records with the first bytes of `slices` into `records`; answers how many bytes.
    pub(super) fn data(
        &mut self,
        slices: &[IoSlice<'_>],
        records: &mut VecDeque<Vec<u8>>,
    ) -> Result<usize, Error> {
        let (mut chunks, mut count) = ([&[][..]; SLICES_MAX], 0);
        // As many empty ones as may be looked at would come to nothing written, which is an error.
        let slices = slices.iter().filter(|slice| !slice.is_empty());
        for (chunk, slice) in chunks.iter_mut().zip(slices) {
            *chunk = slice;
            count += 1;
        }
        let (mut rest, _) = OutboundChunks::new(&chunks[..count]).split_at(BYTES_MAX);
        let len = rest.len();
        while !rest.is_empty() {
            let (content, behind) = rest.split_at(CONTENT_MAX);
            self.renew(records)?;
            records.push_back(self.record(ContentType::ApplicationData, content)?);
            rest = behind;
        }
        Ok(len)
    }

    /// Says that nothing follows; or why, if the reader has found that the peer did something wrong.
    pub(super) fn close(&mut self, records: &mut VecDeque<Vec<u8>>) -> Result<(), Error> {
        match self.keys.untold() {
            Some(alert) => self.alert(FATAL, alert, records),
            None => self.alert(WARNING, AlertDescription::CloseNotify, records),
        }
    }

    /// Says what the peer did wrong, if the reader has found something.
    pub(super) fn complaint(&mut self, records: &mut VecDeque<Vec<u8>>) -> Result<(), Error> {
        match self.keys.untold() {
            Some(alert) => self.alert(FATAL, alert, records),
            None => Ok(()),
        }
    }

    fn alert(
        &mut self,
        level: u8,
        alert: AlertDescription,
        records: &mut VecDeque<Vec<u8>>,
    ) -> Result<(), Error> {
        let content = [level, alert.into()];
        records.push_back(self.record(ContentType::Alert, content[..].into())?);
        Ok(())
    }

    /// Takes new keys when the peer wants them, or the last record that these may protect is due: that
    /// one says so.
    fn renew(&mut self, records: &mut VecDeque<Vec<u8>>) -> Result<(), Error> {
        let spent = self.sending.number.saturating_add(1) >= self.keys.records_max();
        if self.keys.take_asked() || spent {
            records.push_back(self.record(ContentType::Handshake, KEY_UPDATE[..].into())?);
            self.change_keys()?;
        }
        Ok(())
    }

    /// Takes the next keys: the peer has been told.
    pub(super) fn change_keys(&mut self) -> Result<(), Error> {
        self.sending = self.keys.next_for_sending()?;
        Ok(())
    }

    /// One record, with the next number.
    pub(super) fn record(
        &mut self,
        typ: ContentType,
        payload: OutboundChunks<'_>,
    ) -> Result<Vec<u8>, Error> {
        let number = self.sending.number;
        // A number is never used twice, whatever becomes of the record.
        self.sending.number = number.checked_add(1).ok_or(Error::EncryptError)?;
        let plain = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_3, payload };
        Ok(self.sending.protect.encrypt(plain, number)?.encode())
    }
}
