//! From a socket to a session: rustls decides, here is what it reads and writes.

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use midflight_transport_stream::{Proven, Stream};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, InsufficientSizeError, UnbufferedConnectionCommon,
    UnbufferedStatus,
};
use rustls::{AlertDescription, ClientConfig, ContentType, Error, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::configs::ALPN;
use super::halves::{ReadHalf, WriteHalf, wrong};
use super::keys::{Keys, Receiving, Sending};
use super::open::{HEAD_LEN, Opener};
use super::proof;
use super::seal::Sealer;

/// Bytes read at once.
const READ: usize = 4 * 1024;
/// Bytes of a handshake that are held. rustls refuses messages from 64 KiB on.
const HELD_MAX: usize = 128 * 1024;
/// Records of a handshake that are held: those of one message, which fill no more than five. Some that
/// rustls skips it does not count as used, and goes through all of them again with each one more.
const RECORDS_MAX: usize = 64;

/// Proves who we are to the one who was dialled as `host`, and has it prove that it is.
///
/// # Errors
/// `InvalidData` with rustls's error when one of the two is not content; as the socket otherwise.
pub(super) async fn connect(
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
    socket: TcpStream,
) -> io::Result<Stream> {
    let side = UnbufferedClientConnection::new(config, host).map_err(wrong)?;
    Ok(shake(side, socket).await?.into_stream())
}

/// The same with one who dialled.
///
/// # Errors
/// As [`connect`].
pub(super) async fn accept(config: Arc<ServerConfig>, socket: TcpStream) -> io::Result<Stream> {
    let side = UnbufferedServerConnection::new(config).map_err(wrong)?;
    Ok(shake(side, socket).await?.into_stream())
}

/// What a handshake has come to.
pub(super) struct Session {
    pub(super) socket: TcpStream,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    proven: Proven,
}

impl Session {
    pub(super) fn into_stream(self) -> Stream {
        let (read, write) = self.socket.into_split();
        let read = ReadHalf::new(read, self.opener);
        let mut stream = Stream::new(read, WriteHalf::new(write, self.sealer));
        stream.proven = Some(self.proven);
        stream
    }
}

/// One side of a handshake: what rustls has under one name for both, and for each by itself.
pub(super) trait Side:
    Sized + Deref<Target = UnbufferedConnectionCommon<Self::Data>>
{
    type Data;
    const IS_CLIENT: bool;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn into_keys(self) -> Result<(Arc<Keys>, Sending, Receiving), Error>;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    const IS_CLIENT: bool = true;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn into_keys(self) -> Result<(Arc<Keys>, Sending, Receiving), Error> {
        let (secrets, next) = self.dangerous_into_kernel_connection()?;
        Keys::new(secrets, next)
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    const IS_CLIENT: bool = false;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn into_keys(self) -> Result<(Arc<Keys>, Sending, Receiving), Error> {
        let (secrets, next) = self.dangerous_into_kernel_connection()?;
        Keys::new(secrets, next)
    }
}

/// What has come of the peer's side.
#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    /// The end of the records that rustls has been shown. One at a time: what comes behind the
    /// handshake is not its affair any more.
    shown: usize,
    /// How many records those are, at the most.
    records: usize,
}

pub(super) async fn shake<S: Side>(mut side: S, mut socket: TcpStream) -> io::Result<Session> {
    let (mut incoming, mut outgoing) = (Incoming::default(), Vec::new());
    loop {
        let window = incoming.window();
        let (used, next) = step(side.process(&mut incoming.bytes[..window]), &mut outgoing);
        incoming.use_up(used);
        match next {
            Ok(Next::Again) => {}
            Ok(Next::Write) => {
                socket.write_all(&outgoing).await?;
                outgoing.clear();
            }
            Ok(Next::Read) => {
                if !incoming.show_more()? {
                    incoming.read(&mut socket).await?;
                }
            }
            Ok(Next::Done) => break,
            Err(error) => {
                alert(&mut side, &mut incoming, &mut outgoing);
                // It is the last word, whether the peer hears it or not.
                let _ = socket.try_write(&outgoing);
                return Err(wrong(error));
            }
        }
    }
    let proven = proof::of(side.peer_certificates())?;
    // rustls is content with a peer that says nothing of what it speaks.
    let speaks = side.alpn_protocol() == Some(ALPN);
    let (keys, sending, receiving) = side.into_keys().map_err(wrong)?;
    let opener = Opener::new(keys.clone(), receiving, S::IS_CLIENT, incoming.behind());
    let sealer = Sealer::new(keys.clone(), sending);
    let session = Session { socket, sealer, opener, proven };
    if !speaks {
        keys.tell(AlertDescription::NoApplicationProtocol);
        drop(session.into_stream());
        return Err(wrong(Error::NoApplicationProtocol));
    }
    Ok(session)
}

/// What rustls wants next.
enum Next {
    Again,
    Write,
    Read,
    Done,
}

/// Does what can be done without the socket; answers how many bytes were used up.
fn step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Vec<u8>,
) -> (usize, Result<Next, Error>) {
    let next = status.state.and_then(|state| match state {
        ConnectionState::EncodeTlsData(mut data) => {
            let at = outgoing.len();
            if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
                data.encode(&mut [])
            {
                outgoing.resize(at + required_size, 0);
                let encoded = data.encode(&mut outgoing[at..]);
                encoded.map_err(|error| Error::General(error.to_string()))?;
            }
            Ok(Next::Again)
        }
        ConnectionState::TransmitTlsData(data) => {
            // It is, before anything else is asked.
            data.done();
            Ok(Next::Write)
        }
        ConnectionState::BlockedHandshake => Ok(Next::Read),
        ConnectionState::WriteTraffic(_) => Ok(Next::Done),
        // Closed in the handshake, or data where none may be.
        _ => Err(Error::HandshakeNotComplete),
    });
    (status.discard, next)
}

