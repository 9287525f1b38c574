//! What a peer may not do is not done, and it is told (P9).

use std::time::Duration;

use midflight_process::supervisor::{Child, ChildError, Strategy, Supervisor};
use midflight_process::{
    AskError, CallError, Context, Down, ExitReason, Exited, Function, Limits, Node, NotAllowed,
    Refusal, RefusalKind, Role, Roles, SpawnOnError, Undelivered,
};

use super::world::{QUIET, World, simulate};

const LONG: Duration = Duration::from_secs(60);
const IDLE: Function<()> = Function::new("test.idle");

async fn idle(cx: Context, _: ()) {
    cx.expect::<String>().await;
}

/// Two linked nodes; the second has these roles on the first, as any other would, which has a function.
async fn pair(world: &World, roles: &[Role]) -> (Node, Node) {
    let roles: Roles = roles.iter().copied().collect();
    // A peer has this many messages under way, and is refused more of them.
    let limits = Limits { window_messages: 1_024, ..Limits::default() };
    let guarded = Node::builder("guarded").listen(World::address("guarded")).limits(limits);
    let guarded = world.start(guarded.other_roles(roles)).await;
    guarded.functions().register(&IDLE, idle).unwrap();
    let peer = world.node("peer").await;
    peer.connect(&World::address("guarded")).await.unwrap();
    (guarded, peer)
}

fn no(role: Role) -> NotAllowed {
    NotAllowed { role, link: false }
}

#[test]
fn who_may_not_send_is_told_in_the_messages_place() {
    simulate(|world| async move {
        let (guarded, peer) = pair(&world, &[Role::Inspect]).await;
        let target = guarded.spawn("target", |cx| async move { idle(cx, ()).await }).unwrap();
        peer.run("sender", move |cx| async move {
            // More than may be under way: what was refused takes no room.
            for _ in 0..3_000 {
                cx.send(target, 7_u64).await.unwrap();
                let told: Undelivered = cx.expect().await;
                assert_eq!((told.to, told.kind), (target, RefusalKind::NotAllowed));
            }
            let called = cx.call::<u64, u64>(target, 7, LONG).await.unwrap_err();
            let CallError::Refused { refusal: Refusal::NotAllowed(refused), .. } = called else {
                panic!("{called}");
            };
            assert_eq!(refused, no(Role::Send));
        })
        .await
        .unwrap();
        assert_eq!(guarded.process(target).unwrap().mailbox, 0);
    });
}

#[test]
fn who_may_not_end_processes_can_neither_exit_nor_kill_nor_link_nor_name() {
    simulate(|world| async move {
        let (guarded, peer) = pair(&world, &[Role::Send, Role::Inspect]).await;
        let target = guarded.spawn("target", |cx| async move { idle(cx, ()).await }).unwrap();
        peer.run("ender", move |cx| async move {
            cx.trap_exits(true);
            cx.exit(target, ExitReason::Error("to be ended".into())).await;
            assert_eq!(cx.expect::<Undelivered>().await.kind, RefusalKind::NotAllowed);
            cx.kill(target, "to be ended").await;
            assert_eq!(cx.expect::<Undelivered>().await.kind, RefusalKind::NotAllowed);
            cx.link(target).await;
            let exited: Exited = cx.expect().await;
            assert_eq!(exited.reason, ExitReason::NotAllowed(no(Role::Exit)));
            let named = cx.node().register_on(target.node, "mine", target).await;
            assert!(named.unwrap_err().to_string().contains("exit"));
            let unnamed = cx.node().unregister_on(target.node, "mine").await;
            assert!(matches!(unnamed, Err(AskError::NotAllowed { source, .. }) if source == no(Role::Exit)));
            assert!(cx.node().info_of(target).await.unwrap().is_some(), "inspect it may");
        })
        .await
        .unwrap();
        assert!(guarded.process(target).is_some());
        assert_eq!(guarded.whereis("mine"), None);
    });
}

#[test]
fn who_may_not_inspect_or_spawn_is_told_so() {
    simulate(|world| async move {
        let (guarded, peer) = pair(&world, &[Role::Send]).await;
        let there = guarded.id();
        let target = guarded.spawn("target", |cx| async move { idle(cx, ()).await }).unwrap();
        peer.run("asker", move |cx| async move {
            let seen = cx.node().info_of(target).await;
            assert!(matches!(seen, Err(AskError::NotAllowed { source, .. }) if source == no(Role::Inspect)));
            let seen = cx.node().stats_of(there).await;
            assert!(matches!(seen, Err(AskError::NotAllowed { source, .. }) if source == no(Role::Inspect)));
            for _ in 0..3_000 {
                let started = cx.spawn_on(there, IDLE, ()).await;
                assert!(matches!(started, Err(SpawnOnError::NotAllowed { source, .. }) if source == no(Role::Spawn)));
            }
            cx.send(target, 7_u64).await.unwrap();
            assert_eq!(cx.expect_timeout::<Undelivered>(QUIET).await, None, "send it may");
        })
        .await
        .unwrap();
        assert_eq!(guarded.process_count(), 1);
        assert!(guarded.may(peer.id(), Role::Send).is_ok());
        assert_eq!(guarded.may(peer.id(), Role::Deploy), Err(no(Role::Deploy)));
    });
}

