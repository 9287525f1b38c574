//! The nodes that are measured.

use midflight_process::Node;
use midflight_runtime::TokioRuntime;
use midflight_transport_api::Address;

use crate::local::text;
use crate::transport::{Certificates, transport};

/// A node on the loopback, over TLS where it has certificates.
pub(crate) async fn start(name: &str, certificates: Option<&Certificates>) -> Result<Node, String> {
    let runtime = TokioRuntime::current();
    let transport = transport(certificates, runtime.clone())?;
    let listen = Address::new(transport.scheme(), "127.0.0.1:0").map_err(text)?;
    // All that is measured is on this machine, and brings code to each other.
    let builder = Node::builder(name).listen(listen).trust_links(|_peer| true);
    builder.start(&*transport, runtime).await.map_err(text)
}

/// A node on which nobody can dial: no member, as an operator's program.
pub(crate) async fn operator() -> Result<Node, String> {
    let runtime = TokioRuntime::current();
    let transport = transport(None, runtime.clone())?;
    Node::builder("operator").start(&*transport, runtime).await.map_err(text)
}
