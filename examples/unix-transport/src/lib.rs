//! A transport over Unix domain sockets: `unix:/path/to/socket`.
//!
//! It is the worked example of `docs/writing-a-transport.md`, and all of it: [`Unix`] says how to
//! listen, how to dial, and who is at the other end; links, handshake and heartbeats are those of
//! `midflight-transport-stream`.
//!
//! # Who is at the other end
//!
//! The system says under which user a peer connected or listened, and that is its identity, such as
//! `uid:1000`. It is proof of the user, and of nothing finer: not of the program, and not of a
//! process that has changed its user since or got the socket from another. Root can be anybody. A
//! peer may say that it is at a socket file of its own user; so no user takes the place of
//! another's node. Users of another namespace that have no number here all look like one.
//!
//! Who may dial is up to the file: its permissions, and those of the folders above it.

#![forbid(unsafe_code)]

mod place;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use async_trait::async_trait;
use midflight_transport_api::{
    Address, Capabilities, ConnectError, ConnectErrorKind, OpenError, OpenErrorKind,
};
use midflight_transport_stream::{Arrival, Carrier, Listener, Proven, Stream, handshake_failure};
use tokio::net::UnixStream;

use place::Listening;

/// The longest path of a socket, in bytes: what the system has room for, less the zero at its end.
pub const PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Carries streams over Unix domain sockets; give it to a
/// [`StreamTransport`](midflight_transport_stream::StreamTransport). Its runtime must be tokio's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unix;

#[async_trait]
impl Carrier for Unix {
    fn scheme(&self) -> &'static str {
        "unix"
    }

    fn describe(&self, capabilities: &mut Capabilities) {
        capabilities.crosses_processes = true;
        capabilities.peer_identity = true;
    }

    /// Absolute, and without parts that would let one socket have two addresses.
    fn is_well_formed(&self, rest: &str) -> bool {
        rest.strip_prefix('/')
            .is_some_and(|path| path.split('/').all(|part| !matches!(part, "" | "." | "..")))
    }

    async fn listen(&self, at: &Address) -> Result<(Box<dyn Listener>, Address), OpenError> {
        let path = path(at).map_err(|e| OpenError::because(OpenErrorKind::BadAddress, e))?;
        Ok((Box::new(Listening::at(path).await?), at.clone()))
    }

    async fn dial(&self, _from: &Address, peer: &Address) -> Result<Stream, ConnectError> {
        use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound, PermissionDenied};
        let path =
            path(peer).map_err(|e| ConnectError::because(ConnectErrorKind::BadAddress, e))?;
        let socket = UnixStream::connect(path).await.map_err(|error| {
            let kind = match error.kind() {
                // No file, or one that nobody listens at.
                NotFound | NotADirectory | ConnectionRefused => ConnectErrorKind::NotFound,
                PermissionDenied => ConnectErrorKind::Refused,
                // More have dialled than are being accepted, or the system is out of something.
                _ => ConnectErrorKind::Unreachable,
            };
            ConnectError::because(kind, error)
        })?;
        stream(socket).map_err(|e| ConnectError::because(handshake_failure(&e), e))
    }
}

#[async_trait]
impl Listener for Listening {
    async fn accept(&mut self) -> io::Result<Arrival> {
        let (socket, _) = self.listener.accept().await?;
        let who = socket.peer_cred();
        let from = who.map_or_else(|e| e.to_string(), |who| format!("user {}", who.uid()));
        Ok(Arrival { from, stream: Box::pin(async move { stream(socket) }) })
    }
}

/// The socket's two halves, and the user at the other end.
fn stream(socket: UnixStream) -> io::Result<Stream> {
    let uid = socket.peer_cred()?.uid();
    let (read, write) = socket.into_split();
    let mut stream = Stream::new(read, write);
    let covers = Box::new(move |address: &Address| covers(uid, address));
    stream.proven = Some(Proven { identity: format!("uid:{uid}"), covers });
    Ok(stream)
}

/// Whether that user may be at `address`: the socket there is that user's. A made-up name is
/// nobody's place.
fn covers(uid: u32, address: &Address) -> bool {
    address.rest().starts_with('~')
        || path(address).is_ok_and(|path| {
            fs::metadata(path).is_ok_and(|file| file.file_type().is_socket() && file.uid() == uid)
        })
}

/// The path in `address`, if a socket can have it.
fn path(address: &Address) -> Result<&Path, String> {
    let rest = address.rest();
    if address.scheme() != Unix.scheme() || !Unix.is_well_formed(rest) {
        return Err(format!("{address} is no address of unix: give unix: and an absolute path"));
    }
    if rest.len() > PATH_MAX {
        let len = rest.len();
        return Err(format!("the path of a socket has at most {PATH_MAX} bytes, this one {len}"));
    }
    Ok(Path::new(rest))
}

#[cfg(test)]
mod tests;
