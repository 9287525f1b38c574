//! Messages of the handshake's protocol after the handshake, from the records they come in: pure.
//!
//! Two may come: new keys, and tickets, of which no use is made. So nothing of a message is kept but its
//! head.

use rustls::{AlertDescription, Error, HandshakeType, InvalidMessage};

use super::fault::Fault;

/// Bytes of a message's head: its type and its length.
const HEAD_LEN: usize = 4;
/// The shortest ticket: how long it holds, what hides its age, and three things with a length, of
/// which one may not be empty.
const TICKET_MIN: usize = 4 + 4 + 1 + (2 + 1) + 2;
/// The longest; rustls takes no longer one.
const TICKET_MAX: usize = 0xffff;

/// See the [module](self).
pub(super) struct Messages {
    /// Whether tickets may come.
    is_client: bool,
    /// The head of the message that is coming, as far as it has come.
    head: [u8; HEAD_LEN],
    head_len: usize,
    /// Bytes of its body that have not come, when the head has.
    missing: usize,
}

/// The peer takes new keys for what it sends from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NewKeys {
    /// Whether it wants the same of us.
    pub(super) wanted: bool,
}

impl Messages {
    pub(super) const fn new(is_client: bool) -> Self {
        Self { is_client, head: [0; HEAD_LEN], head_len: 0, missing: 0 }
    }

    /// Whether only a part of a message has come.
    pub(super) const fn is_amid_one(&self) -> bool {
        self.head_len > 0
    }

    /// Takes bytes up to the end of a message; answers how many, and what it says when it is whole and
    /// says something.
    ///
    /// # Errors
    /// When it may not come, as soon as its head shows that.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<NewKeys>), Fault> {
        let mut used = 0;
        if self.head_len < HEAD_LEN {
            used = bytes.len().min(HEAD_LEN - self.head_len);
            self.head[self.head_len..][..used].copy_from_slice(&bytes[..used]);
            self.head_len += used;
            if self.head_len < HEAD_LEN {
                return Ok((used, None));
            }
            self.missing = self.body_len()?;
        }
        let body = &bytes[used..];
        let body = &body[..body.len().min(self.missing)];
        self.missing -= body.len();
        if self.missing > 0 {
            return Ok((used + body.len(), None));
        }
        self.head_len = 0;
        let new_keys = match (self.kind(), body) {
            (HandshakeType::KeyUpdate, [0]) => Some(NewKeys { wanted: false }),
            (HandshakeType::KeyUpdate, [1]) => Some(NewKeys { wanted: true }),
            (HandshakeType::KeyUpdate, _) => {
                let error = InvalidMessage::InvalidKeyUpdate;
                return Err(Fault::new(AlertDescription::IllegalParameter, error));
            }
            _ => None,
        };
        Ok((used + body.len(), new_keys))
    }

    fn kind(&self) -> HandshakeType {
        HandshakeType::from(self.head[0])
    }

    /// How long the message is of which the head has come.
    fn body_len(&self) -> Result<usize, Fault> {
        let [_, high, mid, low] = self.head;
        let len = u32::from_be_bytes([0, high, mid, low]) as usize;
        match self.kind() {
            HandshakeType::KeyUpdate if len == 1 => Ok(len),
            HandshakeType::KeyUpdate => Err(InvalidMessage::InvalidKeyUpdate.into()),
            HandshakeType::NewSessionTicket if self.is_client => match len {
                ..TICKET_MIN => Err(InvalidMessage::MessageTooShort.into()),
                TICKET_MIN..=TICKET_MAX => Ok(len),
                _ => Err(InvalidMessage::HandshakePayloadTooLarge.into()),
            },
            kind => Err(Fault::unexpected(Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::KeyUpdate],
                got_type: kind,
            })),
        }
    }
}