#[test]
fn a_supervisor_does_for_others_what_they_may_do_themselves() {
    simulate(|world| async move {
        let (guarded, peer) = pair(&world, &[Role::Send]).await;
        let child = Child::new("child", |cx| idle(cx, ()));
        let supervisor = Supervisor::new(Strategy::OneForOne).child(child);
        let supervisor = supervisor.start(&guarded).await.unwrap();
        peer.run("asker", move |cx| async move {
            let refused = |error: ChildError, role| {
                let ChildError::Call(CallError::Refused { refusal, .. }) = error else {
                    panic!("{error}");
                };
                assert_eq!(refusal, Refusal::NotAllowed(no(role)));
            };
            refused(supervisor.which_children(&cx).await.unwrap_err(), Role::Inspect);
            refused(supervisor.restart_child(&cx, "child").await.unwrap_err(), Role::Spawn);
            refused(supervisor.terminate_child(&cx, "child").await.unwrap_err(), Role::Exit);
            refused(supervisor.shut_down(&cx).await.unwrap_err(), Role::Exit);
            assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None, "not watched any more");
        })
        .await
        .unwrap();
        guarded
            .run("owner", move |cx| async move {
                assert_eq!(supervisor.which_children(&cx).await.unwrap().len(), 1);
                assert_eq!(supervisor.shut_down(&cx).await.unwrap(), ExitReason::Shutdown);
                assert_eq!(supervisor.shut_down(&cx).await.unwrap(), ExitReason::NoProcess);
            })
            .await
            .unwrap();
    });
}

// Over TLS they go by the name in the certificate, which nodes here share.
simulated! {
#[test]
fn roles_go_by_name_and_the_others_have_theirs() {
    simulate(|world| async move {
        let builder = Node::builder("guarded").listen(World::address("guarded"));
        let builder = builder.roles("friend", Roles::all()).other_roles(Roles::none());
        let guarded = world.start(builder).await;
        let (friend, stranger) = (world.node("friend").await, world.node("stranger").await);
        for peer in [&friend, &stranger] {
            peer.connect(&World::address("guarded")).await.unwrap();
        }
        // The link is up for who has dialled a moment before it is here.
        crate::world::until(&guarded, || guarded.peers().len() == 2).await;
        for role in Role::ALL {
            assert_eq!(guarded.may(friend.id(), role), Ok(()));
            assert_eq!(guarded.may(stranger.id(), role), Err(no(role)));
            assert_eq!(friend.may(guarded.id(), role), Ok(()), "each node decides for itself");
        }
        friend.disconnect(guarded.id());
        while guarded.may(friend.id(), Role::Send).is_ok() {
            world.runtime.sleep(Duration::from_micros(1)).await;
        }
    });
}

#[test]
fn other_roles_hold_for_links_that_are_up() {
    simulate(|world| async move {
        let (guarded, peer) = pair(&world, &Role::ALL).await;
        let target = guarded.spawn("target", |cx| async move {
            loop {
                let received = cx.receive_one::<u64>().await;
                received.reply_to.unwrap().reply(received.message);
            }
        });
        let target = target.unwrap();
        let called = async || peer.call::<_, u64>(target, 7_u64, LONG).await;
        assert_eq!(called().await.unwrap(), 7);
        let made = peer.metrics().links_made;
        for family in ["peer", "pe*", "*"] {
            let mut table = midflight_process::RoleTable::new(Roles::all());
            table.grant(family, Roles::none());
            guarded.set_roles(table);
            let error = called().await.unwrap_err();
            let CallError::Refused { refusal: Refusal::NotAllowed(refused), .. } = error else {
                panic!("{error}");
            };
            assert_eq!(refused, no(Role::Send), "{family}");
            guarded.set_roles(midflight_process::RoleTable::default());
            assert_eq!(called().await.unwrap(), 7);
        }
        assert_eq!(peer.metrics().links_made, made, "over the same link");
        // And for those to come.
        guarded.set_roles(midflight_process::RoleTable::new(Roles::none()));
        peer.disconnect(guarded.id());
        let error = called().await.unwrap_err();
        assert!(matches!(error, CallError::Refused { .. }), "{error}");
    });
}
}
