//! A stream before it is a link: the messages of the handshake on it.

use std::fmt;
use std::io;

use midflight_transport_api::{Address, ConnectErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::Stream;
use crate::carrier::handshake_failure;
use crate::handshake::{self, Heard, MESSAGE_MAX, Malformed, Message};

/// A stream in its handshake.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) stream: Stream,
    /// Read and not yet used; what is left after the handshake are frames.
    pub(crate) read: Vec<u8>,
    /// The versions spoken here.
    versions: (u16, u16),
    /// The version that both speak, once the peer has been heard.
    pub(crate) version: u16,
}

/// Why no message of the handshake came, or not the right one.
#[derive(Debug)]
pub(crate) enum NotHeard {
    /// The stream failed or ended.
    Io(io::Error),
    Malformed(Malformed),
    Versions {
        ours: (u16, u16),
        theirs: (u16, u16),
    },
    /// The peer says it is at an address that its proof does not cover.
    NotCovered {
        identity: String,
        claimed: Address,
    },
}

impl NotHeard {
    pub(crate) fn kind(&self) -> ConnectErrorKind {
        match self {
            Self::Io(error) => handshake_failure(error),
            Self::Malformed(_) | Self::NotCovered { .. } => ConnectErrorKind::Refused,
            Self::Versions { ours, theirs } => {
                ConnectErrorKind::NoCommonVersion { ours: *ours, theirs: *theirs }
            }
        }
    }
}

impl fmt::Display for NotHeard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => write!(f, "in the handshake: {e}"),
            Self::Malformed(what) => write!(f, "{what}"),
            Self::Versions { ours, theirs } => write!(
                f,
                "no common protocol version: ours {} to {}, theirs {} to {}",
                ours.0, ours.1, theirs.0, theirs.1
            ),
            Self::NotCovered { identity, claimed } => {
                write!(f, "the peer is {identity}, which may not call itself {claimed}")
            }
        }
    }
}

impl From<io::Error> for NotHeard {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Greeting {
    pub(crate) const fn new(stream: Stream, versions: (u16, u16)) -> Self {
        Self { stream, read: Vec::new(), versions, version: versions.0 }
    }

    pub(crate) async fn say(&mut self, message: &Message) -> io::Result<()> {
        self.stream.write.write_all(&handshake::encode(message, self.versions)).await?;
        self.stream.write.flush().await
    }

    /// The next message of the peer's.
    pub(crate) async fn hear(&mut self) -> Result<Message, NotHeard> {
        loop {
            let heard =
                handshake::decode(&self.read, self.versions).map_err(NotHeard::Malformed)?;
            if let Some(Heard { message, versions: theirs, len }) = heard {
                self.read.drain(..len);
                self.version = handshake::common(self.versions, theirs).unwrap_or(self.version);
                return message.ok_or(NotHeard::Versions { ours: self.versions, theirs });
            }
            let mut chunk = [0; MESSAGE_MAX];
            let count = self.stream.read.read(&mut chunk).await?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.read.extend_from_slice(&chunk[..count]);
        }
    }

    /// Whether the peer may be where it says it is.
    pub(crate) fn check(&self, claimed: &Address, scheme: &str) -> Result<(), NotHeard> {
        if claimed.scheme() != scheme {
            return Err(NotHeard::Malformed(Malformed::Scheme));
        }
        match &self.stream.proven {
            Some(proven) if !(proven.covers)(claimed) => Err(NotHeard::NotCovered {
                identity: proven.identity.clone(),
                claimed: claimed.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Who the peer is, as far as that is proven.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.stream.proven.as_ref().map(|proven| &*proven.identity)
    }
}
