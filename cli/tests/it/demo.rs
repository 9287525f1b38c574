//! The demo, small: it proves what it says, and a saboteur does not go unseen.

use std::process::Stdio;

use midflight_runtime::timeout;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::tools::{Ended, LONG, build_data, bundle, end, midflight, runtime, until};

fn demo(seconds: &str, more: &[&str]) -> Command {
    let mut command = midflight(["demo", "--processes", "30", "--seconds", seconds]);
    command.args(more).arg("--data").arg(build_data());
    command
}

async fn run_demo(more: &[&str]) -> Ended {
    bundle("counter-v1").await;
    end(demo("2", &[&["--json"], more].concat())).await
}

/// Runs it over a transport; nothing may be found wrong.
async fn all_is_well_over(transport: &str, seen: &[&str]) {
    let ended = run_demo(&["--transport", transport]).await.expect(0, seen);
    let value = ended.json();
    for flag in ["refused_reset_before", "reset_after", "incompatible_refused", "rolled_back", "ok"]
    {
        assert_eq!(value[flag], true, "{flag}: {value:#}");
    }
    for none in ["lost", "duplicated", "reordered", "garbled"] {
        assert_eq!(value[none], 0, "{none}: {value:#}");
    }
    let number = |name: &str| value[name].as_u64().unwrap();
    assert_eq!((number("nodes"), number("processes"), number("states_kept")), (3, 30, 30));
    assert_eq!(number("calls"), number("answered") + number("refused") + number("lost"));
    assert!(number("answered") > 1_000);
    assert!(value["longest_gap_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(value["transport"], transport);
    assert_eq!(value["refused_field"], "counter.Add.amount");
    let phases = value["phases"].as_array().unwrap();
    assert!(phases.iter().all(|phase| phase["name"].is_string() && phase["ms"].is_u64()));
    assert!(phases.len() > 8);
}

#[tokio::test]
async fn all_is_well() {
    let seen = ["counter.Reset", "counter.Add.amount", "node-3 at 127.0.0.1:", ", process "];
    all_is_well_over("tcp", &seen).await;
}

#[tokio::test]
async fn all_is_well_over_tls() {
    all_is_well_over("tls", &["certificates of its own", ", process "]).await;
}

#[tokio::test]
async fn all_is_well_in_one_process() {
    all_is_well_over("inmem", &["counter.Reset", "node-3 in this process"]).await;
}

/// Runs it with a saboteur; the fault must be seen.
async fn sabotaged(deed: &str) -> Value {
    let value = run_demo(&["--sabotage", deed]).await.expect(1, &[]).json();
    assert_eq!(value["ok"], false);
    let number = |name: &str| value[name].as_u64().unwrap();
    assert_eq!(number("calls"), number("answered") + number("refused") + number("lost"));
    value
}

#[tokio::test]
async fn a_lost_call_is_seen() {
    let value = sabotaged("lose").await;
    assert_eq!((&value["lost"], &value["states_kept"]), (&1.into(), &29.into()), "{value:#}");
}

#[tokio::test]
async fn a_duplicated_call_is_seen() {
    let value = sabotaged("duplicate").await;
    assert_eq!((&value["duplicated"], &value["lost"]), (&1.into(), &0.into()), "{value:#}");
}

#[tokio::test]
async fn swapped_calls_are_seen() {
    let value = sabotaged("reorder").await;
    assert_eq!((&value["reordered"], &value["states_kept"]), (&1.into(), &30.into()), "{value:#}");
}

#[tokio::test]
async fn an_altered_amount_is_seen() {
    let value = sabotaged("garble").await;
    assert_eq!((&value["garbled"], &value["lost"]), (&1.into(), &0.into()), "{value:#}");
}

#[tokio::test]
async fn a_forgotten_state_is_seen() {
    let value = sabotaged("forget-state").await;
    assert_eq!(value["states_kept"], 29, "{value:#}");
}

/// A demo whose nodes run, with their numbers in the operating system.
async fn with_nodes(seconds: &str, folder: &tempfile::TempDir) -> (Child, Vec<Pid>) {
    bundle("counter-v1").await;
    let mut command = demo(seconds, &[]);
    command.env("TMPDIR", folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut nodes = Vec::new();
    while nodes.len() < 3 {
        let line = timeout(&*runtime(), LONG, lines.next_line()).await.unwrap().unwrap().unwrap();
        if let Some((_, id)) = line.split_once(", process ") {
            nodes.push(Pid::from_raw(id.parse().unwrap()).unwrap());
        }
    }
    // Whoever reads no longer would stop it.
    let rest = async move { while let Ok(Some(_)) = lines.next_line().await {} };
    midflight_runtime::spawn(&runtime(), "the rest", rest);
    (child, nodes)
}

#[tokio::test]
async fn nothing_is_left_behind() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, nodes) = with_nodes("600", &folder).await;
        assert!(nodes.iter().all(|node| test_kill_process(*node).is_ok()));
        let own = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        kill_process(own, signal).unwrap();
        let status = timeout(&*runtime(), LONG, child.wait()).await.unwrap().unwrap();
        until("the nodes are gone", async || {
            nodes.iter().all(|node| test_kill_process(*node).is_err())
        })
        .await;
        if signal != Signal::KILL {
            assert_eq!(status.code(), Some(1));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "folders removed");
        }
    }
}

#[tokio::test]
async fn a_node_that_dies_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, nodes) = with_nodes("5", &folder).await;
    kill_process(nodes[1], Signal::KILL).unwrap();
    // Wherever in the story it died: something is wrong, or a node cannot be reached any more.
    let status = timeout(&*runtime(), LONG, child.wait()).await.unwrap().unwrap();
    assert!(matches!(status.code(), Some(1 | 3 | 5)), "{status}");
    until("the others are gone", async || {
        nodes.iter().all(|node| test_kill_process(*node).is_err())
    })
    .await;
}
