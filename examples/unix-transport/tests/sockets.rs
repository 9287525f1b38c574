//! What only this transport can get wrong: the files of its sockets, and who is at the other end.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, spawn, timeout};
use midflight_transport_api::conformance::{Party, nobody, send};
use midflight_transport_api::{Address, Bind, ConnectErrorKind, OpenErrorKind, Transport as _};
use midflight_transport_stream::handshake::{self, Introduction, Message, VERSIONS};
use midflight_transport_stream::{LinkConfig, StreamTransport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{Barrier, mpsc};
use unix_transport::Unix;

/// A folder for sockets, and the transport.
struct Folder {
    folder: tempfile::TempDir,
    transport: StreamTransport,
    runtime: Handle,
}

impl Folder {
    fn address(&self, name: &str) -> Address {
        format!("unix:{}/{name}", self.folder.path().display()).parse().unwrap()
    }

    fn bind(&self, name: &str) -> Bind {
        Bind::Listen { listen: self.address(name), advertise: None }
    }

    async fn party(&self, name: &str) -> Party {
        Party::with(&self.transport, self.bind(name), false).await
    }

    /// Why nobody can listen there.
    async fn refused(&self, name: &str) -> OpenErrorKind {
        let opened = self.transport.open(self.bind(name), nobody()).await;
        opened.unwrap_err().kind().clone()
    }
}

fn run(case: impl AsyncFnOnce(&Folder)) {
    let tokio =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let transport = StreamTransport::new(Unix, LinkConfig::default(), runtime.clone());
    let folder =
        Folder { folder: tempfile::tempdir().unwrap(), transport, runtime: runtime.clone() };
    let case = case(&folder);
    tokio.block_on(timeout(&*runtime, Duration::from_secs(30), case)).expect("no hang");
}

async fn talk(from: &Party, to: &Party) {
    let link = from.connect(to).await;
    let connection = link.open().unwrap();
    send(&*link, connection, b"hello").await.unwrap();
    assert_eq!(to.received().await.1[..], *b"hello");
}

/// A node that was killed leaves its file. The next one takes the place, and whoever dials meanwhile
/// is told that nobody is there.
#[test]
fn a_file_that_nobody_listens_at_is_replaced() {
    run(async |folder| {
        drop(UnixListener::bind(folder.address("a").rest()).unwrap());
        let b = folder.party("b").await;
        let error = b.end().connect(&folder.address("a")).await.unwrap_err();
        assert_eq!(*error.kind(), ConnectErrorKind::NotFound, "{error}");
        let a = folder.party("a").await;
        talk(&b, &a).await;
    });
}

/// Of many who find the same stale file at once, one gets the place, and is there.
#[test]
fn a_stale_file_is_replaced_once() {
    const MANY: usize = 4;
    run(async |folder| {
        let dialler = folder.party("dialler").await;
        for round in 0..50 {
            let name = format!("stale{round}");
            drop(UnixListener::bind(folder.address(&name).rest()).unwrap());
            let start = Arc::new(Barrier::new(MANY));
            let (tell, mut told) = mpsc::channel(MANY);
            for _ in 0..MANY {
                let (transport, bind) = (folder.transport.clone(), folder.bind(&name));
                let (start, tell) = (start.clone(), tell.clone());
                let opens = async move {
                    start.wait().await;
                    tell.send(transport.open(bind, nobody()).await).await.unwrap();
                };
                spawn(&folder.runtime, "open", opens);
            }
            let mut got = Vec::new();
            for _ in 0..MANY {
                match told.recv().await.unwrap() {
                    Ok(endpoint) => got.push(endpoint),
                    Err(error) => assert_eq!(*error.kind(), OpenErrorKind::InUse, "{error}"),
                }
            }
            assert_eq!(got.len(), 1, "round {round}");
            dialler.end().connect(&folder.address(&name)).await.unwrap();
        }
    });
}

/// Whoever listens keeps its place, whether it knows of our lock or not; and no other kind of file
/// is touched.
#[test]
fn a_file_that_is_somebodys_is_left_alone() {
    run(async |folder| {
        let (ours, theirs) = (folder.address("ours"), folder.address("theirs"));
        let _ours = folder.party("ours").await;
        let _theirs = UnixListener::bind(theirs.rest()).unwrap();
        fs::write(folder.address("notes").rest(), "keep this").unwrap();
        let file = |address: &Address| fs::metadata(address.rest()).unwrap().ino();
        let before = (file(&ours), file(&theirs));
        for name in ["ours", "theirs", "notes"] {
            assert_eq!(folder.refused(name).await, OpenErrorKind::InUse, "{name}");
        }
        assert_eq!((file(&ours), file(&theirs)), before);
        assert_eq!(fs::read_to_string(folder.address("notes").rest()).unwrap(), "keep this");
        assert_eq!(folder.refused("no/such/folder").await, OpenErrorKind::System);
    });
}

/// The file goes with the endpoint, closed or dropped; one that another has put there does not.
#[test]
fn the_file_goes_with_the_end_point() {
    run(async |folder| {
        let path = |name: &str| folder.address(name).rest().to_owned();
        let closed = folder.party("closed").await;
        closed.end().close().await;
        assert_eq!(fs::metadata(path("closed")).unwrap_err().kind(), io::ErrorKind::NotFound);

        let replaced = folder.party("replaced").await;
        fs::remove_file(path("replaced")).unwrap();
        let _another = UnixListener::bind(path("replaced")).unwrap();
        replaced.end().close().await;
        assert!(fs::metadata(path("replaced")).is_ok(), "it is another's");
    });
}

/// Both sides see under which user the other runs.
#[test]
fn the_identity_is_the_user() {
    run(async |folder| {
        let (a, b) = (folder.party("a").await, folder.party("b").await);
        let only_dials = Party::with(&folder.transport, Bind::DialOnly, false).await;
        talk(&a, &b).await;
        talk(&only_dials, &b).await;
        let user = fs::metadata(a.address().rest()).unwrap().uid();
        for link in [a.links(), b.links(), only_dials.links()].concat() {
            assert_eq!(link.peer().identity, Some(format!("uid:{user}")));
        }
    });
}

/// A peer that says it is where its user has no socket gets no link.
#[test]
fn nobody_takes_anothers_place() {
    run(async |folder| {
        let victim = folder.party("victim").await;
        let mine = folder.address("mine");
        let _mine = UnixListener::bind(mine.rest()).unwrap();
        for (address, welcome) in [(folder.address("nowhere"), false), (mine, true)] {
            let mut stream = UnixStream::connect(victim.address().rest()).await.unwrap();
            let hello = Introduction {
                address,
                nonce: [7; 16],
                heartbeat: Duration::from_secs(1),
                max_message: 1000,
            };
            let hello = handshake::encode(&Message::Hello(hello), VERSIONS);
            stream.write_all(&hello).await.unwrap();
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[8], if welcome { 2 } else { 3 }, "a welcome, or a refusal");
        }
        assert!(victim.seen().is_empty(), "neither has confirmed");
    });
}
