//! Peers that do not keep to the protocol: each costs itself its socket and nobody else anything.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io;
use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, timeout};
use midflight_transport_api::conformance::{Party, Seen, send, send_large};
use midflight_transport_api::{Address, Bind, ConnectErrorKind, LossKind};
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

struct Loopback {
    runtime: Handle,
}

fn config() -> TcpConfig {
    let mut config = TcpConfig::default();
    config.links.heartbeat = Duration::from_secs(1);
    config.links.handshake_deadline = Duration::from_millis(500);
    config.links.drain_deadline = Duration::from_millis(300);
    config.links.half_open_max = 8;
    config
}

impl Loopback {
    /// Opens the victim and runs `attack` on it; afterwards a decent peer must find it working.
    fn attack(attack: impl AsyncFnOnce(&Self, &Party)) {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let tokio = tokio.unwrap();
        let runtime = TokioRuntime::on(tokio.handle().clone());
        let transport = TcpTransport::new(config(), runtime.clone());
        let fixture = Self { runtime: runtime.clone() };
        let bind = Bind::Listen { listen: "tcp:127.0.0.1:0".parse().unwrap(), advertise: None };
        let whole = async {
            let victim = Party::with(&transport, bind.clone(), false).await;
            attack(&fixture, &victim).await;
            let decent = Party::with(&transport, bind, false).await;
            let link = decent.connect(&victim).await;
            let connection = link.open().unwrap();
            send(&*link, connection, b"still there?").await.unwrap();
            victim.received_keeping(b"still there?").await;
        };
        tokio.block_on(timeout(&*runtime, Duration::from_secs(30), whole)).expect("no hang");
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.runtime.now().as_nanos())
    }
}

async fn dial(victim: &Party) -> TcpStream {
    TcpStream::connect(victim.address().rest()).await.unwrap()
}

/// A message of the handshake, as in version 1.
fn message(kind: u8, versions: (u16, u16), body: &[u8]) -> Vec<u8> {
    let mut bytes = b"midflght".to_vec();
    bytes.push(kind);
    for number in [versions.0, versions.1, body.len() as u16] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(body);
    bytes
}

fn introduction(address: &str) -> Vec<u8> {
    let mut body = vec![9; 16];
    body.extend_from_slice(&400_u32.to_le_bytes());
    body.extend_from_slice(&100_000_000_u32.to_le_bytes());
    body.push(address.len() as u8);
    body.extend_from_slice(address.as_bytes());
    body
}

/// Says hello properly and confirms, under a made-up name.
async fn shake_hands(victim: &Party, name: &str) -> TcpStream {
    let mut stream = dial(victim).await;
    stream.write_all(&message(1, (1, 1), &introduction(name))).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[8], 2, "welcome");
    let mut body = vec![0; usize::from(u16::from_le_bytes([head[13], head[14]]))];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(&message(4, (1, 1), &[])).await.unwrap();
    stream
}

/// Everything until the victim closes or resets the socket.
async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes).await {
        Ok(_) => {}
        Err(e) => assert_eq!(e.kind(), io::ErrorKind::ConnectionReset),
    }
    bytes
}

#[test]
fn random_bytes_to_the_port() {
    Loopback::attack(async |fixture, victim| {
        for _ in 0..20 {
            let mut stream = dial(victim).await;
            let mut bytes = [0; 500];
            fixture.runtime.fill_random(&mut bytes);
            let _ = stream.write_all(&bytes).await;
            read_to_end(&mut stream).await;
        }
        assert!(victim.seen().is_empty());
    });
}

#[test]
fn random_bytes_after_a_handshake() {
    Loopback::attack(async |fixture, victim| {
        for n in 0..20 {
            let mut stream = shake_hands(victim, &format!("tcp:nowhere:{n}")).await;
            let mut bytes = [0xff; 5000];
            fixture.runtime.fill_random(&mut bytes[3..]);
            let _ = stream.write_all(&bytes).await;
            read_to_end(&mut stream).await;
            assert_eq!(victim.lost().await.1.kind, LossKind::Violation);
        }
    });
}

#[test]
fn oversize_frame() {
    Loopback::attack(async |_, victim| {
        let mut stream = shake_hands(victim, "tcp:nowhere:1").await;
        stream.write_all(b"\x01\0\x01\x00\0\0\0\0").await.unwrap();
        let (_, loss) = victim.lost().await;
        assert_eq!(loss.kind, LossKind::Violation);
        assert!(loss.detail.contains("65537 bytes"), "{loss}");
        read_to_end(&mut stream).await;
    });
}

#[test]
fn data_for_a_connection_that_is_not_open() {
    Loopback::attack(async |_, victim| {
        let mut stream = shake_hands(victim, "tcp:nowhere:1").await;
        stream.write_all(b"\x01\0\0\x00\x07\0\0\0x").await.unwrap();
        let (_, loss) = victim.lost().await;
        assert!(loss.detail.contains("#7"), "{loss}");
    });
}

#[test]
fn silence_after_connect() {
    Loopback::attack(async |fixture, victim| {
        let began = fixture.now();
        let mut sockets = Vec::new();
        for _ in 0..4 {
            sockets.push(dial(victim).await);
        }
        for socket in &mut sockets {
            assert!(read_to_end(socket).await.is_empty());
        }
        assert!(fixture.now() - began >= config().links.handshake_deadline);
    });
}

