//! The kernel by hand: what it believes, what it bounds, and whom it sends to.

use super::*;
use crate::membership::member::MemberState::{Alive, Down, Suspect};

const MINUTE: Duration = Duration::from_secs(60);

fn card(id: u64, name: &str, started: u64) -> Card {
    Card {
        name: name.into(),
        id: NodeId(id),
        address: Some(format!("mem:{name}")),
        started,
        revision: 0,
        catalogue: [0; 32],
        leaves: false,
    }
}

fn kernel(card: Card, limits: &Limits) -> Kernel {
    let address = card.address.clone();
    let mut kernel = Kernel::new(card, limits, Instant::default());
    kernel.opened(address, [7; 32]);
    kernel
}

/// Nodes that reach each other at once; each is woken when it wants to be.
struct Cluster {
    now: Instant,
    kernels: Vec<Kernel>,
    /// What is said to this one, and by it, is lost.
    cut_off: Option<usize>,
}

impl Cluster {
    fn new(cards: &[Card]) -> Self {
        let limits = Limits::default();
        let kernels = cards.iter().map(|card| kernel(card.clone(), &limits)).collect();
        Self { now: Instant::default(), kernels, cut_off: None }
    }

    fn meet(&mut self, a: usize, b: usize) {
        let (of_a, of_b) = (self.kernels[a].own().clone(), self.kernels[b].own().clone());
        self.input(a, Input::Met(&of_b));
        self.input(b, Input::Met(&of_a));
    }

    fn input(&mut self, of: usize, input: Input<'_>) {
        let mut actions: Vec<_> =
            self.kernels[of].take(self.now, input).into_iter().map(|action| (of, action)).collect();
        while let Some((from, action)) = actions.pop() {
            let reached = |at: &usize| ![Some(from), Some(*at)].contains(&self.cut_off);
            let at =
                |id| self.kernels.iter().position(|kernel| kernel.own().id == id).filter(reached);
            let (to, followed) = match action {
                Action::Send { to, packet } => {
                    let Some(to) = at(to.card().id) else { continue };
                    let peer = self.kernels[from].own().clone();
                    let input = Input::Packet { peer: &peer, bytes: &packet };
                    (to, self.kernels[to].take(self.now, input))
                }
                Action::Outranked { peer, started } => {
                    let Some(to) = at(peer) else { continue };
                    (to, self.kernels[to].take(self.now, Input::Outranked { started }))
                }
            };
            actions.extend(followed.into_iter().map(|action| (to, action)));
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.kernels.iter().enumerate();
            let next = next.filter_map(|(n, kernel)| Some((kernel.next_wake()?, n))).min();
            let Some((at, number)) = next.filter(|(at, _)| *at <= end) else { break };
            self.now = at;
            self.input(number, Input::Wake);
        }
        self.now = end;
    }

    fn state(&self, seen_by: usize, id: u64) -> Option<MemberState> {
        self.kernels[seen_by].get(NodeId(id)).map(|member| member.state)
    }
}

#[test]
fn who_has_met_one_knows_all() {
    let mut cluster = Cluster::new(&[card(1, "a", 0), card(2, "b", 0), card(3, "c", 0)]);
    cluster.meet(0, 1);
    cluster.meet(1, 2);
    cluster.pass(MINUTE);
    for kernel in &cluster.kernels {
        let ids: Vec<_> = kernel.members().into_iter().map(|m| (m.id.0, m.state)).collect();
        assert_eq!(ids, [(1, Alive), (2, Alive), (3, Alive)]);
    }
}

#[test]
fn who_was_called_down_and_comes_back_is_there_once() {
    let mut cluster = Cluster::new(&[card(1, "a", 0), card(2, "b", 0), card(3, "c", 0)]);
    cluster.meet(0, 1);
    cluster.meet(1, 2);
    cluster.pass(MINUTE);
    cluster.cut_off = Some(1);
    cluster.pass(MINUTE);
    assert_eq!(cluster.state(0, 2), Some(Down));
    cluster.cut_off = None;
    cluster.meet(0, 1);
    cluster.pass(MINUTE);
    for kernel in &cluster.kernels {
        let ids: Vec<_> = kernel.members().into_iter().map(|m| (m.id.0, m.state)).collect();
        assert_eq!(ids, [(1, Alive), (2, Alive), (3, Alive)]);
    }
}

