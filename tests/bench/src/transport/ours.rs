//! Midflight's side, over whichever transport: one link, the layer above it as thin as it can be.

mod far;
mod near;

use std::sync::Arc;

use midflight_runtime::{Handle, TokioRuntime};
use midflight_transport_api::{Address, Bind, Transport};
use midflight_transport_tcp::{Credentials, TcpConfig, TcpTransport, TlsTransport};

use super::certificates::{Certificates, HOST};
use super::workload::{HUGE, Measured, Shape};
use crate::args::Size;
use crate::far_side;

/// Runs a workload once.
pub(super) async fn sample(
    address: &str,
    certificates: Option<&Certificates>,
    shape: Shape,
    size: Size,
) -> Result<Measured, String> {
    let runtime = TokioRuntime::current();
    let transport = transport(certificates, runtime.clone())?;
    let (acceptor, heard) = near::acceptor();
    let end = transport.open(Bind::DialOnly, Arc::new(acceptor)).await.map_err(text)?;
    let address: Address = address.parse().map_err(text)?;
    let link = end.connect(&address).await.map_err(text)?;
    let measured = near::measure(runtime, link, heard, shape, size).await;
    // Whatever still runs goes out with this OS process.
    drop(end);
    measured
}

/// The far side.
pub(super) async fn serve(certificates: Option<&Certificates>) -> Result<(), String> {
    let transport = transport(certificates, TokioRuntime::current())?;
    let listen = Address::new(transport.scheme(), &format!("{HOST}:0")).map_err(text)?;
    let bind = Bind::Listen { listen, advertise: None };
    let end = transport.open(bind, Arc::new(far::Acceptor)).await.map_err(text)?;
    far_side::serve_until_abandoned(end.address().as_str())
}

/// Over TLS where there are certificates, else over TCP.
pub(crate) fn transport(
    certificates: Option<&Certificates>,
    runtime: Handle,
) -> Result<Arc<dyn Transport>, String> {
    let mut config = TcpConfig::default();
    // The longest message that any workload has.
    config.links.limits.max_message = HUGE;
    match certificates {
        None => Ok(Arc::new(TcpTransport::new(config, runtime))),
        Some(Certificates { authority, chain, key }) => {
            let (authority, chain, key) = (authority.as_bytes(), chain.as_bytes(), key.as_bytes());
            let credentials = Credentials::from_pem(authority, chain, key).map_err(text)?;
            Ok(Arc::new(TlsTransport::new(config, credentials, runtime).map_err(text)?))
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
