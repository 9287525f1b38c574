//! Membership: clusters whose nodes come and go, and in virtual time under cuts and crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midflight_process::{Context, Member, MemberEvent, MemberState, Node, NodeId};
use midflight_transport_api::Address;

use super::world::{LARGEST, SLACK, World, run, simulate};

const SECOND: Duration = Duration::from_secs(1);
/// Within so long, nodes that can reach each other are of one mind.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Seeds with sizes of clusters, those that are too large for this world left out.
fn sizes<const N: usize>(all: [(u64, usize); N]) -> impl Iterator<Item = (u64, usize)> {
    all.into_iter().filter(|(_, size)| *size <= LARGEST)
}

/// A node's name in these worlds.
fn name(number: usize) -> String {
    format!("n{number}")
}

fn address(number: usize) -> Address {
    World::address(&name(number))
}

/// Starts so many nodes; each joins through the first.
async fn cluster(world: &World, size: usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    for number in 0..size {
        nodes.push(started(world, number).await);
    }
    settled(world, &nodes, Duration::from_secs(15)).await;
    nodes
}

async fn started(world: &World, number: usize) -> Node {
    let node = world.node(&name(number)).await;
    node.join(if number == 0 { vec![address(1)] } else { vec![address(0)] });
    node
}

/// Whom a node holds for alive.
fn alive(node: &Node) -> BTreeSet<NodeId> {
    let members = node.members().into_iter();
    members.filter(|member| member.state == MemberState::Alive).map(|member| member.id).collect()
}

/// Whom a node does not hold for down.
fn up(node: &Node) -> BTreeSet<NodeId> {
    node.members().into_iter().filter(Member::is_up).map(|member| member.id).collect()
}

/// Waits until all of these nodes, and nobody else, are alive in the eyes of each.
async fn settled(world: &World, nodes: &[Node], within: Duration) {
    let all: BTreeSet<_> = nodes.iter().map(Node::id).collect();
    let agree = || nodes.iter().all(|node| alive(node) == all && up(node) == all);
    let told = || nodes.iter().map(|n| (n.name().to_owned(), n.members())).collect::<Vec<_>>();
    until(world, within, agree, told).await;
}

/// Waits until something is so, and then says how long it took.
async fn until<T: std::fmt::Debug>(
    world: &World,
    within: Duration,
    is_so: impl Fn() -> bool,
    otherwise: impl Fn() -> T,
) -> Duration {
    let began = world.runtime.now();
    while !is_so() {
        let passed = world.runtime.now().since(began);
        assert!(passed < within * SLACK, "not so within {within:?}: {:#?}", otherwise());
        world.runtime.sleep(Duration::from_millis(100)).await;
    }
    world.runtime.now().since(began)
}

#[test]
fn all_of_a_cluster_know_each_other() {
    for (seed, size) in sizes([(1, 3), (2, 5), (3, 8), (4, 16), (5, 32), (6, 100)]) {
        run(seed, |world| async move {
            cluster(&world, size).await;
        });
    }
}

#[test]
fn who_leaves_is_known_to_have_left_at_once() {
    for (seed, size) in sizes([(1, 2), (2, 3), (3, 16)]) {
        run(seed, |world| async move {
            let mut nodes = cluster(&world, size).await;
            let left = nodes.pop().unwrap();
            left.shutdown().await;
            let gone = || nodes.iter().all(|node| !up(node).contains(&left.id()));
            until(&world, 2 * SECOND, gone, || nodes[0].members()).await;
        });
    }
}

#[test]
fn a_later_life_takes_the_place_of_the_earlier() {
    simulate(|world| async move {
        let mut nodes = cluster(&world, 4).await;
        let before = nodes.pop().unwrap();
        before.shutdown().await;
        let after = started(&world, 3).await;
        assert_ne!(before.id(), after.id());
        nodes.push(after);
        settled(&world, &nodes, Duration::from_secs(15)).await;
        for node in &nodes {
            let named: Vec<_> =
                node.members().into_iter().filter(|member| member.name == name(3)).collect();
            assert_eq!(named.len(), 1, "{named:?}");
        }
    });
}

