//! `--join` with a host name: whatever it stands for is dialled, and the node itself may be among it.

use crate::tools::{NodeProcess, until};

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