#[test]
fn a_restarted_node_whose_clock_went_back_is_let_in_when_the_earlier_life_is_down() {
    let (earlier, later) = (card(9, "b", 5_000), card(2, "b", 1_000));
    let mut cluster = Cluster::new(&[card(1, "a", 3_000), later]);
    cluster.input(0, Input::Met(&earlier));
    cluster.meet(0, 1);
    assert_eq!(cluster.state(0, 9), Some(Alive));
    cluster.pass(MINUTE);
    assert_eq!(cluster.state(0, 9), None, "the earlier life is in the way no more");
    assert_eq!(cluster.state(0, 2), Some(Alive));
    assert_eq!(cluster.state(1, 1), Some(Alive));
    assert_eq!(cluster.kernels[1].own().started, 5_001);
}

#[test]
fn an_earlier_life_never_comes_back() {
    let limits = Limits::default();
    let mut kernel = kernel(card(1, "a", 0), &limits);
    let (earlier, later) = (card(2, "b", 10), card(3, "b", 20));
    let now = Instant::default();
    kernel.take(now, Input::Met(&earlier));
    kernel.take(now, Input::Met(&later));
    kernel.take(now, Input::Met(&earlier));
    kernel.take(now, Input::Gone(NodeId(3)));
    kernel.take(now, Input::Met(&earlier));
    assert_eq!(kernel.get(NodeId(2)), None);
    assert_eq!(kernel.get(NodeId(3)).unwrap().state, Down);
}

#[test]
fn new_code_is_told_and_costs_nobody_its_life() {
    let mut cluster = Cluster::new(&[card(1, "a", 0), card(2, "b", 0), card(3, "c", 0)]);
    cluster.meet(0, 1);
    cluster.meet(0, 2);
    cluster.pass(MINUTE);
    for number in 0..3 {
        cluster.input(number, Input::Catalogue([5; 32]));
    }
    for _ in 0..100 {
        cluster.pass(Duration::from_millis(100));
        for seen_by in 0..3 {
            let members = cluster.kernels[seen_by].members();
            assert!(members.iter().all(Member::is_up), "{members:?}");
        }
    }
    for kernel in &cluster.kernels {
        let members = kernel.members();
        assert!(members.iter().all(|m| m.catalogue == [5; 32] && m.state == Alive), "{members:?}");
    }
}

#[test]
fn a_node_that_stood_still_judges_nobody_for_it() {
    let mut cluster = Cluster::new(&[card(1, "a", 0), card(2, "b", 0)]);
    cluster.meet(0, 1);
    cluster.pass(MINUTE);
    // The first is alone: what it sends is lost.
    let mut alone = cluster.kernels.swap_remove(0);
    let mut now = cluster.now;
    while alone.get(NodeId(2)).unwrap().state == Alive {
        now = alone.next_wake().unwrap();
        alone.take(now, Input::Wake);
    }
    assert_eq!(alone.get(NodeId(2)).unwrap().state, Suspect);
    now = now + MINUTE;
    alone.take(now, Input::Wake);
    assert_eq!(alone.get(NodeId(2)).unwrap().state, Suspect, "by a clock that nobody else had");
    while alone.next_wake().is_some_and(|due| due < now + MINUTE) {
        let due = alone.next_wake().unwrap();
        alone.take(due, Input::Wake);
    }
    assert_eq!(alone.get(NodeId(2)).unwrap().state, Down);
}

/// A packet in the name of `from`, telling of `members`.
fn packet(from: &Card, to: &Card, members: &[foca::Member<Identity>]) -> Vec<u8> {
    let header = foca::Header {
        src: Identity::new(from.clone()),
        src_incarnation: 0,
        dst: Identity::new(to.clone()),
        message: foca::Message::Gossip,
    };
    let mut packet = postcard::to_extend(&header, Vec::new()).unwrap();
    packet.extend_from_slice(&u16::try_from(members.len()).unwrap().to_be_bytes());
    for member in members {
        packet = postcard::to_extend(member, packet).unwrap();
    }
    packet
}

#[test]
fn what_a_node_was_before_its_code_changed_is_no_second_member() {
    let (before, peer) = (card(1, "a", 0), card(2, "b", 0));
    let mut kernel = kernel(before.clone(), &Limits::default());
    let now = Instant::default();
    kernel.take(now, Input::Met(&peer));
    kernel.take(now, Input::Catalogue([1; 32]));
    // The peer has said this before it heard of the change.
    let told = [foca::Member::alive(Identity::new(before))];
    let bytes = packet(&peer, &kernel.own().clone(), &told);
    kernel.take(now, Input::Packet { peer: &peer, bytes: &bytes });
    let members: Vec<_> = kernel.members().into_iter().map(|m| (m.id.0, m.state)).collect();
    assert_eq!(members, [(1, Alive), (2, Alive)]);
}

