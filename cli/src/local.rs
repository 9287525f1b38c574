//! A cluster on this machine, the demo's or that of `midflight cluster`: how its nodes are started, met and told
//! to end.

mod memory;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use midflight_dsu::protocol::{Status, StatusRequest};
use midflight_process::Node;
use midflight_runtime::{Handle, timeout};
use midflight_transport_inmem::Hub;

use crate::args::{TransportName, Wire, WireName};
use crate::certs::{self, OPERATOR};
use crate::control::{self, Control};
use crate::error::Error;
use crate::network::{HostPort, Network};
use crate::secret;
use crate::trust::TrustedKey;
use memory::MemoryNode;
pub(crate) use process::{Ended, Proof, tail};
use process::{NodeProcess, Starter};

/// How long all nodes may take to know each other.
const MET_WITHIN: Duration = Duration::from_secs(20);

/// How a cluster on this machine is to be.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) transport: TransportName,
    /// For the nodes' data and logs, and what they prove who they are by. What is there is used again.
    pub(crate) folder: &'a Path,
    pub(crate) count: u16,
    /// Where the first node listens, and the others at the ports after it; at port 0 each takes a free one.
    pub(crate) listen: &'a HostPort,
    /// Whose bundles the nodes take.
    pub(crate) trusted: &'a [TrustedKey],
    /// How long a node may take to end when asked to; then it is killed.
    pub(crate) ended_within: Duration,
}

/// The nodes, and this program's own, through which they are reached.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<LocalNode>,
    pub(crate) own: Node,
    /// By what the nodes know each other; nothing where they are in this process.
    pub(crate) proof: Option<Proof>,
    ended_within: Duration,
}

/// One of the nodes.
#[derive(Debug)]
pub(crate) struct LocalNode {
    pub(crate) name: String,
    pub(crate) control: Control,
    home: Home,
}

/// Where a node runs.
#[derive(Debug)]
enum Home {
    Process(Box<NodeProcess>),
    Here(Box<MemoryNode>),
}

impl Cluster {
    /// Starts the nodes, joined to one cluster, and waits until they know each other.
    pub(crate) async fn start(runtime: &Handle, plan: &Plan<'_>) -> Result<Self, Error> {
        let cluster = match plan.transport {
            TransportName::Inmem => in_memory(runtime, plan).await?,
            TransportName::Tcp => {
                let secret = process::secret_in(runtime, plan.folder)?;
                processes(runtime, plan, Proof::Secret(secret)).await?
            }
            TransportName::Tls => {
                let certs = plan.folder.join("certs");
                let names = (1..=plan.count).map(|number| name_of(number).parse());
                let names = names.collect::<Result<_, String>>().map_err(Error::Wrong)?;
                certs::make_for(runtime, &certs, names)?;
                processes(runtime, plan, Proof::Certificates(certs)).await?
            }
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

    /// Waits until a node's process ends by itself; answers which, and how. For ever, where none does.
    pub(crate) async fn next_end(&mut self) -> (&LocalNode, Ended) {
        let mut ends: FuturesUnordered<_> = self
            .nodes
            .iter_mut()
            .enumerate()
            .filter_map(|(number, node)| Some((number, node.process_mut()?)))
            .map(|(number, process)| async move { (number, process.ended().await) })
            .collect();
        let (number, ended) = match ends.next().await {
            Some(end) => end,
            None => std::future::pending().await,
        };
        drop(ends);
        (&self.nodes[number], ended)
    }

    /// Asks the nodes to end, and waits for that.
    pub(crate) async fn stop(self, runtime: &Handle) {
        let Self { nodes, own, ended_within, .. } = self;
        let _closed = timeout(&**runtime, ended_within, own.shutdown()).await;
        join_all(nodes.into_iter().map(|LocalNode { name, home, .. }| async move {
            match home {
                Home::Process(process) => process.stop(runtime, ended_within, &name).await,
                Home::Here(node) => node.stop(runtime, ended_within, &name).await,
            }
        }))
        .await;
    }
}

impl LocalNode {
    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match &self.home {
            Home::Process(process) => format!("at {}, process {}", self.control.node, process.id()),
            Home::Here(_) => "in this process".to_owned(),
        }
    }

    /// Its number in the operating system, where it is a process of its own.
    pub(crate) fn process_id(&self) -> Option<u32> {
        match &self.home {
            Home::Process(process) => Some(process.id()),
            Home::Here(_) => None,
        }
    }

    /// Its process, unless that has ended.
    fn process_mut(&mut self) -> Option<&mut NodeProcess> {
        match &mut self.home {
            Home::Process(process) if !process.has_ended() => Some(process),
            _ => None,
        }
    }
}

fn name_of(number: u16) -> String {
    format!("node-{number}")
}

/// The file in which a node's process logs.
pub(crate) fn log_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// Operating system processes of this program.
async fn processes(runtime: &Handle, plan: &Plan<'_>, proof: Proof) -> Result<Cluster, Error> {
    let (wire, secret) = match &proof {
        Proof::Secret(file) => {
            (Wire { transport: WireName::Tcp, certs: None }, Some(secret::read(file)?))
        }
        Proof::Certificates(folder) => {
            (Wire { transport: WireName::Tls, certs: Some(folder.clone()) }, None)
        }
    };
    let network = Network::open(runtime, &wire, OPERATOR).await?;
    let transport = network.transport();
    let own = control::dialling_node(transport, runtime, "local", secret).await?;
    let starter = Starter { folder: plan.folder, proof: &proof, trusted: plan.trusted };
    let mut nodes = Vec::with_capacity(plan.count.into());
    let mut seed = None;
    for number in 1..=plan.count {
        let name = name_of(number);
        let listen = plan.listen.at_port_after(number - 1)?;
        let (process, at) = starter.start(runtime, &name, &listen, seed.as_ref()).await?;
        let control = Control::connect(&own, &at.address(transport)?).await?;
        nodes.push(LocalNode { name, control, home: Home::Process(Box::new(process)) });
        seed.get_or_insert(at);
    }
    Ok(Cluster { nodes, own, proof: Some(proof), ended_within: plan.ended_within })
}

/// Nodes of this very process.
async fn in_memory(runtime: &Handle, plan: &Plan<'_>) -> Result<Cluster, Error> {
    let transport = Hub::new(runtime.random_u64()).transport(runtime.clone());
    let own = control::dialling_node(&transport, runtime, "local", None).await?;
    let mut nodes = Vec::with_capacity(plan.count.into());
    let mut seed = None;
    for number in 1..=plan.count {
        let name = name_of(number);
        let started = MemoryNode::start(&transport, runtime, &name, seed.as_ref(), plan).await;
        let (node, at) = started?;
        let control = Control::connect(&own, &at).await?;
        nodes.push(LocalNode { name, control, home: Home::Here(Box::new(node)) });
        seed.get_or_insert(at);
    }
    Ok(Cluster { nodes, own, proof: None, ended_within: plan.ended_within })
}
