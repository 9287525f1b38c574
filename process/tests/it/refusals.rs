//! Refusals and other notices that nobody reads: they cause nothing more, and fill nothing.

use midflight_process::managed::{Managed, Unhandled};
use midflight_process::message::Message;
use midflight_process::{Node, Pid, SendPort, Undelivered};
use serde::{Deserialize, Serialize};

use super::scene::scenario;
use super::world::QUIET;

/// Says to whom something is to be sent that is not taken there.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Bother", version = 1)]
struct Bother(Pid);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Unwanted", version = 1)]
struct Unwanted;

/// A port to be watched.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Watch", version = 1)]
struct Watch(SendPort<u64>);

/// A managed process that has nothing to say about notices.
async fn managed(node: &Node, unhandled: Unhandled) -> Pid {
    let definition = Managed::new().unhandled(unhandled).cast(|(), Bother(whom), server| {
        server.cx().try_send(whom, Unwanted).unwrap();
    });
    definition.start(node, |_| Ok(())).await.unwrap()
}

fn letters(nodes: &[&Node]) -> usize {
    nodes.iter().map(|node| node.dead_letters().len()).sum()
}

#[test]
fn managed_processes_do_not_refuse_each_others_refusals() {
    scenario(|cx, other| async move {
        let here = cx.node().clone();
        for node in [&here, &other] {
            let before = letters(&[&here, &other]);
            let refuses = managed(node, Unhandled::Refuse).await;
            for unhandled in [Unhandled::Refuse, Unhandled::Terminate, Unhandled::Drop] {
                let bothers = managed(&here, unhandled).await;
                cx.send(bothers, Bother(refuses)).await.unwrap();
                cx.sleep(QUIET).await;
                // It is told and has no handler for that, which is no reason to do anything.
                assert!(here.process(bothers).is_some(), "{unhandled:?}");
            }
            assert_eq!(letters(&[&here, &other]) - before, 3, "refusals of refusals");
        }
    });
}

/// The end of a port is told from its owner, who lives on and has sent nothing.
#[test]
fn who_refuses_a_notice_tells_nobody() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let watcher = Managed::new().cast_async(|(), Watch(port), server| {
                Box::pin(async move {
                    server.cx().monitor_port(&port).await;
                })
            });
            let watcher = watcher.start(&node, |_| Ok(())).await.unwrap();
            let (port, received) = cx.channel::<u64>();
            cx.send(watcher, Watch(port)).await.unwrap();
            cx.sleep(QUIET).await;
            drop(received);
            assert_eq!(cx.expect_timeout::<Undelivered>(QUIET).await, None);
            assert_eq!(node.dead_letters().len(), 1, "the notice is kept");
        }
    });
}