#[test]
fn nobody_gossips_in_the_name_of_another() {
    let own = card(1, "a", 0);
    let mut kernel = kernel(own.clone(), &Limits::default());
    let (peer, victim) = (card(2, "b", 0), card(3, "c", 0));
    let now = Instant::default();
    kernel.take(now, Input::Met(&peer));
    let elsewhere = Card { address: Some("mem:elsewhere".into()), ..peer.clone() };
    for impostor in [&victim, &elsewhere, &own] {
        let bytes = packet(impostor, &own, &[]);
        kernel.take(now, Input::Packet { peer: &peer, bytes: &bytes });
    }
    assert_eq!(kernel.members().len(), 2);
    assert_eq!(kernel.get(NodeId(2)).unwrap().address.as_deref(), Some("mem:b"));
    let bytes = packet(&peer, &own, &[foca::Member::alive(Identity::new(victim))]);
    kernel.take(now, Input::Packet { peer: &peer, bytes: &bytes });
    assert_eq!(kernel.members().len(), 3, "as oneself one may");
}

#[test]
fn what_can_be_no_member_is_left_out_and_the_rest_believed() {
    let own = card(1, "a", 0);
    let mut kernel = kernel(own.clone(), &Limits::default());
    let peer = card(2, "b", 0);
    let no_name = card(3, "no name", 0);
    let no_address = Card { address: None, ..card(4, "d", 0) };
    let for_ever = card(5, "e", u64::MAX);
    let good = card(6, "f", 0);
    let told = [no_name, no_address, for_ever, good].map(Identity::new).map(foca::Member::alive);
    let bytes = packet(&peer, &own, &told);
    kernel.take(Instant::default(), Input::Packet { peer: &peer, bytes: &bytes });
    let names: Vec<_> = kernel.members().into_iter().map(|member| member.name).collect();
    assert_eq!(names, ["a", "b", "f"]);
}

#[test]
fn members_and_timers_are_bounded_and_who_is_down_makes_room() {
    let own = card(1, "a", 0);
    let mut kernel = kernel(own.clone(), &Limits { members: 20, ..Limits::default() });
    let peer = card(2, "b", 0);
    let now = Instant::default();
    for round in 0..100_u64 {
        let told: Vec<_> = (0..30)
            .map(|n| Identity::new(card(100 + round * 30 + n, &format!("x{round}-{n}"), 0)))
            .map(|id| {
                foca::Member::new(id, 0, if round % 2 == 0 { State::Down } else { State::Alive })
            })
            .collect();
        let bytes = packet(&peer, &own, &told);
        kernel.take(now, Input::Packet { peer: &peer, bytes: &bytes });
        assert!(kernel.members().len() <= 21);
        assert!(kernel.timers.len() <= 2 * 21 + 5, "{}", kernel.timers.len());
    }
    let newcomer = card(3, "c", 0);
    kernel.take(now, Input::Met(&newcomer));
    assert_eq!(kernel.get(NodeId(3)).map(|member| member.state), Some(Alive));
}

#[test]
fn it_sends_to_members_and_to_the_peer_alone() {
    let own = card(1, "a", 0);
    let mut kernel = kernel(own.clone(), &Limits::default());
    let peer = card(2, "b", 0);
    let now = Instant::default();
    kernel.take(now, Input::Met(&peer));
    let header = foca::Header {
        src: Identity::new(peer.clone()),
        src_incarnation: 0,
        dst: Identity::new(own),
        message: foca::Message::PingReq {
            target: Identity::new(card(3, "stranger", 0)),
            probe_number: 1,
        },
    };
    let bytes = postcard::to_extend(&header, Vec::new()).unwrap();
    let actions = kernel.take(now, Input::Packet { peer: &peer, bytes: &bytes });
    assert!(actions.is_empty(), "{actions:?}");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0_u8.., 0..256), at in 0_usize..120) {
        let own = card(1, "a", 0);
        let mut kernel = kernel(own.clone(), &Limits::default());
        let peer = card(2, "b", 0);
        kernel.take(Instant::default(), Input::Met(&peer));
        kernel.take(Instant::default(), Input::Packet { peer: &peer, bytes: &bytes });
        // And with a sound beginning.
        let mut mixed = packet(&peer, &own, &[foca::Member::alive(Identity::new(peer.clone()))]);
        mixed.truncate(at);
        mixed.extend_from_slice(&bytes);
        kernel.take(Instant::default(), Input::Packet { peer: &peer, bytes: &mixed });
        assert!(kernel.members().len() <= 3);
    }
}
