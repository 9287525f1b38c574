//! A cluster that things happen to.

use std::time::Duration;

use midflight_process::{Node, Pid};
use midflight_runtime::Handle;
use midflight_transport_api::Address;
use midflight_transport_inmem::Hub;

use crate::chance::Chance;
use crate::oracle::Shared;
use crate::walker::{Ask, WALK, limits, walk};

const SECOND: Duration = Duration::from_secs(1);
/// Processes that walk on a node, at the least.
const WALKERS: usize = 4;
/// What a mailbox may hold: the room of local senders, that of every peer, and signals.
const MAILBOX_MAX: u32 = 16 + 4 * 8 + 64;

pub(crate) struct Cluster {
    hub: Hub,
    runtime: Handle,
    shared: Shared,
    chance: Chance,
    nodes: Vec<Node>,
    /// Whether every node has somebody in a group: then no link is unused for long.
    tells_groups: bool,
}

fn address(index: usize) -> Address {
    Address::new("mem", &format!("n{index}")).unwrap()
}

impl Cluster {
    pub(crate) async fn start(hub: Hub, runtime: Handle, shared: Shared) -> Self {
        let mut chance = Chance::new(runtime.random_u64());
        let size = 2 + chance.below(4);
        let tells_groups = chance.below(2) == 0;
        let mut cluster = Self { hub, runtime, shared, chance, nodes: Vec::new(), tells_groups };
        for index in 0..size {
            let node = cluster.node(index).await;
            cluster.nodes.push(node);
        }
        cluster
    }

    fn note(&self, what: &'static str, who: impl std::fmt::Debug) {
        self.shared.lock().note(what, self.runtime.now(), who);
    }

    /// A node in a new life, with a process that receives nothing and one that receives all.
    async fn node(&self, index: usize) -> Node {
        let transport = self.hub.transport(self.runtime.clone()).heartbeat(3 * SECOND);
        let shared = self.shared.clone();
        let builder = Node::builder(format!("n{index}"))
            .listen(address(index))
            .limits(limits())
            .function(&WALK, move |cx, actions| walk(cx, shared.clone(), actions));
        let node = builder.start(&transport, self.runtime.clone()).await.unwrap();
        self.note("node", (index, node.id()));
        let stuck = node.spawn("stuck", |cx| async move { cx.expect::<()>().await }).unwrap();
        if self.tells_groups {
            node.join_group("stuck", stuck).unwrap();
        }
        let open = node.spawn("open", |cx| async move {
            loop {
                cx.expect::<u64>().await;
            }
        });
        node.register("open", open.unwrap()).unwrap();
        node.join(self.nodes.iter().filter_map(Node::address).collect());
        self.populate(&node);
        node
    }

    fn populate(&self, node: &Node) {
        for _ in node.process_count()..WALKERS + 2 {
            let shared = self.shared.clone();
            node.spawn("walker", |cx| walk(cx, shared, 40)).unwrap();
        }
    }

    /// Lets the program run for so long, with something going wrong every few seconds.
    pub(crate) async fn run(&mut self, duration: Duration) {
        let end = self.runtime.now() + duration;
        while self.runtime.now() < end {
            let pause = Duration::from_millis(500 + self.chance.below(9_000) as u64);
            self.runtime.sleep(pause).await;
            self.bounds();
            self.fault().await;
            self.nodes.iter().for_each(|node| self.populate(node));
        }
    }

    /// No mailbox holds more than it may.
    fn bounds(&self) {
        for process in self.nodes.iter().flat_map(Node::processes) {
            if process.mailbox > MAILBOX_MAX {
                let what = format!("{} holds {} messages", process.pid, process.mailbox);
                self.shared.lock().complain("P6", what);
            }
        }
    }

    async fn fault(&mut self) {
        self.note("fault", ());
        let one = self.chance.below(self.nodes.len());
        let other = (one + 1 + self.chance.below(self.nodes.len() - 1)) % self.nodes.len();
        let (a, b) = (address(one), address(other));
        match self.chance.below(10) {
            0 => self.crash(one, false).await,
            1 => self.crash(one, true).await,
            2 => self.hub.cut(&a, &b),
            3 => self.hub.cut_one_way(&a, &b),
            4 => self.heal(),
            5 => {
                let max = Duration::from_millis(self.chance.below(400) as u64);
                self.hub.set_delay(max);
            }
            6 => self.hub.set_slow(&a, Some(5_000 + self.chance.below(100_000) as u64)),
            7 => self.hub.set_slow(&a, None),
            8 => self.hub.set_reorder(self.chance.one_in(2)),
            _ => drop(self.nodes[one].disconnect(self.nodes[other].id())),
        }
        // Half of the cuts are healed before anyone notices.
        if self.chance.one_in(2) {
            self.runtime.sleep(Duration::from_millis(self.chance.below(2_500) as u64)).await;
            self.heal();
        }
    }

    /// Ends a node, politely or so that nobody hears of it, and starts it again.
    async fn crash(&mut self, index: usize, silently: bool) {
        self.note("crash", (index, silently));
        for other in (0..self.nodes.len()).filter(|other| silently && *other != index) {
            self.hub.cut(&address(index), &address(other));
        }
        self.nodes[index].shutdown().await;
        self.count_idle(&self.nodes[index]);
        self.runtime.sleep(Duration::from_millis(self.chance.below(4_000) as u64)).await;
        self.heal();
        self.nodes[index] = self.node(index).await;
    }

    fn count_idle(&self, node: &Node) {
        *self.shared.lock().counts.entry("idle").or_default() += node.metrics().links_idle;
    }

    fn heal(&self) {
        for one in 0..self.nodes.len() {
            for other in 0..one {
                self.hub.heal(&address(one), &address(other));
            }
        }
    }

    /// Nothing goes wrong any more and nobody does anything; then half of the processes end, and a node.
    /// Whoever is left must know, and answer.
    pub(crate) async fn settle(&mut self) {
        self.hub.set_delay(Duration::ZERO);
        for index in 0..self.nodes.len() {
            self.hub.set_slow(&address(index), None);
        }
        self.heal();
        self.shared.lock().quiet = true;
        self.runtime.sleep(20 * SECOND).await;
        self.nodes.pop().unwrap().shutdown().await;
        let walkers = self.walkers();
        for (node, pid) in walkers.iter().step_by(2) {
            node.kill(*pid, "half of them");
        }
        self.runtime.sleep(15 * SECOND).await;
        let nodes = self.nodes.clone();
        let lives = |pid: Pid| nodes.iter().any(|node| node.process(pid).is_some());
        self.shared.lock().judge(lives);
        for member in nodes.iter().flat_map(|node| node.group_members("walkers")) {
            if !lives(member) {
                self.shared.lock().complain("groups", format!("{member} is dead, and a member"));
            }
        }
        for (node, pid) in self.walkers() {
            let asking = node.run("asks", move |cx| async move {
                cx.call::<_, u64>(pid, Ask::outside(), SECOND).await.is_ok()
            });
            if asking.await != Some(true) {
                self.shared.lock().complain("P6", format!("{pid} does not answer in the end"));
            }
        }
        for node in &self.nodes {
            node.shutdown().await;
            self.count_idle(node);
        }
    }

    fn walkers(&self) -> Vec<(Node, Pid)> {
        let of = |node: &Node| {
            let all = node.processes().into_iter().map(|process| process.pid);
            let known = self.shared.lock();
            all.filter(|pid| known.all.contains(pid)).map(|pid| (node.clone(), pid)).collect()
        };
        self.nodes.iter().flat_map::<Vec<_>, _>(of).collect()
    }
}
