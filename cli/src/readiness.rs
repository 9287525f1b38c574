//! Whether a node is ready: it is in its cluster, runs what that runs, and is not about to leave it. For whoever sends
//! others to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use midflight_process::Node;
use midflight_runtime::spawn;
use midflight_transport_api::Address;

/// How long to wait before seeds are tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// Once it is in its cluster a node stays ready until it ends, whoever else goes: the last one of several that are
/// restarted in turn must not be taken for one that has not joined.
#[derive(Debug)]
pub(crate) struct Readiness {
    node: Node,
    has_joined: AtomicBool,
    has_caught_up: AtomicBool,
    ends: AtomicBool,
}

impl Readiness {
    pub(crate) fn new(node: Node) -> Self {
        let [has_joined, has_caught_up, ends] = [false; 3].map(AtomicBool::new);
        Self { node, has_joined, has_caught_up, ends }
    }

    /// Finds out when the node has joined: it knows another member that is up, or each seed stands for this node
    /// alone, as a service's name does while its first node starts, or there is none.
    pub(crate) fn follow(self: &Arc<Self>, seeds: Vec<Address>) {
        let readiness = self.clone();
        spawn(self.node.runtime(), "readiness", async move {
            for seed in &seeds {
                while !readiness.ends.load(Ordering::Relaxed) && !readiness.knows_another() {
                    // That the name cannot be looked up yet is no reason to be without others.
                    if readiness.node.try_join(seed).await.is_ok() {
                        break;
                    }
                    readiness.node.runtime().sleep(PAUSE).await;
                }
            }
            readiness.has_joined.store(true, Ordering::Relaxed);
        });
    }

    /// The node runs what it kept and what the others run, as far as it can.
    pub(crate) fn caught_up(&self) {
        self.has_caught_up.store(true, Ordering::Relaxed);
    }

    /// The node is about to end.
    pub(crate) fn ends(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Why it is not ready, if it is not.
    pub(crate) fn why_not(&self) -> Option<&'static str> {
        if self.ends.load(Ordering::Relaxed) {
            return Some("the node is about to end");
        }
        if !self.has_joined.load(Ordering::Relaxed) {
            return Some("no other member was reached yet");
        }
        let has_caught_up = self.has_caught_up.load(Ordering::Relaxed);
        (!has_caught_up).then_some("it is still fetching or loading what the cluster runs")
    }

    fn knows_another(&self) -> bool {
        let own = self.node.id();
        self.node.members().iter().any(|member| member.id != own && member.is_up())
    }
}