#[test]
fn who_watches_is_told_what_changes_and_in_order() {
    simulate(|world| async move {
        let mut nodes = cluster(&world, 3).await;
        let watched = nodes[0].clone();
        let at = nodes[0].clone();
        let watcher = watched.run("watcher", move |cx| async move {
            let mut known: BTreeMap<_, _> =
                cx.watch_members().into_iter().map(|member| (member.id, member.state)).collect();
            assert_eq!(known.len(), 3);
            loop {
                match cx.expect::<MemberEvent>().await {
                    MemberEvent::Up(member) => {
                        let before = known.insert(member.id, member.state);
                        assert!(before.is_none_or(|state| state == MemberState::Down));
                        // The fourth node says that it is done.
                        if member.name == name(3) {
                            break;
                        }
                    }
                    MemberEvent::Down(member) | MemberEvent::Left(member) => {
                        let before = known.insert(member.id, MemberState::Down);
                        assert!(before.is_some_and(|state| state != MemberState::Down));
                    }
                    MemberEvent::Suspect(member) | MemberEvent::Recovered(member) => {
                        known.insert(member.id, member.state);
                    }
                    other => panic!("{other:?}"),
                }
            }
            // Who had left when it began to watch is not told of again.
            known.retain(|_, state| !matches!(state, MemberState::Down | MemberState::Left));
            known.into_keys().collect::<BTreeSet<_>>()
        });
        let changes = async {
            nodes.pop().unwrap().shutdown().await;
            until(&world, SECOND * 5, || up(&at).len() == 2, || at.members()).await;
            nodes.push(started(&world, 2).await);
            settled(&world, &nodes, SETTLED_WITHIN).await;
            nodes.push(started(&world, 3).await);
        };
        let (known, ()) = futures_util::join!(watcher, changes);
        assert_eq!(known.unwrap(), up(&nodes[0]));
    });
}

