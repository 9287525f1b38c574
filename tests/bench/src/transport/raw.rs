//! Plain tokio over TCP and TLS: the tasks and channels of [`crate::raw`], one socket for each
//! connection.
//!
//! It has nothing that could share a socket between connections, so that round trips beside a stream
//! have a socket of their own. It says what the machine allows then, not what is asked of a link.
#![expect(clippy::disallowed_methods, reason = "plain tokio and its clock are the point here")]

use std::time::Instant;

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::certificates::{Certificates, HOST};
use super::receipt::cpu;
use super::workload::{BESIDE, HUGE, Measured, PING, beside_time, round_trips, warm_up};
use super::written::Written;
use super::{ECHO, ENDLESS, Shape, rustls_config};
use crate::args::Size;
use crate::far_side;
use crate::raw::{self, Ends, gone, text};

/// The far side.
pub(super) async fn serve(certificates: Option<&Certificates>) -> Result<(), String> {
    let tls = certificates.map(rustls_config::acceptor).transpose()?;
    let listener = TcpListener::bind((HOST, 0)).await.map_err(text)?;
    let address = listener.local_addr().map_err(text)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Some(tls) = tls else { return raw::answer(Ends::of(stream)?).await };
                stream.set_nodelay(true).map_err(text)?;
                let (read, write) = tokio::io::split(tls.accept(stream).await.map_err(text)?);
                raw::answer(Ends::of_halves(read, write)).await
            });
        }
    });
    far_side::serve_until_abandoned(&address.to_string())
}

/// Runs a workload once.
pub(super) async fn sample(
    address: &str,
    certificates: Option<&Certificates>,
    shape: Shape,
    size: Size,
) -> Result<Measured, String> {
    let tls = certificates.map(rustls_config::connector).transpose()?;
    let dialler = Dialler { address: address.to_owned(), tls };
    tokio::spawn(measure(dialler, shape, size)).await.map_err(gone)?
}

async fn measure(dialler: Dialler, shape: Shape, size: Size) -> Result<Measured, String> {
    if let Some((count, len)) = shape.stream(size) {
        let ends = dialler.connect().await?;
        let cpu_before = cpu();
        let (seconds, receipt) = raw::stream(ends, count, Bytes::from(vec![7; len])).await?;
        let cpu = cpu().saturating_sub(cpu_before) + receipt.cpu;
        return Ok(Measured::Stream { count, len, seconds, cpu });
    }
    let mut ends = dialler.connect().await?;
    ends.say(ECHO).await?;
    raw::round_trips(&mut ends, PING, |done| done < warm_up(size)).await?;
    match shape {
        Shape::BesideStream => beside_stream(&dialler, ends, size).await,
        Shape::BesideHuge => {
            let message = Bytes::from(vec![7; HUGE]);
            let huge = tokio::spawn(raw::stream(dialler.connect().await?, 1, message));
            let nanos = raw::round_trips(&mut ends, PING, |_| !huge.is_finished()).await?;
            huge.await.map_err(gone)??;
            Ok(Measured::BesideHuge(nanos))
        }
        _ => {
            let goes_on = |done| done < round_trips(size);
            Ok(Measured::RoundTrips(raw::round_trips(&mut ends, PING, goes_on).await?))
        }
    }
}

async fn beside_stream(dialler: &Dialler, mut ends: Ends, size: Size) -> Result<Measured, String> {
    let stream = dialler.connect().await?;
    stream.say(ENDLESS).await?;
    let written = Written::new(BESIDE);
    let messages = written.clone();
    let sending =
        tokio::spawn(async move { while stream.send.send(messages.message()).await.is_ok() {} });
    let (began, time) = (Instant::now(), beside_time(size));
    let nanos = raw::round_trips(&mut ends, PING, |_| began.elapsed() < time).await?;
    let beside = written.rate(began.elapsed().as_secs_f64());
    sending.abort();
    Ok(Measured::BesideStream(nanos, beside))
}

struct Dialler {
    address: String,
    tls: Option<TlsConnector>,
}

impl Dialler {
    async fn connect(&self) -> Result<Ends, String> {
        let stream = TcpStream::connect(&self.address).await.map_err(text)?;
        let Some(tls) = &self.tls else { return Ends::of(stream) };
        stream.set_nodelay(true).map_err(text)?;
        let name = ServerName::try_from(HOST).map_err(|error| error.to_string())?;
        let (read, write) = tokio::io::split(tls.connect(name, stream).await.map_err(text)?);
        Ok(Ends::of_halves(read, write))
    }
}
