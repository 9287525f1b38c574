//! The demo's nodes, and how they are told to end.

mod memory;
mod process;

use std::path::Path;
use std::time::Duration;

use midflight_dsu::protocol::{Status, StatusRequest};
use midflight_dsu::signature::PublicKey;
use midflight_process::{Node, Secret};
use midflight_runtime::{Handle, timeout};
use midflight_transport_inmem::Hub;
use tempfile::TempDir;

use crate::args::{TransportName, Wire, WireName};
use crate::certs::{self, OPERATOR};
use crate::control::{self, Control};
use crate::error::Error;
use crate::network::Network;
use crate::secret;
use memory::LocalNode;
use process::{NodeProcess, Proof, Starter};

/// How long all nodes may take to know each other.
const MET_WITHIN: Duration = Duration::from_secs(20);
/// How long a node may take to end when asked to; then it is killed.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// The nodes, and this program's own, through which they are reached.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<DemoNode>,
    pub(crate) own: Node,
}

/// One of the nodes.
#[derive(Debug)]
pub(crate) struct DemoNode {
    pub(crate) name: String,
    pub(crate) control: Control,
    home: Home,
}

/// Where a node runs.
#[derive(Debug)]
enum Home {
    Process(Box<NodeProcess>),
    Here(LocalNode),
}

impl Cluster {
    /// Starts `count` nodes with data folders in `folder`, joined to one cluster.
    pub(crate) async fn start(
        runtime: &Handle,
        transport: TransportName,
        folder: &TempDir,
        count: usize,
        trusted: PublicKey,
    ) -> Result<Self, Error> {
        let folder = folder.path();
        let cluster = match transport {
            TransportName::Inmem => in_memory(runtime, folder, count, trusted).await?,
            TransportName::Tcp => over_tcp(runtime, folder, count, trusted).await?,
            TransportName::Tls => over_tls(runtime, folder, count, trusted).await?,
        };
        cluster.wait_until_all_met(runtime).await?;
        Ok(cluster)
    }

    /// How every node is.
    pub(crate) async fn statuses(&self) -> Result<Vec<Status>, Error> {
        let mut statuses = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            statuses.push(node.control.ask(StatusRequest).await?);
        }
        Ok(statuses)
    }

    async fn wait_until_all_met(&self, runtime: &Handle) -> Result<(), Error> {
        let names: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        let met = async {
            loop {
                let statuses = self.statuses().await?;
                let all_met = statuses.iter().all(|status| {
                    let knows = |name: &str| status.members.iter().any(|(known, _)| known == name);
                    names.iter().all(|name| knows(name))
                });
                if all_met {
                    return Ok(());
                }
                runtime.sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(&**runtime, MET_WITHIN, met).await.unwrap_or_else(|_elapsed| {
            Err(Error::Environment(format!("the nodes did not meet within {MET_WITHIN:?}")))
        })
    }

    /// Asks the nodes to end, and waits for that.
    pub(crate) async fn stop(self, runtime: &Handle) {
        let Self { nodes, own } = self;
        let _closed = timeout(&**runtime, ENDED_WITHIN, own.shutdown()).await;
        let ending = nodes.into_iter().map(|DemoNode { name, home, .. }| async move {
            match home {
                Home::Process(process) => process.stop(runtime, &name).await,
                Home::Here(node) => node.stop(runtime, &name).await,
            }
        });
        futures_util::future::join_all(ending).await;
    }
}

impl DemoNode {
    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match &self.home {
            Home::Process(process) => format!("at {}, process {}", self.control.node, process.id()),
            Home::Here(_) => "in this process".to_owned(),
        }
    }
}

fn name_of(number: usize) -> String {
    format!("node-{number}")
}

/// Nodes that know each other by a secret of this run.
async fn over_tcp(
    runtime: &Handle,
    folder: &Path,
    count: usize,
    trusted: PublicKey,
) -> Result<Cluster, Error> {
    let secret_file = process::write_secret(runtime, folder)?;
    let secret = secret::read(&secret_file)?;
    let wire = Wire { transport: WireName::Tcp, certs: None };
    let starter = Starter { folder, proof: Proof::Secret(secret_file), trusted };
    processes(runtime, &wire, Some(secret), &starter, count).await
}

/// Nodes with certificates of this run.
async fn over_tls(
    runtime: &Handle,
    folder: &Path,
    count: usize,
    trusted: PublicKey,
) -> Result<Cluster, Error> {
    let certs = folder.join("certs");
    let names = (1..=count).map(|number| name_of(number).parse()).collect::<Result<_, String>>();
    certs::make_for(runtime, &certs, names.map_err(Error::Wrong)?)?;
    let wire = Wire { transport: WireName::Tls, certs: Some(certs.clone()) };
    let starter = Starter { folder, proof: Proof::Certificates(certs), trusted };
    processes(runtime, &wire, None, &starter, count).await
}

/// Operating system processes of this program.
async fn processes(
    runtime: &Handle,
    wire: &Wire,
    secret: Option<Secret>,
    starter: &Starter<'_>,
    count: usize,
) -> Result<Cluster, Error> {
    let network = Network::open(runtime, wire, OPERATOR).await?;
    let transport = network.transport();
    let own = control::dialling_node(transport, runtime, "demo", secret).await?;
    let mut nodes = Vec::with_capacity(count);
    let mut seed = None;
    for number in 1..=count {
        let name = name_of(number);
        let (process, at) = starter.start(runtime, &name, seed.as_ref()).await?;
        let control = Control::connect(&own, &at.address(transport)?).await?;
        nodes.push(DemoNode { name, control, home: Home::Process(Box::new(process)) });
        seed.get_or_insert(at);
    }
    Ok(Cluster { nodes, own })
}

/// Nodes of this very process.
async fn in_memory(
    runtime: &Handle,
    folder: &Path,
    count: usize,
    trusted: PublicKey,
) -> Result<Cluster, Error> {
    let transport = Hub::new(runtime.random_u64()).transport(runtime.clone());
    let own = control::dialling_node(&transport, runtime, "demo", None).await?;
    let mut nodes = Vec::with_capacity(count);
    let mut seed = None;
    for number in 1..=count {
        let name = name_of(number);
        let started =
            LocalNode::start(&transport, runtime, &name, seed.as_ref(), folder, trusted).await;
        let (node, at) = started?;
        let control = Control::connect(&own, &at).await?;
        nodes.push(DemoNode { name, control, home: Home::Here(node) });
        seed.get_or_insert(at);
    }
    Ok(Cluster { nodes, own })
}