/// Puts what rustls has to say of a failure into `outgoing`.
fn alert<S: Side>(side: &mut S, incoming: &mut Incoming, outgoing: &mut Vec<u8>) {
    // Asked no further than that: it would go on with the bytes and fail a second time, which it does not
    // expect. And with the bytes it knows, because it counts from their beginning.
    while side.wants_write() {
        let window = incoming.window();
        let (used, next) = step(side.process(&mut incoming.bytes[..window]), outgoing);
        incoming.use_up(used);
        if !matches!(next, Ok(Next::Again)) {
            return;
        }
    }
}

impl Incoming {
    /// How much rustls may see: whole records, and the beginning of one, so that it can say early that
    /// it is none.
    fn window(&self) -> usize {
        match self.next_end() {
            Some(_) => self.shown,
            None => self.bytes.len(),
        }
    }

    /// The end of the next record, when it is whole.
    fn next_end(&self) -> Option<usize> {
        let head = self.bytes[self.shown..].first_chunk::<HEAD_LEN>()?;
        let len = HEAD_LEN + usize::from(u16::from_be_bytes([head[3], head[4]]));
        Some(self.shown + len).filter(|end| *end <= self.bytes.len())
    }

    /// Shows one more record, if there is one.
    fn show_more(&mut self) -> io::Result<bool> {
        let Some(end) = self.next_end() else { return Ok(false) };
        let kind = ContentType::from(self.bytes[self.shown]);
        if kind == ContentType::ApplicationData && end == self.shown + HEAD_LEN {
            return Err(endless("a protected record with nothing in it"));
        }
        if self.records == RECORDS_MAX {
            return Err(endless("too many records for one message"));
        }
        self.shown = end;
        self.records += 1;
        Ok(true)
    }

    fn use_up(&mut self, count: usize) {
        if count > 0 {
            self.bytes.drain(..count);
            self.shown = self.shown.saturating_sub(count);
            self.records = 0;
        }
    }

    async fn read(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        if self.bytes.len() > HELD_MAX {
            return Err(endless("too many bytes for one message"));
        }
        let mut chunk = [0; READ];
        let count = socket.read(&mut chunk).await?;
        if count == 0 {
            let what = "the stream ended in the handshake of TLS";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        self.bytes.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    /// What came behind the handshake.
    fn behind(&self) -> &[u8] {
        &self.bytes[self.shown..]
    }
}

/// A handshake in which the peer comes to no end.
fn endless(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a handshake without end: {what}"))
}
