//! Whatever comes in whatever order, nodes with a link agree in the end.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

const NODES: usize = 3;
const MAX: usize = 1_000;

/// What happens on one side of a link, in this order.
#[derive(Debug, Clone)]
enum Event {
    Up(u64),
    News(u64, GroupNews),
    Down(u64),
}

/// A few nodes and what is under way between them.
struct Net {
    nodes: Vec<Groups>,
    /// By receiver and sender.
    under_way: BTreeMap<(usize, usize), VecDeque<Event>>,
    /// The living link of a pair, the lower first.
    links: BTreeMap<(usize, usize), u64>,
    links_made: u64,
    /// What the monitor of each node has been told of each group.
    seen: Vec<BTreeMap<String, Vec<Pid>>>,
}

#[derive(Debug, Clone)]
enum Step {
    Join(usize, u8, u32),
    Leave(usize, u8, u32),
    End(usize, u32),
    Connect(usize, usize),
    /// With so many of the words that are under way each way lost.
    Cut(usize, usize, [usize; 2]),
    Deliver(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    prop_oneof![
        4 => (node.clone(), 0..2_u8, 0..3_u32).prop_map(|(n, g, p)| Step::Join(n, g, p)),
        3 => (node.clone(), 0..2_u8, 0..3_u32).prop_map(|(n, g, p)| Step::Leave(n, g, p)),
        1 => (node.clone(), 0..3_u32).prop_map(|(n, p)| Step::End(n, p)),
        2 => (node.clone(), 1..NODES).prop_map(|(a, by)| Step::Connect(a, (a + by) % NODES)),
        2 => (node.clone(), 1..NODES, [0..4_usize, 0..4_usize])
            .prop_map(|(a, by, lost)| Step::Cut(a, (a + by) % NODES, lost)),
        8 => (node, 1..NODES).prop_map(|(a, by)| Step::Deliver(a, (a + by) % NODES)),
    ]
}

fn place(index: u32) -> Place {
    Place { index, generation: 0 }
}

fn group(number: u8) -> String {
    format!("group {number}")
}

fn id(node: usize) -> NodeId {
    NodeId(node as u64)
}

impl Net {
    fn new() -> Self {
        let mut nodes: Vec<_> = (0..NODES).map(|node| Groups::new(id(node), MAX)).collect();
        let mut seen = Vec::new();
        for node in &mut nodes {
            let watched = (0..2).map(|number| {
                let monitor = MonitorRef(number.into());
                (group(number), node.monitor(&group(number), monitor, place(9)).unwrap())
            });
            seen.push(watched.collect());
        }
        Self { nodes, under_way: BTreeMap::new(), links: BTreeMap::new(), links_made: 0, seen }
    }

    fn queue(&mut self, to: usize, from: usize) -> &mut VecDeque<Event> {
        self.under_way.entry((to, from)).or_default()
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Join(node, g, p) => self.nodes[node].join(&group(g), place(p)).unwrap(),
            Step::Leave(node, g, p) => drop(self.nodes[node].leave(&group(g), place(p))),
            Step::End(node, p) => self.nodes[node].ended(place(p)),
            Step::Connect(a, b) => {
                let pair = (a.min(b), a.max(b));
                if !self.links.contains_key(&pair) {
                    self.links_made += 1;
                    let link = self.links_made;
                    self.links.insert(pair, link);
                    self.queue(a, b).push_back(Event::Up(link));
                    self.queue(b, a).push_back(Event::Up(link));
                }
            }
            Step::Cut(a, b, lost) => {
                let Some(link) = self.links.remove(&(a.min(b), a.max(b))) else { return };
                for ((to, from), lost) in [(a, b), (b, a)].into_iter().zip(lost) {
                    let queue = self.queue(to, from);
                    for _ in 0..lost {
                        if matches!(queue.back(), Some(Event::News(on, _)) if *on == link) {
                            queue.pop_back();
                        }
                    }
                    queue.push_back(Event::Down(link));
                }
            }
            Step::Deliver(to, from) => self.deliver(to, from),
        }
        (0..NODES).for_each(|node| self.carry_out(node));
    }

    fn deliver(&mut self, to: usize, from: usize) {
        match self.queue(to, from).pop_front() {
            None => {}
            Some(Event::Up(link)) => self.nodes[to].link_up(id(from), link),
            Some(Event::Down(link)) => self.nodes[to].link_down(id(from), link),
            Some(Event::News(link, news)) => assert!(self.nodes[to].heard(id(from), link, news)),
        }
    }

    fn carry_out(&mut self, node: usize) {
        while let Some(action) = self.nodes[node].next() {
            match action {
                Action::Tell { peer, link, news } => {
                    let peer = usize::try_from(peer.0).unwrap();
                    let pair = (node.min(peer), node.max(peer));
                    if self.links.get(&pair) == Some(&link) {
                        self.queue(peer, node).push_back(Event::News(link, news));
                    }
                }
                Action::Notify { change: Change { group, joined, processes }, .. } => {
                    let seen = self.seen[node].get_mut(&group).unwrap();
                    for process in processes {
                        if joined {
                            seen.push(process);
                        } else {
                            let at = seen.iter().position(|other| *other == process).unwrap();
                            seen.remove(at);
                        }
                    }
                }
            }
        }
    }

