//! Sessions: against rustls's own on the other side, and against one that does as it likes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod behind;
mod faults;
mod records;
mod streams;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{CipherSuiteCommon, Error, SupportedCipherSuite, Tls13CipherSuite};
use tokio::net::{TcpListener, TcpStream};

use super::Credentials;
use super::configs::Configs;
use super::handshake::{Session, shake};
use super::open::{Opener, Step};
use super::seal::Sealer;

/// What both sides show and believe.
fn configs(provider: Arc<CryptoProvider>) -> Configs {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new([]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let chain = params.signed_by(&key, &authority).unwrap().pem();
    let key = key.serialize_pem();
    let credentials =
        Credentials::from_pem(authority.pem().as_bytes(), chain.as_bytes(), key.as_bytes());
    Configs::with(credentials.unwrap(), provider).unwrap()
}

fn usual() -> Configs {
    configs(Arc::new(default_provider()))
}

/// With keys that may protect so many records.
fn limited(records_max: u64) -> Configs {
    let SupportedCipherSuite::Tls13(suite) = cipher_suite::TLS13_AES_256_GCM_SHA384 else {
        panic!("a suite of TLS 1.3");
    };
    let common = CipherSuiteCommon { confidentiality_limit: records_max, ..suite.common };
    let suite = Box::leak(Box::new(Tls13CipherSuite { common, ..*suite }));
    let suites = vec![SupportedCipherSuite::Tls13(suite)];
    configs(Arc::new(CryptoProvider { cipher_suites: suites, ..default_provider() }))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// Both ends of a socket.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap());
    let (dialled, accepted) = tokio::join!(dialled, listener.accept());
    let (dialled, (accepted, _)) = (dialled.unwrap(), accepted.unwrap());
    dialled.set_nodelay(true).unwrap();
    accepted.set_nodelay(true).unwrap();
    (dialled, accepted)
}

/// Both sides of a session: the one that dialled and the one that accepted.
async fn sessions(configs: &Configs) -> (Session, Session) {
    let client = UnbufferedClientConnection::new(configs.client.clone(), localhost()).unwrap();
    let server = UnbufferedServerConnection::new(configs.server.clone()).unwrap();
    let (dialled, accepted) = sockets().await;
    let (client, server) = tokio::join!(shake(client, dialled), shake(server, accepted));
    (client.unwrap(), server.unwrap())
}

/// So many bytes that are not all the same.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8)) as u8).collect()
}

/// The records with all of `bytes`, given as slices of so many.
fn sealed(sealer: &mut Sealer, bytes: &[u8], slice: usize) -> Vec<u8> {
    let (mut records, mut rest) = (VecDeque::new(), bytes);
    while !rest.is_empty() {
        let slices: Vec<_> = rest.chunks(slice).map(IoSlice::new).collect();
        rest = &rest[sealer.data(&slices, &mut records).unwrap()..];
    }
    records.make_contiguous().concat()
}

/// Gives `bytes` in pieces; answers what was opened, and whether the end was.
fn given(opener: &mut Opener, mut bytes: &[u8], piece: usize) -> Result<(Vec<u8>, bool), Error> {
    let mut opened = Vec::new();
    loop {
        match opener.step()? {
            Step::Take => {
                let some = opener.bytes().len().min(piece);
                opened.extend_from_slice(&opener.bytes()[..some]);
                opener.took(some);
            }
            Step::Closed => return Ok((opened, true)),
            Step::Read if bytes.is_empty() => return Ok((opened, false)),
            Step::Read => {
                let room = opener.room();
                let count = piece.min(bytes.len()).min(room.len());
                assert!(count > 0, "there is always room");
                room[..count].copy_from_slice(&bytes[..count]);
                opener.came(count);
                bytes = &bytes[count..];
            }
        }
    }
}

/// One that seals and one that opens that.
async fn one_way() -> (Sealer, Opener) {
    let (client, server) = sessions(&usual()).await;
    (client.sealer, server.opener)
}
