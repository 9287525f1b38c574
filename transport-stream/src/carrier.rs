//! What a backend provides: a way to listen, a way to dial, and streams of bytes.

use std::fmt;
use std::io;

use async_trait::async_trait;
use midflight_runtime::BoxFuture;
use midflight_transport_api::{Address, Capabilities, ConnectError, ConnectErrorKind, OpenError};
use tokio::io::{AsyncRead, AsyncWrite};

/// Carries streams of bytes between endpoints.
#[async_trait]
pub trait Carrier: fmt::Debug + Send + Sync + 'static {
    /// The scheme of the addresses, such as `tcp`.
    fn scheme(&self) -> &'static str;

    /// Fills in what the streams of this carrier offer; `max_message` is set already.
    fn describe(&self, capabilities: &mut Capabilities);

    /// Whether `rest`, what stands behind the scheme, is well-formed: it could be listened at or
    /// dialled. Never asked about made-up names, which begin with `~`.
    fn is_well_formed(&self, rest: &str) -> bool;

    /// Listens at `at`, which is well-formed; answers where it really is, when the system chose a
    /// part of it.
    ///
    /// # Errors
    /// As [`Transport::open`](midflight_transport_api::Transport::open).
    ///
    /// # Cancel safety
    /// Dropping the future must leave nothing that listens.
    async fn listen(&self, at: &Address) -> Result<(Box<dyn Listener>, Address), OpenError>;

    /// Dials `peer`, which is well-formed, for the endpoint `from`. Ends by itself, or is dropped at
    /// the deadline of the handshake.
    ///
    /// # Errors
    /// As [`EndPoint::connect`](midflight_transport_api::EndPoint::connect): `NotFound` when it is
    /// certain that nobody is there, `Unreachable` when trying later can help, `Refused` when what
    /// is there is not what was wanted.
    ///
    /// # Cancel safety
    /// Dropping the future must leave no stream.
    async fn dial(&self, from: &Address, peer: &Address) -> Result<Stream, ConnectError>;

    /// Every address that `peer`, which is well-formed, stands for; without names, itself.
    ///
    /// # Errors
    /// As [`EndPoint::resolve`](midflight_transport_api::EndPoint::resolve).
    ///
    /// # Cancel safety
    /// Dropping the future leaves at most a question whose answer nobody waits for.
    async fn resolve(&self, peer: &Address) -> Result<Vec<Address>, ConnectError> {
        Ok(vec![peer.clone()])
    }
}

/// Takes in what others dial. Dropping it ends the listening.
#[async_trait]
pub trait Listener: Send {
    /// The next one that dials.
    ///
    /// # Errors
    /// When the system gives none at the moment; it is asked again after a pause.
    ///
    /// # Cancel safety
    /// Dropping the future must lose nobody that has been told it is connected.
    async fn accept(&mut self) -> io::Result<Arrival>;
}

/// Somebody who dialled.
pub struct Arrival {
    /// Where from, for the log.
    pub from: String,
    /// Becomes the stream: what the carrier itself has to negotiate first happens in here, beside
    /// the arrivals of others, and is dropped at the deadline of the handshake.
    pub stream: BoxFuture<io::Result<Stream>>,
}

/// A stream of bytes to another endpoint, reliable and in order, in two halves. It has ended when
/// both are dropped; what was written and shut down before that is delivered.
pub struct Stream {
    /// What comes. An end is the peer's, and not somebody's in between.
    pub read: Box<dyn AsyncRead + Send + Unpin>,
    /// What goes. Vectored writes are made use of.
    pub write: Box<dyn AsyncWrite + Send + Unpin>,
    /// Who the peer is, where the carrier has proof.
    pub proven: Option<Proven>,
}

/// Who the peer is, as far as its carrier has proven it.
pub struct Proven {
    /// Its name, as the layers above see it.
    pub identity: String,
    /// Whether the proof allows the peer to be at this address: nobody takes another's place.
    pub covers: Box<dyn Fn(&Address) -> bool + Send + Sync>,
}

impl Stream {
    /// A stream of these halves, of whose peer nothing is proven.
    pub fn new(
        read: impl AsyncRead + Send + Unpin + 'static,
        write: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self { read: Box::new(read), write: Box::new(write), proven: None }
    }
}

/// What it means for a dial that the stream failed in its handshake, the carrier's or ours.
#[must_use]
pub fn handshake_failure(error: &io::Error) -> ConnectErrorKind {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error.kind() {
        // Whoever was there has gone without a word, or is too busy to say one.
        BrokenPipe | ConnectionReset | UnexpectedEof => ConnectErrorKind::Unreachable,
        _ => ConnectErrorKind::Refused,
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("proven", &self.proven).finish_non_exhaustive()
    }
}

impl fmt::Debug for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proven").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("from", &self.from).finish_non_exhaustive()
    }
}
