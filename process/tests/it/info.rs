//! What can be seen of processes and nodes from outside (P11).

use std::time::Duration;

use midflight_process::{Context, Down, Function, NodeId, SpawnOptions, Status};

use super::world::simulate;

const SECOND: Duration = Duration::from_secs(1);
const IDLE: Function<()> = Function::new("test.idle");

async fn idle(cx: Context, _: ()) {
    cx.expect::<String>().await;
}

#[test]
fn a_process_tells_all_about_itself_here_and_from_afar() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for node in [&a, &b] {
            node.functions().register(&IDLE, idle).unwrap();
        }
        for there in [a.clone(), b.clone()] {
            let other = b.id();
            a.run("observer", move |cx| async move {
                let me = cx.me();
                let options = || SpawnOptions::new().linked().monitored();
                let seen = cx.spawn_on_with(there.id(), IDLE, (), options().named("seen"));
                let seen = seen.await.unwrap();
                let watched = cx.spawn_on(other, IDLE, ()).await.unwrap();
                let monitor = cx.monitor(watched).await;
                cx.send(seen.pid, 7_u64).await.unwrap();
                // The first word comes back when the message is there.
                cx.node().whereis_on(there.id(), "seen").await.unwrap();
                let info = cx.node().info_of(seen.pid).await.unwrap().unwrap();
                assert_eq!((info.pid, info.label.unwrap().name.as_str()), (seen.pid, "test.idle"));
                assert_eq!(info.names, ["seen"]);
                assert_eq!((info.linked_to, info.monitored_by), (vec![me], vec![me]));
                assert_eq!((info.watchers, info.traps_exits), (1, false));
                assert!(info.monitoring.is_empty());

                let own = cx.node().process(me).unwrap();
                assert_eq!(own.monitoring, [seen.pid, watched]);
                assert_eq!(own.linked_to, [seen.pid]);
                cx.demonitor(monitor);
                assert_eq!(cx.node().process(me).unwrap().monitoring, [seen.pid]);
                cx.trap_exits(true);
                cx.send(seen.pid, String::from("end")).await.unwrap();
                cx.expect::<Down>().await;
                let own = cx.node().process(me).unwrap();
                assert!(own.traps_exits && own.monitors == 0 && own.links == 0);
                assert_eq!(cx.node().info_of(seen.pid).await.unwrap(), None);
                cx.send(watched, String::from("end")).await.unwrap();
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_mailbox_is_seen_from_afar_until_it_is_handled() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let full = b.spawn("full", |cx| async move {
            cx.expect::<String>().await;
            for _ in 0..3 {
                cx.expect::<Vec<u8>>().await;
            }
            cx.expect::<String>().await;
        });
        let full = full.unwrap();
        a.run("observer", move |cx| async move {
            for _ in 0..3 {
                cx.send(full, vec![0; 1_000]).await.unwrap();
            }
            let look = async || cx.node().info_of(full).await.unwrap().unwrap();
            while look().await.mailbox < 3 {
                cx.sleep(Duration::from_millis(1)).await;
            }
            let info = look().await;
            assert!((3_000..4_000).contains(&info.mailbox_bytes), "{}", info.mailbox_bytes);
            assert_eq!(info.status, Status::Waiting);
            cx.send(full, String::from("go on")).await.unwrap();
            while look().await.mailbox > 0 {
                cx.sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(look().await.mailbox_bytes, 0);
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_node_says_what_it_holds() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        b.functions().register(&IDLE, idle).unwrap();
        let named = b.spawn("named", |cx| async move { cx.sleep(60 * SECOND).await }).unwrap();
        b.register("named", named).unwrap();
        let stats = a.stats_of(b.id()).await.unwrap();
        assert_eq!((stats.processes, stats.names), (1, 1));
        assert_eq!((stats.functions, stats.peers), (1, 1));
        assert_eq!(b.stats(), stats);
        assert_eq!(a.stats_of(a.id()).await.unwrap().processes, 0);
        assert!(a.stats_of(NodeId(7)).await.is_err());
    });
}
