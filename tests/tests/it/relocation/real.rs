//! Bundles built from crates, over TCP.

use midflight_tests::real::bundle;
use midflight_tests::steps::start;

use super::MINUTE;
use crate::real::{code_server, node, stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_bundles_process_moves_to_a_node_that_has_to_fetch_the_bundle() {
    let (near, far) = (node("near").await, node("far").await);
    near.connect(&far.address().unwrap()).await.unwrap();
    let v1 = bundle(near.runtime(), "examples/counter-v1").await;
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = code_server(&near, here.path(), &v1);
    let b = code_server(&far, there.path(), &v1);
    a.serve().unwrap();
    b.serve().unwrap();
    let address = stage(&a, &v1).await;
    a.activate(address).await.unwrap();
    let counter = start(&a, "counter", &());
    let client = near.run("client", move |cx| async move {
        let add = async |seq| {
            let add = counter_v1::Add { seq, amount: 1 };
            cx.call::<_, counter_v1::Total>(counter, add, MINUTE).await.unwrap()
        };
        assert_eq!(add(1).await.total, 1);
        let still = a.relocate(counter, far.id()).await.unwrap();
        println!("a process stood still for {still:?}");
        assert!(far.holds(counter) && !a.node().holds(counter));
        assert_eq!(b.current("counter"), Some(address), "it was fetched");
        assert_eq!(add(2).await.total, 2);
        // To a node that runs another version of it.
        let v2 = bundle(far.runtime(), "examples/counter-v2").await;
        let other = stage(&a, &v2).await;
        a.activate(other).await.unwrap();
        b.relocate(counter, a.node().id()).await.unwrap();
        assert_eq!(a.versions().get(other).unwrap().processes(), [counter]);
        assert_eq!(add(3).await.total, 3);
    });
    client.await.unwrap();
}
