//! Sockets with their options: those that listen, those that dial, those that were accepted.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use midflight_runtime::{Handle, Instant, timeout};
use midflight_transport_api::{Address, ConnectError, ConnectErrorKind, OpenError, OpenErrorKind};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::TcpConfig;
use crate::address::{host_port, pinned};

/// The receiving buffer of a socket to the same machine. Left alone, the system lets megabytes queue
/// there that no latency asks for: a small message waits behind them, and neither side ever waits, so
/// that what they have woken does.
const LOOPBACK_RECEIVE: usize = 128 * 1024;

/// Listens at the first of the host's addresses where that can be done; answers the address with the
/// port it got.
pub(crate) async fn listen(
    at: &Address,
    config: &TcpConfig,
) -> Result<(TcpListener, Address), OpenError> {
    let system = |error: io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::AddrInUse => OpenErrorKind::InUse,
            _ => OpenErrorKind::System,
        };
        OpenError::because(kind, error)
    };
    let host_port = host_port(at.rest()).ok_or(OpenErrorKind::BadAddress)?;
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host(host_port).await.map_err(system)? {
        match listener(address, config) {
            Ok(listener) => {
                let port = listener.local_addr().map_err(system)?.port();
                let host = at.rest().rsplit_once(':').map_or("", |(host, _)| host);
                let bound = Address::new(at.scheme(), &format!("{host}:{port}"))
                    .map_err(|e| OpenError::because(OpenErrorKind::BadAddress, e))?;
                return Ok((listener, bound));
            }
            Err(error) => failed = error,
        }
    }
    Err(system(failed))
}

fn listener(address: SocketAddr, config: &TcpConfig) -> io::Result<TcpListener> {
    let socket = new(address, config)?;
    if address.is_ipv6() {
        socket.set_only_v6(config.v6_only)?;
    }
    // So that a node can be restarted where it was.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Dials the host's addresses one after the other, each for its share of the time there is. Dropped, it
/// leaves no socket.
pub(crate) async fn dial(
    peer: &Address,
    config: &TcpConfig,
    runtime: &Handle,
) -> Result<TcpStream, ConnectError> {
    let deadline = runtime.now() + config.links.handshake_deadline;
    let addresses = match pinned(peer.rest()) {
        Some((_host, address)) => vec![address],
        None => look_up(peer).await?,
    };
    dial_any(&addresses, config, runtime, deadline).await
}

/// The addresses of the peer's host, each once. The system is asked, on a thread apart: it alone knows
/// of all the ways in which a machine may be told names.
async fn look_up(peer: &Address) -> Result<Vec<SocketAddr>, ConnectError> {
    let host_port = host_port(peer.rest()).ok_or(ConnectErrorKind::BadAddress)?;
    let unreachable = |error| ConnectError::because(ConnectErrorKind::Unreachable, error);
    let mut seen = BTreeSet::new();
    let found = lookup_host(host_port).await.map_err(unreachable)?;
    // In the system's order, which is the one to try them in.
    Ok(found.filter(|address| seen.insert(*address)).collect())
}

/// What the peer's host stands for, when that is a name: its addresses, each as `spelt` says.
pub(crate) async fn resolve(
    peer: &Address,
    spelt: impl Fn(&str, SocketAddr) -> String,
) -> Result<Vec<Address>, ConnectError> {
    let host = match host_port(peer.rest()) {
        Some((host, _)) if host.parse::<IpAddr>().is_err() && !host.contains('@') => host,
        _ => return Ok(vec![peer.clone()]),
    };
    let found = look_up(peer).await?;
    let spelt = found.into_iter().map(|at| Address::new(peer.scheme(), &spelt(host, at)));
    let too_long = |error| ConnectError::because(ConnectErrorKind::BadAddress, error);
    spelt.collect::<Result<_, _>>().map_err(too_long)
}

/// One that is silent must not take the time of those behind it.
async fn dial_any(
    addresses: &[SocketAddr],
    config: &TcpConfig,
    runtime: &Handle,
    deadline: Instant,
) -> Result<TcpStream, ConnectError> {
    let unreachable = |error| ConnectError::because(ConnectErrorKind::Unreachable, error);
    let mut failed = None;
    // Only the machines' own word says that nobody is there.
    let mut all_refuse = true;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.since(runtime.now()) / left.max(1);
        left = left.saturating_sub(1);
        let connected = timeout(&**runtime, share, connect(*address, config)).await;
        match connected.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                all_refuse &= error.kind() == io::ErrorKind::ConnectionRefused;
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) if all_refuse => Err(ConnectError::because(ConnectErrorKind::NotFound, error)),
        Some(error) => Err(unreachable(error)),
        None => {
            Err(ConnectError::because(ConnectErrorKind::Unreachable, "the name has no address"))
        }
    }
}

async fn connect(address: SocketAddr, config: &TcpConfig) -> io::Result<TcpStream> {
    let socket = TcpSocket::from_std_stream(new(address, config)?.into());
    let stream = socket.connect(address).await?;
    prepare(&stream, config)?;
    Ok(stream)
}

