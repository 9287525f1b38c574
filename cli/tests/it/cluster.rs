//! `midflight cluster`: nodes on this machine in one command.

use std::fs::File;
use std::process::{ExitStatus, Stdio};

use midflight_runtime::timeout;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout};

use crate::tools::{Ended, LONG, bundle, end, midflight, run, runtime, signal, trusted_key, until};

/// A cluster, killed at the end.
struct Cluster {
    child: Child,
    /// What it has printed.
    value: Value,
    log: TempDir,
    _stdout: BufReader<ChildStdout>,
}

impl Cluster {
    /// Starts three nodes, and waits until they are there.
    async fn start(data: &TempDir, more: &[&str]) -> Self {
        bundle("counter-v1").await;
        let log = tempfile::tempdir().unwrap();
        let mut command = midflight(["cluster", "--json", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(data.path()).args(["--trust", &trusted_key()]).args(more);
        command.stdout(Stdio::piped()).stderr(File::create(log.path().join("log")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        let whole = async {
            while !text.ends_with("\n}\n") {
                assert_ne!(stdout.read_line(&mut text).await.unwrap(), 0, "it has ended: {text}");
            }
        };
        timeout(&*runtime(), LONG, whole).await.expect("it is there in time");
        Self { child, value: serde_json::from_str(&text).unwrap(), log, _stdout: stdout }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path().join("log")).unwrap()
    }

    /// Runs a command as somebody would who has set the variables that it prints.
    async fn operate(&self, args: &[&str]) -> Ended {
        let mut command = midflight(args);
        for (name, value) in self.value["environment"].as_object().unwrap() {
            command.env(name, value.as_str().unwrap());
        }
        end(command).await
    }

    fn process(&self, number: usize) -> u32 {
        self.value["nodes"][number]["process"].as_u64().unwrap().try_into().unwrap()
    }

    async fn stop(mut self, by: Signal) -> ExitStatus {
        signal(&self.child, by);
        timeout(&*runtime(), LONG, self.child.wait()).await.expect("it ends in time").unwrap()
    }
}

fn runs(process: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(process.try_into().unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}

async fn is_whole(cluster: &Cluster) {
    let status = cluster.operate(&["status", "--json"]).await.expect(0, &[]).json();
    assert_eq!(status["node"], "node-1", "{status}");
    assert_eq!(status["members"].as_array().unwrap().len(), 3, "{status}");
}

#[tokio::test]
async fn it_runs_until_it_is_stopped_and_begins_again_where_it_was() {
    let data = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&data, &[]).await;
    is_whole(&cluster).await;
    let v1 = bundle("counter-v1").await;
    let pushed = cluster.operate(&["push", v1.to_str().unwrap(), "--wait", "--json"]).await;
    assert_eq!(pushed.expect(0, &[]).json()["nodes"].as_array().unwrap().len(), 3);
    let processes: Vec<_> = (0..3).map(|number| cluster.process(number)).collect();
    assert!(cluster.stop(Signal::TERM).await.success());
    assert!(processes.iter().all(|process| !runs(*process)), "a node was left behind");

    // The same secret, and the same folders.
    let cluster = Cluster::start(&data, &[]).await;
    is_whole(&cluster).await;
    assert!(cluster.stop(Signal::INT).await.success());
}

#[tokio::test]
async fn a_node_that_is_killed_is_told_of_and_the_others_go_on() {
    let data = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&data, &[]).await;
    let pid = rustix::process::Pid::from_raw(cluster.process(1).try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    until("its end is told", async || cluster.log().contains("node-2 has ended (signal: 9")).await;
    cluster.operate(&["ps", "--json"]).await.expect(0, &[]);
    assert!(cluster.stop(Signal::TERM).await.success());
}

#[tokio::test]
async fn it_speaks_tls_with_certificates_of_its_own() {
    let data = tempfile::tempdir().unwrap();
    let v1 = bundle("counter-v1").await;
    let start = ["--transport", "tls", "--push", v1.to_str().unwrap(), "--start", "counter=4"];
    let cluster = Cluster::start(&data, &start).await;
    is_whole(&cluster).await;
    let processes = cluster.operate(&["ps", "--json"]).await.expect(0, &[]).json();
    let all = processes["processes"].as_array().unwrap();
    let counters = all.iter().filter(|process| process["name"] == "counter").count();
    assert_eq!(counters, 2, "the first of three nodes has two of four: {processes}");
    assert!(cluster.stop(Signal::TERM).await.success());
}

#[tokio::test]
async fn it_runs_in_memory_within_the_program() {
    let data = tempfile::tempdir().unwrap();
    let v1 = bundle("counter-v1").await;
    let start = ["--transport", "inmem", "--push", v1.to_str().unwrap(), "--start", "counter=3"];
    let cluster = Cluster::start(&data, &start).await;
    assert_eq!(cluster.value["nodes"][2]["process"], Value::Null);
    assert!(cluster.log().contains("node-3: 1 × counter"), "{}", cluster.log());
    assert!(cluster.stop(Signal::INT).await.success());
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_reason() {
    run(&["cluster", "--listen", "0.0.0.0:7400"]).await.expect(2, &["loopback", "midflight node"]);
    run(&["cluster", "--start", "counter=0"]).await.expect(2, &["BEHAVIOUR=COUNT"]);
    let data = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&data, &[]).await;
    let folder = data.path().to_str().unwrap();
    run(&["cluster", "--data", folder]).await.expect(5, &[folder, "runs"]);
    // Its first address is taken.
    let taken = cluster.value["nodes"][0]["address"].as_str().unwrap();
    let other = tempfile::tempdir().unwrap();
    let other = other.path().to_str().unwrap();
    run(&["cluster", "--data", other, "--listen", taken]).await.expect(5, &["another program"]);
    assert!(cluster.stop(Signal::TERM).await.success());
}
