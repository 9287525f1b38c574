//! What a node may do goes by its link, never by the pid that its processes are known by.

use midflight_dsu::protocol::{Answer, CONTROL, Came, Come, Drain, MayCome, StatusRequest};
use midflight_dsu::relocation::RelocateError;
use midflight_process::message::Message;
use midflight_process::{CallError, Context, Node, Pid, Received, Refusal};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::{World, simulate};

use super::{MINUTE, SECOND, nodes};

/// Says that whatever is to come has been lodged in `cell`, as no honest node would.
async fn lies(cx: Context, cell: Pid) {
    let asked: Received<MayCome> = cx.receive_one().await;
    let address = asked.message.address;
    asked.reply_to.unwrap().reply(Answer::Yes { address, state: 1 });
    let come: Received<Come> = cx.receive_one().await;
    come.reply_to.unwrap().reply(Came::Lodged(cell));
    cx.sleep(MINUTE).await;
}

async fn is_refused<M: Message>(cx: &Context, control: Pid, request: M) {
    let error = cx.call::<M, ()>(control, request, MINUTE).await.unwrap_err();
    let CallError::Refused { refusal, .. } = error else { panic!("{error}") };
    assert!(matches!(refusal, Refusal::NotAllowed(_)), "{refusal}");
}

#[test]
fn who_says_that_a_process_is_in_another_ones_cell_gets_none_of_its_homes_rights() {
    simulate(10, |world| async move {
        let [home] = nodes(&world).await;
        run_version(&world, &home, "counter-v1").await;
        home.node().set_roles("* = send".parse().unwrap());
        let transport = world.hub.transport(world.runtime.clone());
        let host = Node::builder("host").listen(World::address("host"));
        let host = host.start(&transport, world.runtime.clone()).await.unwrap();
        host.connect(&World::address("n0")).await.unwrap();
        let counter = start(&home, "counter", &());
        let (control, there) = (home.node().whereis(CONTROL).unwrap(), host.id());
        let node = home.node().clone();
        let mail = node.run("mail", move |cx| async move {
            let other = host.run("asks", {
                let host = host.clone();
                let mail = cx.me();
                move |cx| async move {
                    let cell = cx.me();
                    let liar = host.spawn("lies", move |cx| lies(cx, cell)).unwrap();
                    host.register(CONTROL, liar).unwrap();
                    cx.send(mail, 1_u64).await.unwrap();
                    cx.sleep(MINUTE).await;
                    cx.send(mail, 2_u64).await.unwrap();
                    is_refused(&cx, control, StatusRequest).await;
                    is_refused(&cx, control, Drain { node: "n0".into() }).await;
                    host.id()
                }
            });
            let talks = async {
                let first: Received<u64> = cx.receive_one().await;
                assert_eq!(first.node, Some(there));
                let lost = home.relocate(counter, there).await.unwrap_err();
                assert!(matches!(lost, RelocateError::Unknown { .. }), "{lost}");
                let second: Received<u64> = cx.receive_one().await;
                assert_eq!(second.from, Some(counter), "it is taken for what it says it has");
                assert_eq!(second.node, Some(there), "and is where it is");
            };
            let (asked, ()) = futures_util::join!(other, talks);
            asked.unwrap();
            cx.sleep(SECOND).await;
        });
        mail.await.unwrap();
    });
}
