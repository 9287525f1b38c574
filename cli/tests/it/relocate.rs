//! `midflight relocate`, between nodes in processes of their own.

use crate::tools::{NodeProcess, bundle, run, until, with_a_counter};

#[tokio::test]
async fn a_process_moves_to_a_node_that_fetches_its_code_and_back() {
    let (a, pid) = with_a_counter().await;
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

#[tokio::test]
async fn a_drained_node_has_no_behaviours_left_and_what_cannot_go_is_named() {
    let a = NodeProcess::start("a", &[]).await;
    run(&["drain", "a", "--node", &a.address]).await.expect(4, &["no other living member"]);
    let v1 = bundle("counter-v1").await;
    let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &a.address];
    run(&push).await.expect(0, &[]);
    run(&["start", "counter", "--count", "20", "--node", &a.address]).await.expect(0, &[]);
    let b = NodeProcess::start("b", &["--join", &a.address]).await;
    let c = NodeProcess::start("c", &["--join", &a.address]).await;
    for node in [&a, &b, &c] {
        let all = async || node.status(&[]).await["members"].as_array().unwrap().len() == 3;
        until("all know all", all).await;
    }
    let drained = run(&["drain", "a", "--node", &b.address, "--json"]).await.expect(0, &[]).json();
    assert_eq!((&drained["moved"], &drained["stay"]), (&20.into(), &0.into()), "{drained}");
    assert_eq!((&drained["to"]["b"], &drained["to"]["c"]), (&10.into(), &10.into()), "{drained}");
    let status = a.status(&[]).await;
    assert_eq!(status["versions"][0]["processes"], 0, "{status}");
    run(&["drain", "nowhere", "--node", &a.address]).await.expect(4, &["nowhere"]);
}
