//! `--join` with a host name: whatever it stands for is dialled, and the node itself may be among it.

use crate::tools::{NodeProcess, bundle, run, until};

async fn sees(node: &NodeProcess, name: &str) {
    until(&format!("{name} is a member"), async || {
        let status = node.status(&[]).await;
        let members = status["members"].as_array().unwrap();
        members.iter().any(|member| member["name"] == name)
    })
    .await;
}

#[tokio::test]
async fn a_host_name_is_looked_up_and_members_behind_it_are_found_later_too() {
    // It names itself alone: nobody else is there yet.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let name = format!("localhost:{}", free.port());
    let alone = NodeProcess::start_at(&free.to_string(), "a", &["--join", &name]).await;
    sees(&alone, "a").await;

    let joined = NodeProcess::start_at("127.0.0.1:0", "b", &["--join", &name]).await;
    sees(&joined, "a").await;
    sees(&alone, "b").await;
    assert!(!alone.log().contains("ERROR"), "{}", alone.log());
}

/// Killed, not stopped: what it runs again is what it had on disk.
#[tokio::test]
async fn a_node_that_was_killed_and_one_that_comes_late_run_what_was_committed() {
    let a = NodeProcess::start("a", &[]).await;
    let v1 = bundle("counter-v1").await;
    let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &a.address];
    run(&push).await.expect(0, &[]);
    let a = a.again("a", &[]).await;
    let runs = async |node: &NodeProcess| {
        let status = node.status(&[]).await;
        assert_eq!(status["committed"][0]["version"], 1, "{status:#}");
        assert_eq!(status["versions"][0]["current"], true, "{status:#}");
        assert_eq!(
            (&status["not_kept"], &status["catching_up"]),
            (&().into(), &[(); 0][..].into())
        );
        let start = ["start", "counter", "--node", &node.address];
        run(&start).await.expect(0, &[]);
    };
    runs(&a).await;
    // As soon as it says that it is ready.
    let mut late = NodeProcess::start("late", &["--join", &a.address]).await;
    runs(&late).await;

    late.child.kill().await.unwrap();
    let data = late.data();
    std::fs::write(data.join("committed"), "of another").unwrap();
    let node = ["node", "--name", "late", "--listen", "127.0.0.1:0", "--data"];
    let again = [&node[..], &[data.to_str().unwrap()]].concat();
    run(&again).await.expect(5, &["remove it to begin with nothing"]);
}