/// A socket with what must be set before it connects or listens; accepted ones inherit it.
fn new(address: SocketAddr, config: &TcpConfig) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(bytes) = config.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = config.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}

/// Sets what a connected socket needs.
pub(crate) fn prepare(stream: &TcpStream, config: &TcpConfig) -> io::Result<()> {
    stream.set_nodelay(config.nodelay)?;
    let socket = SockRef::from(stream);
    if config.receive_buffer.is_none() && stream.peer_addr()?.ip().is_loopback() {
        socket.set_recv_buffer_size(LOOPBACK_RECEIVE)?;
    }
    if let Some(idle) = config.keepalive {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        if let Some(unsent_max) = config.unsent_max {
            socket.set_tcp_notsent_lowat(unsent_max)?;
        }
        socket.set_tcp_user_timeout(config.user_timeout)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use midflight_runtime::TokioRuntime;

    use super::*;

    /// What the system says of the options of both ends.
    #[tokio::test]
    async fn the_options_are_set() {
        let config = TcpConfig {
            keepalive: Some(Duration::from_secs(77)),
            user_timeout: Some(Duration::from_millis(4500)),
            send_buffer: Some(64 << 10),
            receive_buffer: Some(32 << 10),
            ..TcpConfig::default()
        };
        let at = "tcp:127.0.0.1:0".parse().expect("an address");
        let (listener, bound) = listen(&at, &config).await.expect("it listens");
        let dialled = dial(&bound, &config, &TokioRuntime::current()).await.expect("it connects");
        let (accepted, _) = listener.accept().await.expect("it accepts");
        prepare(&accepted, &config).expect("it can be prepared");
        for stream in [&dialled, &accepted] {
            let socket = SockRef::from(stream);
            assert!(stream.nodelay().expect("nodelay"));
            assert!(socket.keepalive().expect("keepalive"));
            // Linux answers twice what was asked for.
            let size = socket.send_buffer_size().expect("size");
            assert!((64 << 10..=128 << 10).contains(&size), "{size}");
            let size = socket.recv_buffer_size().expect("size");
            assert!((32 << 10..=64 << 10).contains(&size), "{size}");
            #[cfg(target_os = "linux")]
            {
                assert_eq!(socket.tcp_keepalive_time().expect("time"), Duration::from_secs(77));
                assert_eq!(socket.tcp_notsent_lowat().expect("lowat"), 64 << 10);
                let timeout = socket.tcp_user_timeout().expect("timeout");
                assert_eq!(timeout, Some(Duration::from_millis(4500)));
            }
        }
    }

    #[tokio::test]
    async fn an_ipv6_listener_takes_ipv4_unless_told_otherwise() {
        let at = "tcp:[::]:0".parse().expect("an address");
        for v6_only in [false, true] {
            let config = TcpConfig { v6_only, ..TcpConfig::default() };
            let (listener, _) = match listen(&at, &config).await {
                Ok(listening) => listening,
                Err(error) => {
                    println!("skipped: this machine has no IPv6: {error}");
                    return;
                }
            };
            let port = listener.local_addr().expect("bound").port();
            let peer = format!("tcp:127.0.0.1:{port}").parse().expect("an address");
            let dialled = dial(&peer, &config, &TokioRuntime::current()).await;
            assert_eq!(dialled.is_err(), v6_only);
        }
    }

    /// A listener that answers nobody any more: its queue is full. With those who fill it.
    fn silent() -> (Socket, Vec<Socket>) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&any.into()).expect("it binds");
        listener.listen(0).expect("it listens");
        let at = listener.local_addr().expect("an address");
        let mut queue = Vec::new();
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            let full = socket.connect_timeout(&at, Duration::from_millis(300)).is_err();
            queue.push(socket);
            if full {
                return (listener, queue);
            }
            assert!(queue.len() < 1000, "its queue has no end");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_is_silent_leaves_time_for_the_next() {
        let (silent, _queue) = silent();
        let silent = silent.local_addr().expect("bound").as_socket().expect("an address");
        let config = TcpConfig::default();
        let at = "tcp:127.0.0.1:0".parse().expect("an address");
        let (listener, _) = listen(&at, &config).await.expect("it listens");
        let good = listener.local_addr().expect("bound");
        let runtime = TokioRuntime::current();
        let began = runtime.now();
        let deadline = began + Duration::from_secs(2);
        let dialled = dial_any(&[silent, good], &config, &runtime, deadline).await;
        assert_eq!(dialled.expect("the second answers").peer_addr().expect("linked"), good);
        assert!(runtime.now().since(began) >= Duration::from_millis(900), "the first was silent");
        assert!(runtime.now() < deadline, "and has not taken all of the time");
        let deadline = runtime.now() + Duration::from_millis(200);
        let error = dial_any(&[silent], &config, &runtime, deadline).await.expect_err("silent");
        assert_eq!(*error.kind(), ConnectErrorKind::Unreachable);
    }
}
