//! A node's metrics, as Prometheus asks for them.

use rustix::process::Signal;

use crate::tools::{NodeProcess, ask_http, bundle, run, until};

/// Where a node's metrics are, as its log says.
async fn place(node: &NodeProcess) -> String {
    node.logs(&["metrics are at http://"]).await;
    let log = node.log();
    let at = log.split("metrics are at http://").nth(1).unwrap();
    at.split("/metrics").next().unwrap().to_owned()
}

#[tokio::test]
async fn prometheus_is_told_what_a_node_does() {
    let node = NodeProcess::start_with("a", &["--metrics", "127.0.0.1:0"]).await;
    let place = place(&node).await;
    let other = NodeProcess::start_with("b", &["--join", &node.address]).await;
    until("b is a peer", async || {
        let page = ask_http(&place, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
        page.contains("peer_bytes_total{peer=\"b\",way=\"sent\"}")
    })
    .await;
    run(&["status", "--node", &node.address]).await.expect(0, &[]);
    let page = ask_http(&place, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("# EOF\n"), "{page}");
    // Two processes: the control process and the one that watches over rollouts.
    for line in [
        "# TYPE midflight_processes gauge",
        "midflight_processes 2",
        "# TYPE midflight_spawned counter",
        "midflight_ended_total{how=\"badly\"} 0",
        "midflight_links_made_total 2",
        "midflight_dead_letters 0",
        "midflight_mailbox_messages 0",
        "midflight_unreceived_total 0",
        "# TYPE midflight_libraries_mapped gauge",
    ] {
        assert!(page.lines().any(|found| found == line), "`{line}` is not in {page}");
    }
    let ready = ask_http(&place, b"GET /ready HTTP/1.1\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.ends_with("ready\n"), "{ready}");
    assert!(ask_http(&place, b"GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
    assert!(ask_http(&place, b"POST /metrics HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405"));
    // A head without end gets no answer, and the next is answered.
    assert_eq!(ask_http(&place, &[b'x'; 64 * 1_024]).await, "");
    assert!(ask_http(&place, b"GET /metrics HTTP/1.1\r\n\r\n").await.contains("# EOF"));
    drop(other);
}

#[tokio::test]
async fn a_port_that_is_taken_stops_the_start() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let args = ["node", "--name", "a", "--listen", "127.0.0.1:0", "--metrics", &at];
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    run(&[&args[..], &data].concat()).await.expect(5, &["no metrics at"]);
}

#[tokio::test]
async fn a_node_is_ready_when_it_has_joined_and_until_it_is_asked_to_stop() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seed = free.to_string();
    let node = NodeProcess::start_with("a", &["--metrics", "127.0.0.1:0", "--join", &seed]).await;
    let place = place(&node).await;
    let ready = async || ask_http(&place, b"GET /ready HTTP/1.1\r\n\r\n").await;
    let not_yet = ready().await;
    assert!(
        not_yet.starts_with("HTTP/1.1 503") && not_yet.contains("no other member"),
        "{not_yet}"
    );
    let other = NodeProcess::start_at(&seed, "b", &[]).await;
    until("it has joined", async || ready().await.starts_with("HTTP/1.1 200")).await;
    // The last of several is in its cluster all the same.
    other.signal(Signal::KILL);
    let alone = async || !node.status(&[]).await["peers"].as_array().unwrap().contains(&"b".into());
    until("the other one is gone", alone).await;
    assert!(ready().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_node_that_is_ready_runs_what_the_cluster_runs() {
    let first = NodeProcess::start("a", &[]).await;
    let v1 = bundle("counter-v1").await;
    let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &first.address];
    run(&push).await.expect(0, &[]);
    let late = ["--metrics", "127.0.0.1:0", "--join", &first.address];
    let late = NodeProcess::start("b", &late).await;
    let place = place(&late).await;
    let ready = async || ask_http(&place, b"GET /ready HTTP/1.1\r\n\r\n").await;
    until("it is ready", async || ready().await.starts_with("HTTP/1.1 200")).await;
    let status = late.status(&[]).await;
    assert_eq!(status["versions"][0]["name"], "counter", "{status}");
    assert_eq!(status["catching_up"].as_array().map(Vec::len), Some(0), "{status}");
}
