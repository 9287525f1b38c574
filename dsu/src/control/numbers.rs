//! Answers about a node's load and its processes.

use midflight_process::message::Message;
use midflight_process::{Node, Pid, ProcessInfo, ReplyTo, Status as ProcessState};
use midflight_runtime::spawn;

use super::answers::AT_ONCE_MAX;
use super::{Control, reply};
use crate::protocol::{
    Numbers, PeerNumbers, ProcessStatus, Processes, ProcessesRequest, Unreceived, Wait,
};

impl Control {
    /// Answers from a thread that may be kept: a look at all processes may take long.
    pub(super) fn beside<R: Message>(
        &self,
        name: &'static str,
        reply_to: Option<ReplyTo>,
        answer: impl FnOnce(&Node) -> R + Send + 'static,
    ) {
        let node = self.server.node().clone();
        let runtime = node.runtime().clone();
        runtime.spawn_blocking(name, Box::new(move || reply(reply_to, answer(&node))));
    }
}

pub(super) fn numbers(node: &Node) -> Numbers {
    let metrics = node.metrics();
    let peers = metrics.peers.into_iter().map(|peer| PeerNumbers {
        name: peer.name,
        sent: (peer.sent.messages, peer.sent.bytes),
        received: (peer.received.messages, peer.received.bytes),
    });
    Numbers {
        node: node.name().to_owned(),
        at_millis: millis(node),
        processes: metrics.processes as u64,
        spawned: metrics.spawned,
        ended: metrics.ended,
        ended_badly: metrics.ended_badly,
        mailbox_messages: metrics.mailbox_messages,
        mailbox_bytes: metrics.mailbox_bytes,
        run_queue: metrics.runnable as u64,
        turns: metrics.turns,
        handled: metrics.messages_handled,
        links_lost: metrics.links_lost,
        dead_letters: metrics.dead_letters.letters as u64,
        refused: node.refused().iter().map(|count| count.times).sum(),
        peers: peers.collect(),
    }
}

impl Control {
    /// Answers apart from any process, which would be listed with the others.
    pub(super) fn list_processes(&self, request: ProcessesRequest, reply_to: Option<ReplyTo>) {
        let control = self.clone();
        spawn(self.server.node().runtime(), "list processes", async move {
            let node = control.server.node();
            let cycles = if request.cycles { node.wait_cycles().await } else { Vec::new() };
            control
                .beside("list processes", reply_to, move |node| processes(node, &request, cycles));
        });
    }
}

fn processes(node: &Node, request: &ProcessesRequest, cycles: Vec<Vec<Pid>>) -> Processes {
    let limit = request.limit.min(AT_ONCE_MAX) as usize;
    let processes = match request.longest_first {
        true => node.longest_mailboxes(limit),
        false => node.first_processes(limit),
    };
    Processes {
        total: node.process_count() as u64,
        processes: processes.into_iter().map(|info| status(node, info)).collect(),
        cycles,
    }
}

fn millis(node: &Node) -> u64 {
    let clock = node.runtime().now().since(midflight_runtime::Instant::default());
    clock.as_millis().try_into().unwrap_or(u64::MAX)
}

fn wait(wait: midflight_process::Wait) -> Wait {
    let waited = wait.waited.map(|waited| waited.as_millis().try_into().unwrap_or(u64::MAX));
    Wait { kind: wait.kind.name().to_owned(), on: wait.on, millis: waited }
}

fn status(node: &Node, info: ProcessInfo) -> ProcessStatus {
    let now = node.runtime().now();
    let label = info.label;
    ProcessStatus {
        pid: info.pid,
        version: label.as_ref().map_or(0, |label| label.version),
        waits_for: label.as_ref().and_then(|label| label.suspended.clone()),
        name: label.map(|label| label.name).unwrap_or_default(),
        names: info.names,
        mailbox: info.mailbox,
        mailbox_bytes: info.mailbox_bytes,
        links: info.links as u64,
        monitors: info.monitors as u64,
        watchers: info.watchers as u64,
        traps_exits: info.traps_exits,
        unreceived: info
            .unreceived
            .into_iter()
            .map(|kind| Unreceived {
                type_name: kind.type_name.to_string(),
                count: kind.count as u64,
                old: kind.old as u64,
                millis: now.since(kind.since).as_millis().try_into().unwrap_or(u64::MAX),
            })
            .collect(),
        waits: info.waits.into_iter().map(wait).collect(),
        status: match info.status {
            ProcessState::Waiting => "waiting",
            ProcessState::Runnable => "runnable",
            ProcessState::Running => "running",
            ProcessState::Suspended => "suspended",
            ProcessState::Frozen => "frozen",
            _ => "unknown",
        }
        .to_owned(),
    }
}