    fn settle(&mut self) {
        while self.under_way.values().any(|queue| !queue.is_empty()) {
            for to in 0..NODES {
                for from in (0..NODES).filter(|from| *from != to) {
                    self.act(&Step::Deliver(to, from));
                }
            }
        }
    }

    fn check(&self) {
        for (node, groups) in self.nodes.iter().enumerate() {
            for group in (0..2).map(group) {
                let mut expected = groups.local_members(&group);
                for (peer, other) in self.nodes.iter().enumerate() {
                    if self.links.contains_key(&(node.min(peer), node.max(peer))) {
                        expected.extend(other.local_members(&group));
                    }
                }
                assert_eq!(groups.members(&group), expected, "node {node}, {group}");
                let mut seen = self.seen[node][&group].clone();
                seen.sort();
                expected.sort();
                assert_eq!(seen, expected, "the monitor of node {node}, {group}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn nodes_with_a_link_agree_once_all_has_arrived(
        script in proptest::collection::vec(step(), 0..60)
    ) {
        let mut net = Net::new();
        for step in &script {
            net.act(step);
        }
        net.settle();
        net.check();
    }
}

#[test]
fn a_process_leaves_as_often_as_it_has_joined() {
    let mut groups = Groups::new(NodeId(1), MAX);
    groups.join("g", place(1)).unwrap();
    groups.join("g", place(1)).unwrap();
    groups.join("g", place(2)).unwrap();
    assert_eq!(groups.members("g").len(), 3);
    assert!(groups.leave("g", place(1)));
    assert_eq!(groups.members("g").len(), 2);
    assert!(groups.leave("g", place(1)) && !groups.leave("g", place(1)));
    groups.ended(place(2));
    assert_eq!((groups.members("g").len(), groups.all().len()), (0, 0));
}

#[test]
fn there_are_as_many_as_may_be_of_each_node() {
    let mut groups = Groups::new(NodeId(1), 2);
    groups.join("g", place(1)).unwrap();
    groups.join("h", place(1)).unwrap();
    assert_eq!(groups.join("g", place(2)), Err(TooMany));
    groups.link_up(NodeId(2), 7);
    let processes = vec![place(1), place(2), place(3)];
    let news = GroupNews::Joined { group: "g".into(), processes };
    assert!(!groups.heard(NodeId(2), 7, news), "one was not taken");
    assert_eq!(groups.members("g").len(), 3);
    for monitor in 0..2 {
        groups.monitor("g", MonitorRef(monitor), place(1)).unwrap();
    }
    assert_eq!(groups.monitor("g", MonitorRef(3), place(1)), Err(TooMany));
    assert!(groups.demonitor(MonitorRef(1), place(1)));
    assert!(!groups.demonitor(MonitorRef(1), place(1)));
    groups.ended(place(1));
    assert!(groups.monitor("g", MonitorRef(3), place(2)).is_ok(), "the other ended with its owner");
}

#[test]
fn many_are_told_in_words_that_fit() {
    let mut groups = Groups::new(NodeId(1), 10_000);
    for index in 0..2_500 {
        groups.join("g", place(index)).unwrap();
    }
    groups.link_up(NodeId(2), 7);
    let mut told = Vec::new();
    while let Some(Action::Tell { news, .. }) = groups.next() {
        if let GroupNews::Joined { processes, .. } = news {
            told.push(processes.len());
        }
    }
    assert_eq!(told, [1_000, 1_000, 500]);
}

/// The more watchers there are, the more the end of one must not cost.
#[test]
fn a_hundred_thousand_watchers_end_one_by_one() {
    const COUNT: u32 = 100_000;
    let mut groups = Groups::new(NodeId(1), COUNT as usize);
    let watcher = |index| Place { index, generation: 0 };
    for index in 0..COUNT {
        let monitor = MonitorRef(index.into());
        assert_eq!(groups.monitor("group", monitor, watcher(index)), Ok(Vec::new()));
    }
    assert!(groups.monitor("group", MonitorRef(u64::MAX), watcher(0)).is_err());
    (0..COUNT / 2).for_each(|index| groups.ended(watcher(index)));
    for index in COUNT / 2..COUNT {
        let monitor = MonitorRef(index.into());
        assert!(!groups.demonitor(monitor, watcher(0)), "another's");
        assert!(
            groups.demonitor(monitor, watcher(index)) && !groups.demonitor(monitor, watcher(index))
        );
    }
    assert!(groups.monitors.is_empty() && groups.watchers.is_empty());
    assert_eq!(groups.monitors_set, 0);
}
