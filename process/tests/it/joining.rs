//! Joining through sources: what they name comes and goes, leads nowhere, or to the node itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use midflight_process::{Found, JoinError, Member, Node, NodeId, Source};
use midflight_runtime::BoxFuture;
use midflight_transport_api::Address;
use parking_lot::Mutex;

use crate::world::{World, run, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

/// A source that names what the test says.
#[derive(Clone, Default)]
struct Scripted {
    names: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Scripted {
    fn naming(names: &[&str]) -> Self {
        let scripted = Self::default();
        scripted.name_now(names);
        scripted
    }

    fn name_now(&self, names: &[&str]) {
        *self.names.lock() = names.iter().map(ToString::to_string).collect();
    }
}

impl Source for Scripted {
    fn name(&self) -> String {
        "a script".into()
    }

    fn find(&self) -> BoxFuture<Found> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let names = self.names.lock().clone();
        Box::pin(async move {
            match names.first().map(String::as_str) {
                Some("!") => Err("it cannot be asked now".into()),
                Some("?") => std::future::pending().await,
                _ => Ok(names.iter().map(|name| World::address(name)).collect()),
            }
        })
    }
}

/// Whom a node holds for up.
fn up(node: &Node) -> BTreeSet<NodeId> {
    node.members().into_iter().filter(Member::is_up).map(|member| member.id).collect()
}

async fn knows(node: &Node, others: &[&Node]) {
    let all: BTreeSet<_> = others.iter().copied().chain([node]).map(Node::id).collect();
    until(node, || up(node) == all).await;
}

#[test]
fn a_node_finds_those_that_a_source_names_as_they_come() {
    simulate(|world| async move {
        let source = Scripted::naming(&["x", "nowhere", "a"]);
        let x = world.node("x").await;
        x.join_through(source.clone());
        world.runtime.sleep(20 * SECOND).await;
        assert_eq!(up(&x).len(), 1, "nobody is there yet");
        assert!(x.peers().is_empty(), "and it has no link to itself");
        let a = world.node("a").await;
        let began = world.runtime.now();
        knows(&x, &[&a]).await;
        let took = world.runtime.now().since(began);
        assert!(took < 7 * SECOND, "while it is alone it looks every few seconds: {took:?}");

        // Another comes, of whom the first knows nothing.
        let b = world.node("b").await;
        source.name_now(&["x", "b"]);
        knows(&x, &[&a, &b]).await;
        knows(&a, &[&x, &b]).await;
        assert_eq!(x.peers().len(), 2, "one link to each");

        // What is not named any more stays a member.
        source.name_now(&[]);
        world.runtime.sleep(60 * SECOND).await;
        knows(&x, &[&a, &b]).await;
    });
}

#[test]
fn a_source_that_fails_or_is_silent_is_no_end() {
    simulate(|world| async move {
        let source = Scripted::naming(&["!"]);
        let (x, a) = (world.node("x").await, world.node("a").await);
        x.join_through(source.clone());
        world.runtime.sleep(20 * SECOND).await;
        assert!(source.asked.load(Ordering::Relaxed) > 5, "it is asked again");

        source.name_now(&["?"]);
        world.runtime.sleep(20 * SECOND).await;
        let asked = source.asked.load(Ordering::Relaxed);
        world.runtime.sleep(200 * SECOND).await;
        let later = source.asked.load(Ordering::Relaxed);
        assert_eq!(later, asked, "it is not asked twice at a time");

        let other = Scripted::naming(&["a"]);
        x.join_through(other);
        knows(&x, &[&a]).await;
        x.shutdown().await;
        assert_eq!(up(&a).len(), 1);
    });
}

#[test]
fn members_that_come_back_elsewhere_are_found_once_all_others_are_gone() {
    run(3, |world| async move {
        let source = Scripted::naming(&["a"]);
        let (x, a) = (world.node("x").await, world.node("a").await);
        x.join_through(source.clone());
        knows(&x, &[&a]).await;
        a.shutdown().await;
        knows(&x, &[]).await;
        let b = world.node("b").await;
        source.name_now(&["a", "b"]);
        let began = world.runtime.now();
        knows(&x, &[&b]).await;
        let took = world.runtime.now().since(began);
        assert!(took < 7 * SECOND, "alone, it asks at once: {took:?}");
    });
}

#[test]
fn among_hundreds_that_are_gone_the_one_that_lives_is_found() {
    run(1, |world| async move {
        let names: Vec<_> = (0..400).map(|number| format!("gone{number}")).collect();
        let mut names: Vec<_> = names.iter().map(String::as_str).collect();
        names.push("a");
        let (x, a) = (world.node("x").await, world.node("a").await);
        let began = world.runtime.now();
        x.join_through(Scripted::naming(&names));
        knows(&x, &[&a]).await;
        // 16 in a round, and at the most six seconds between two.
        assert!(world.runtime.now().since(began) < 26 * 6 * SECOND);
        assert_eq!(x.peers().len(), 1);
    });
}

#[test]
fn one_node_under_two_addresses_has_one_link() {
    simulate(|world| async move {
        let builder =
            Node::builder("a").listen(World::address("ip")).advertise(World::address("a"));
        let a = world.start(builder).await;
        let x = world.node("x").await;
        x.join_through(Scripted::naming(&["ip", "a"]));
        knows(&x, &[&a]).await;
        world.runtime.sleep(100 * SECOND).await;
        assert_eq!((x.peers().len(), a.peers().len()), (1, 1));
        assert_eq!(x.metrics().links_made, 1);
    });
}

#[test]
fn a_seed_is_tried_once_and_says_what_is_wrong() {
    simulate(|world| async move {
        let (x, a) = (world.node("x").await, world.node("a").await);
        let other = Node::builder("c").listen(World::address("c")).cluster("another");
        let _other = world.start(other).await;
        let seed = |name: &str| -> Address { World::address(name) };
        assert_eq!(x.try_join(&seed("a")).await.unwrap(), [a.id()]);
        assert_eq!(x.try_join(&seed("a")).await.unwrap(), [a.id()], "it is linked");
        let error = x.try_join(&seed("nowhere")).await.unwrap_err();
        assert!(matches!(error, JoinError::Unreachable { .. }), "{error}");
        let error = x.try_join(&seed("c")).await.unwrap_err();
        assert!(matches!(error, JoinError::Refused { .. }), "{error}");
        let error = x.try_join(&seed("x")).await.unwrap_err();
        assert!(matches!(error, JoinError::Unreachable { .. }), "{error}");
    });
}
