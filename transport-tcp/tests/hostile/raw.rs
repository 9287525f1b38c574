//! A peer that does as it likes, byte by byte.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::timeout;
use midflight_transport_api::Address;
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::ground::Ground;
use crate::speech::{self, HEAD_LEN, REFUSAL, WELCOME};
use crate::{clock, raw_tls};

pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// One stream of such a peer, under TLS if the endpoint's are.
pub(crate) struct Raw {
    pub(crate) stream: Box<dyn Bytes>,
    /// Where it comes from, as the endpoint's log has it.
    pub(crate) from: String,
}

/// For these, whatever the endpoint does next, nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(20);

impl Ground {
    /// A socket, and nothing said on it.
    pub(crate) async fn socket(&self) -> (TcpStream, String) {
        let socket = TcpStream::connect(self.endpoint.address().rest()).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let from = socket.local_addr().unwrap().to_string();
        (socket, from)
    }

    /// A stream on which the handshake can begin.
    pub(crate) async fn dial(&self) -> Raw {
        let (socket, from) = self.socket().await;
        self.wrap(socket, from).await
    }

    /// The same, on this socket.
    pub(crate) async fn wrap(
        &self,
        socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        from: String,
    ) -> Raw {
        if !self.is_tls() {
            return Raw { stream: Box::new(socket), from };
        }
        let config = raw_tls::client_config(Some(&self.enrolled), &[&TLS13]);
        let stream = raw_tls::connect_on(socket, config).await.unwrap();
        Raw { stream: Box::new(stream), from }
    }

    /// A listener to be dialled, and its address.
    pub(crate) async fn listener(&self) -> (TcpListener, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = self.address(listener.local_addr().unwrap());
        (listener, address)
    }

    /// The stream of one who dials `listener`.
    pub(crate) async fn dialled(&self, listener: &TcpListener) -> Raw {
        let (socket, from) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let from = from.to_string();
        if !self.is_tls() {
            return Raw { stream: Box::new(socket), from };
        }
        let config = Arc::new(raw_tls::server_config(&self.enrolled, &[&TLS13]));
        let stream = raw_tls::accept(socket, config).await.unwrap();
        Raw { stream: Box::new(stream), from }
    }

    /// Says hello as `name`, and is welcome.
    pub(crate) async fn welcomed(&self, name: &Address) -> Raw {
        self.welcomed_on(self.dial().await, name).await
    }

    async fn welcomed_on(&self, mut raw: Raw, name: &Address) -> Raw {
        raw.say(&speech::hello(name.as_str())).await.unwrap();
        let (kind, _) = raw.message().await;
        assert_eq!(kind, WELCOME);
        raw
    }

    /// Is linked as `name`.
    pub(crate) async fn linked_as(&self, name: &Address) -> Raw {
        self.linked_on(self.dial().await, name).await
    }

    /// Is linked as `name` over this stream.
    pub(crate) async fn linked_on(&self, raw: Raw, name: &Address) -> Raw {
        let mut raw = self.welcomed_on(raw, name).await;
        raw.say(&speech::confirmation()).await.unwrap();
        self.host.link(name).await;
        raw
    }

    /// Is linked under a name of its own.
    pub(crate) async fn linked(&self) -> (Raw, Address) {
        let name = self.name();
        (self.linked_as(&name).await, name)
    }

    pub(crate) async fn pause(&self, millis: u64) {
        clock::pause(&self.runtime, Duration::from_millis(millis)).await;
    }

    pub(crate) fn now(&self) -> Duration {
        clock::now(&self.runtime)
    }

    /// Fails the test when `what` takes for ever.
    pub(crate) async fn soon<T>(&self, what: &str, task: impl Future<Output = T>) -> T {
        match timeout(&*self.runtime, PATIENCE, task).await {
            Ok(done) => done,
            Err(_elapsed) => panic!("{what}: not within {PATIENCE:?}"),
        }
    }
}

impl Raw {
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next message of a handshake: kind and body.
    pub(crate) async fn message(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; HEAD_LEN];
        self.stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..8], *b"midflght");
        let mut body = vec![0; usize::from(u16::from_le_bytes([head[13], head[14]]))];
        self.stream.read_exact(&mut body).await.unwrap();
        (head[8], body)
    }

    /// The next message of a handshake, which is a refusal: its reason.
    pub(crate) async fn refusal(&mut self) -> u8 {
        let (kind, body) = self.message().await;
        assert_eq!(kind, REFUSAL);
        body[0]
    }

    /// The next frame: kind with flags, connection and payload.
    pub(crate) async fn frame(&mut self) -> (u8, u32, Vec<u8>) {
        let mut head = [0; 8];
        self.stream.read_exact(&mut head).await.unwrap();
        let len = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let mut payload = vec![0; len as usize];
        self.stream.read_exact(&mut payload).await.unwrap();
        (head[3], u32::from_le_bytes([head[4], head[5], head[6], head[7]]), payload)
    }

    /// Sends `text` on connection `connection`, which is open, and waits until it comes back.
    pub(crate) async fn is_echoed(&mut self, connection: u32, text: &[u8]) {
        self.say(&speech::frame(speech::DATA, connection, text)).await.unwrap();
        loop {
            let (kind, _, payload) = self.frame().await;
            if kind == speech::DATA && payload == text {
                return;
            }
        }
    }

    /// Everything until the endpoint closes or resets the stream.
    pub(crate) async fn end(&mut self) -> Vec<u8> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, InvalidData, UnexpectedEof};
        let mut bytes = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut bytes).await {
            let kinds = [BrokenPipe, ConnectionReset, InvalidData, UnexpectedEof];
            assert!(kinds.contains(&error.kind()), "{error}");
        }
        bytes
    }
}
