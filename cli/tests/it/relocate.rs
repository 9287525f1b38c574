//! `midflight relocate`, between nodes in processes of their own.

use crate::tools::{NodeProcess, bundle, run, until};

#[tokio::test]
async fn a_process_moves_to_a_node_that_fetches_its_code_and_back() {
    let a = NodeProcess::start("a", &[]).await;
    let v1 = bundle("counter-v1").await;
    let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &a.address];
    run(&push).await.expect(0, &[]);
    let started = ["start", "counter", "--node", &a.address, "--json"];
    let started = run(&started).await.expect(0, &[]).json();
    let pid = started["started"][0].as_str().unwrap().to_owned();
    let b = NodeProcess::start("b", &["--join", &a.address]).await;
    until("a knows b", async || a.status(&[]).await["members"].as_array().unwrap().len() == 2)
        .await;
    let counters = async |node: &NodeProcess| {
        let ps = run(&["ps", "--node", &node.address, "--json"]).await.expect(0, &[]).json();
        let all = ps["processes"].as_array().unwrap().clone();
        let counters = all.iter().filter(|process| process["name"] == "counter");
        counters.map(|process| process["pid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let bare = pid.trim_matches(['<', '>']);
    // Asked of either node.
    let moved = ["relocate", bare, "b", "--node", &b.address, "--json"];
    let moved = run(&moved).await.expect(0, &[]).json();
    assert_eq!((&moved["from"], &moved["pid"]), (&"a".into(), &pid.clone().into()));
    assert_eq!((counters(&a).await, counters(&b).await), (vec![], vec![pid.clone()]));
    let again = ["relocate", bare, "b", "--node", &a.address];
    run(&again).await.expect(4, &["lives there already"]);
    run(&["relocate", bare, "nowhere", "--node", &a.address]).await.expect(4, &["nowhere"]);
    let back = run(&["relocate", &pid, "a", "--node", &a.address]).await.expect(0, &[]);
    assert!(back.stdout.contains("has moved from b to a"), "{}", back.stdout);
    assert_eq!((counters(&a).await, counters(&b).await), (vec![pid], vec![]));
}