// The network is cut, and a minute of waiting is none.
simulated! {
/// Cuts or heals every path between the two sides.
fn split(world: &World, left: &[usize], right: &[usize], cut: bool) {
    for a in left {
        for b in right {
            if cut {
                world.hub.cut(&address(*a), &address(*b));
            } else {
                world.hub.heal(&address(*a), &address(*b));
            }
        }
    }
}

#[test]
fn one_that_is_cut_off_is_down_and_comes_back_when_healed() {
    for seed in 0..5 {
        run(seed, |world| async move {
            let nodes = cluster(&world, 5).await;
            split(&world, &[4], &[0, 1, 2, 3], true);
            let gone = || nodes[..4].iter().all(|node| !up(node).contains(&nodes[4].id()));
            let took = until(&world, Duration::from_secs(20), gone, || nodes[0].members()).await;
            assert!(took > Duration::from_secs(3), "suspected first, and for a while: {took:?}");
            let lonely = || up(&nodes[4]).len() == 1;
            until(&world, SETTLED_WITHIN, lonely, || nodes[4].members()).await;
            split(&world, &[4], &[0, 1, 2, 3], false);
            settled(&world, &nodes, SETTLED_WITHIN).await;
        });
    }
}

#[test]
fn two_halves_become_one_again() {
    for (seed, size) in [(1, 4), (2, 6), (3, 12), (4, 24)] {
        run(seed, |world| async move {
            let nodes = cluster(&world, size).await;
            let (left, right): (Vec<_>, Vec<_>) = (0..size).partition(|n| n % 2 == 0);
            split(&world, &left, &right, true);
            let side =
                |numbers: &[usize]| numbers.iter().map(|n| nodes[*n].id()).collect::<BTreeSet<_>>();
            for numbers in [&left, &right] {
                let of_one_mind = || numbers.iter().all(|n| up(&nodes[*n]) == side(numbers));
                let told = || numbers.iter().map(|n| up(&nodes[*n])).collect::<Vec<_>>();
                until(&world, SETTLED_WITHIN, of_one_mind, told).await;
            }
            split(&world, &left, &right, false);
            settled(&world, &nodes, SETTLED_WITHIN).await;
        });
    }
}

#[test]
fn a_path_that_is_cut_has_nobody_suspected_while_others_reach_both() {
    for seed in 0..5 {
        run(seed, |world| async move {
            let nodes = cluster(&world, 4).await;
            split(&world, &[1], &[2], true);
            let end = world.runtime.now() + Duration::from_secs(120);
            let all: BTreeSet<_> = nodes.iter().map(Node::id).collect();
            while world.runtime.now() < end {
                for node in &nodes {
                    // Who is asked through others is not even suspected, and has nothing to refute.
                    assert_eq!(alive(node), all, "{} at {:?}", node.name(), world.runtime.now());
                }
                world.runtime.sleep(Duration::from_millis(200)).await;
            }
        });
    }
}

/// Fails when an incarnation is up again after a later one of its name was.
async fn no_ghosts(cx: Context) {
    let mut latest: BTreeMap<String, NodeId> = BTreeMap::new();
    let mut past: BTreeSet<NodeId> = BTreeSet::new();
    let mut see = |member: Member| {
        if member.is_up() {
            assert!(!past.contains(&member.id), "{} is back at {:?}", member.id, member.name);
            if let Some(before) = latest.insert(member.name, member.id)
                && before != member.id
            {
                past.insert(before);
            }
        }
    };
    cx.watch_members().into_iter().for_each(&mut see);
    loop {
        match cx.expect::<MemberEvent>().await {
            MemberEvent::Up(member)
            | MemberEvent::Suspect(member)
            | MemberEvent::Recovered(member) => {
                see(member);
            }
            MemberEvent::Missed => panic!("the watcher was too slow"),
            _ => {}
        }
    }
}

/// Cuts, heals, crashes and restarts by chance; then all is healed, and all are of one mind.
async fn chaos(world: World, size: usize, rounds: usize) {
    let random = |below: usize| usize::try_from(world.runtime.random_u64() % below as u64).unwrap();
    let mut nodes = cluster(&world, size).await;
    let watch = |node: &Node| {
        let watcher = node.spawn("no ghosts", no_ghosts).unwrap();
        (node.clone(), watcher)
    };
    let mut watchers: Vec<_> = nodes.iter().map(watch).collect();
    for _ in 0..rounds {
        let (one, other) = (random(size), random(size));
        match random(4) {
            0 if one != other => split(&world, &[one], &[other], true),
            1 => {
                let others: Vec<_> = (0..size).filter(|n| *n != one).collect();
                split(&world, &[one], &others, true);
            }
            2 => {
                let others: Vec<_> = (0..size).filter(|n| *n != one).collect();
                split(&world, &[one], &others, false);
            }
            _ => {
                nodes[one].shutdown().await;
                nodes[one] = started(&world, one).await;
                watchers[one] = watch(&nodes[one]);
            }
        }
        world.runtime.sleep(SECOND * u32::try_from(random(10)).unwrap()).await;
    }
    let all: Vec<_> = (0..size).collect();
    split(&world, &all, &all, false);
    settled(&world, &nodes, SETTLED_WITHIN * 2).await;
    for (node, watcher) in watchers {
        assert!(node.process(watcher).is_some(), "a ghost was seen on {}", node.name());
    }
}

#[test]
fn whatever_happens_all_are_of_one_mind_in_the_end() {
    for (seed, size, rounds) in [(1, 3, 30), (2, 3, 30), (3, 5, 30), (4, 8, 30), (5, 16, 20)] {
        run(seed, |world| chaos(world, size, rounds));
    }
}
}
