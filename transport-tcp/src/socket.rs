//! A socket before it is a link: its options, and the messages of the handshake.

use std::fmt;
use std::io;

use midflight_transport_api::ConnectErrorKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::TcpConfig;
use crate::handshake::{self, Heard, MESSAGE_MAX, Malformed, Message, VERSIONS};

/// A socket in its handshake.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    /// Read and not yet used; what is left after the handshake are frames.
    pub(crate) read: Vec<u8>,
}

/// Why no message of the handshake came.
#[derive(Debug)]
pub(crate) enum NotHeard {
    /// The socket failed or ended.
    Io(io::Error),
    Malformed(Malformed),
    Versions {
        theirs: (u16, u16),
    },
}

impl NotHeard {
    pub(crate) const fn kind(&self) -> ConnectErrorKind {
        match self {
            Self::Io(_) | Self::Malformed(_) => ConnectErrorKind::Refused,
            Self::Versions { theirs } => {
                ConnectErrorKind::NoCommonVersion { ours: VERSIONS, theirs: *theirs }
            }
        }
    }
}

impl fmt::Display for NotHeard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => write!(f, "in the handshake: {e}"),
            Self::Malformed(what) => write!(f, "{what}"),
            Self::Versions { theirs } => write!(
                f,
                "no common protocol version: ours {} to {}, theirs {} to {}",
                VERSIONS.0, VERSIONS.1, theirs.0, theirs.1
            ),
        }
    }
}

impl From<io::Error> for NotHeard {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, config: &TcpConfig) -> io::Result<Self> {
        stream.set_nodelay(config.nodelay)?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(unsent_max) = config.unsent_max {
            socket2::SockRef::from(&stream).set_tcp_notsent_lowat(unsent_max)?;
        }
        Ok(Self { stream, read: Vec::new() })
    }

    pub(crate) async fn say(&mut self, message: &Message) -> io::Result<()> {
        self.stream.write_all(&handshake::encode(message, VERSIONS)).await
    }

    /// The next message of the peer's.
    pub(crate) async fn hear(&mut self) -> Result<Message, NotHeard> {
        loop {
            let heard = handshake::decode(&self.read).map_err(NotHeard::Malformed)?;
            if let Some(Heard { message, versions, len }) = heard {
                self.read.drain(..len);
                return message.ok_or(NotHeard::Versions { theirs: versions });
            }
            let mut chunk = [0; MESSAGE_MAX];
            let count = self.stream.read(&mut chunk).await?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.read.extend_from_slice(&chunk[..count]);
        }
    }
}
