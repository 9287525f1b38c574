//! A way to an endpoint that can fall silent, and writes down what passes.
//!
//! The endpoint says that it is where the relay is; where it really listens only the relay knows.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use midflight_runtime::{Handle, Task, spawn};
use midflight_transport_api::{Address, Bind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// See the [module](self).
pub(crate) struct Relay {
    /// Where it is dialled.
    front: SocketAddr,
    /// Where the endpoint listens.
    behind: SocketAddr,
    /// Keeps that port from others until the endpoint listens there.
    _reserved: TcpSocket,
    way: Arc<Way>,
    accepting: Task,
}

struct Way {
    silent: watch::Sender<bool>,
    /// All bytes, both ways, if that is wanted.
    record: Option<Mutex<Vec<u8>>>,
}

impl Relay {
    pub(crate) fn open(runtime: &Handle, recording: bool) -> Self {
        let reserved = TcpSocket::new_v4().unwrap();
        reserved.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // Two may be bound to one port if both say so and at most one listens. It is said only now, so
        // that the system has not chosen a port that another relay has reserved.
        reserved.set_reuseaddr(true).unwrap();
        let behind = reserved.local_addr().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let front = listener.local_addr().unwrap();
        let record = recording.then(Mutex::default);
        let way = Arc::new(Way { silent: watch::Sender::new(false), record });
        let accepting =
            spawn(runtime, "relay", accept(runtime.clone(), listener, behind, way.clone()));
        Self { front, behind, _reserved: reserved, way, accepting }
    }

    /// How the endpoint behind it is opened.
    pub(crate) fn bind(&self, scheme: &str) -> Bind {
        Bind::Listen {
            listen: format!("{scheme}:{}", self.behind).parse().unwrap(),
            advertise: Some(format!("{scheme}:{}", self.front).parse().unwrap()),
        }
    }

    /// Whether it is the way to `address`.
    pub(crate) fn leads_to(&self, address: &Address) -> bool {
        address.rest() == self.front.to_string()
    }

    /// Passes nothing on any more, and says nothing about it; or again. What was connected before
    /// stays silent for ever, as when its end was lost on the way.
    pub(crate) fn silence(&self, silent: bool) {
        self.way.silent.send_if_modified(|before| std::mem::replace(before, silent) != silent);
    }

    /// All that has passed so far.
    pub(crate) fn record(&self) -> Vec<u8> {
        self.way.record.as_ref().unwrap().lock().unwrap().clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    runtime: Handle,
    listener: std::net::TcpListener,
    behind: SocketAddr,
    way: Arc<Way>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((near, _)) = listener.accept().await {
        spawn(&runtime, "relayed", carry(near, behind, way.clone()));
    }
}

async fn carry(near: TcpStream, behind: SocketAddr, way: Arc<Way>) {
    let mut silent = way.silent.subscribe();
    if silent.wait_for(|silent| !silent).await.is_err() {
        return;
    }
    // Nobody there: who dialled sees an end.
    let Ok(far) = TcpStream::connect(behind).await else { return };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let (mut near, mut far) = (near.into_split(), far.into_split());
    let cut = silent.clone();
    let passes = async {
        let there = pass(&mut near.0, &mut far.1, &way, &cut);
        let back = pass(&mut far.0, &mut near.1, &way, &cut);
        let _ = tokio::try_join!(there, back);
    };
    tokio::select! {
        biased;
        _ = silent.changed() => {}
        () = passes => return,
    }
    // Neither side is told, as long as this network is there.
    std::future::pending::<()>().await;
}

async fn pass(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    way: &Way,
    cut: &watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        // What was read after the cut does not pass, although this had not heard of it when it began to read.
        if cut.has_changed().unwrap_or(true) {
            return std::future::pending().await;
        }
        if count == 0 {
            return to.shutdown().await;
        }
        if let Some(record) = &way.record {
            record.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
        to.write_all(&buffer[..count]).await?;
    }
}