#[test]
fn too_many_silent_sockets_do_not_last() {
    Loopback::attack(async |_, victim| {
        let mut sockets = Vec::new();
        for _ in 0..3 * config().links.half_open_max {
            sockets.push(dial(victim).await);
        }
        for socket in &mut sockets {
            read_to_end(socket).await;
        }
    });
}

#[test]
fn early_close() {
    Loopback::attack(async |_, victim| {
        drop(dial(victim).await);
        let mut stream = dial(victim).await;
        stream.write_all(b"midfl").await.unwrap();
        drop(stream);
        let hello = message(1, (1, 1), &introduction("tcp:nowhere:1"));
        let mut stream = dial(victim).await;
        stream.write_all(&hello).await.unwrap();
        drop(stream);
        drop(shake_hands(victim, "tcp:nowhere:2").await);
        assert_eq!(victim.lost().await.1.kind, LossKind::Broken);
    });
}

/// T5, over a real socket: silence after the handshake.
#[test]
fn silence_after_the_handshake() {
    Loopback::attack(async |fixture, victim| {
        let stream = shake_hands(victim, "tcp:nowhere:1").await;
        victim.pick(|_, seen| (*seen == Seen::Up).then_some(())).await;
        let began = fixture.now();
        let (_, loss) = victim.lost().await;
        let (took, bound) = (fixture.now() - began, config().links.heartbeat);
        assert_eq!(loss.kind, LossKind::Silent, "{loss}");
        assert!(took >= bound.mul_f64(0.8) && took <= bound.mul_f64(1.2), "after {took:?}");
        drop(stream);
    });
}

#[test]
fn no_common_version_is_told_to_both() {
    Loopback::attack(async |_, victim| {
        let mut stream = dial(victim).await;
        stream.write_all(&message(1, (7, 9), b"of a later version")).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert_eq!(answer[..9], *b"midflght\x03", "a refusal");
        assert_eq!(answer[9..13], [1, 0, 1, 0], "which names the versions spoken");

        let later = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: Address = format!("tcp:{}", later.local_addr().unwrap()).parse().unwrap();
        let answers = async {
            let (mut stream, _) = later.accept().await.unwrap();
            stream.write_all(&message(3, (7, 9), &[1])).await.unwrap();
            read_to_end(&mut stream).await;
        };
        let dials = async { victim.end().connect(&address).await.unwrap_err() };
        let (error, ()) = tokio::join!(dials, answers);
        let wanted = ConnectErrorKind::NoCommonVersion { ours: (1, 1), theirs: (7, 9) };
        assert_eq!(*error.kind(), wanted, "{error}");
    });
}

#[test]
fn dialling_what_is_no_end_point() {
    Loopback::attack(async |_, victim| {
        for (answer, kind) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], ConnectErrorKind::Refused),
            (b"", ConnectErrorKind::NotFound),
        ] {
            let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address: Address = format!("tcp:{}", other.local_addr().unwrap()).parse().unwrap();
            let answers = async {
                let (mut stream, _) = other.accept().await.unwrap();
                stream.write_all(answer).await.unwrap();
            };
            let dials = async { victim.end().connect(&address).await.unwrap_err() };
            let (error, ()) = tokio::join!(dials, answers);
            assert_eq!(*error.kind(), kind, "{error}");
        }
    });
}

#[test]
fn dialling_one_that_never_answers() {
    Loopback::attack(async |fixture, victim| {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: Address = format!("tcp:{}", silent.local_addr().unwrap()).parse().unwrap();
        let began = fixture.now();
        let error = victim.end().connect(&address).await.unwrap_err();
        assert_eq!(*error.kind(), ConnectErrorKind::TimedOut, "{error}");
        assert!(fixture.now() - began >= config().links.handshake_deadline);
    });
}

/// A peer that was lost to itself comes back before we have noticed.
#[test]
fn an_old_link_is_lost_before_the_new_one_is_up() {
    Loopback::attack(async |_, victim| {
        let _half_dead = shake_hands(victim, "tcp:nowhere:1").await;
        let first = victim.pick(|link, seen| (*seen == Seen::Up).then_some(link)).await;
        let _again = shake_hands(victim, "tcp:nowhere:1").await;
        let (lost, loss) = victim.next().await;
        assert_eq!(lost, first);
        assert!(matches!(loss, Seen::Lost(loss) if loss.kind == LossKind::Broken));
        let (second, up) = victim.next().await;
        assert!(up == Seen::Up && second > first);
    });
}

/// A polite close of a peer that says nothing, and reads nothing, ends by its deadline.
#[test]
fn no_goodbye() {
    Loopback::attack(async |fixture, victim| {
        let _rude = shake_hands(victim, "tcp:nowhere:1").await;
        let link = victim.link(0).await;
        let connection = link.open().unwrap();
        let large = bytes::Bytes::from(vec![0; 20 << 20]);
        send_large(&*link, connection, large).await.unwrap();
        let began = fixture.now();
        link.close();
        let (_, loss) = victim.lost().await;
        assert_eq!(loss.kind, LossKind::Cut, "{loss}");
        assert!(fixture.now() - began >= config().links.drain_deadline);
    });
}
