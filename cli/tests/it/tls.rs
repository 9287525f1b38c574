//! Nodes and operators over TLS: who may, who may not, and other certificates while a node runs.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{
    Ended, NodeProcess, bundle, end, midflight, run, secret_file, trusted_key, until,
};

/// A host at which every node of this machine is reached, and which no certificate has by itself.
const OTHER_HOST: &str = "0.0.0.0";

/// Certificates of one authority.
struct Certs(TempDir);

impl Certs {
    async fn of(nodes: &[&str]) -> Self {
        let certs = Self(tempfile::tempdir().unwrap());
        certs.make(&[&["--node"], nodes].concat()).await;
        certs
    }

    async fn make(&self, args: &[&str]) {
        run(&[&["certs", "--out", self.path()], args].concat()).await.expect(0, &[]);
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Flags for nodes and commands.
    fn flags(&self) -> [&str; 4] {
        ["--transport", "tls", "--certs", self.path()]
    }

    async fn node(&self, name: &str, more: &[&str]) -> NodeProcess {
        NodeProcess::start_with(name, &[&self.flags(), more].concat()).await
    }

    async fn status(&self, address: &str) -> Ended {
        run(&[&["status", "--json", "--node", address][..], &self.flags()].concat()).await
    }
}

/// What a node that is started comes to when it does not become ready.
async fn refused_node(name: &str, args: &[&str]) -> Ended {
    let data = tempfile::tempdir().unwrap();
    let mut command = midflight(["node", "--name", name, "--data"]);
    command.arg(data.path()).args(args);
    end(command).await
}

fn peers(status: &Value) -> Vec<&str> {
    let names = status["peers"].as_array().unwrap().iter().map(|peer| peer.as_str().unwrap());
    names.filter(|name| *name != "operator").collect()
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

fn copy(from: &Path, to: &Path) {
    replace(to, &fs::read(from).unwrap());
}

/// Writes it beside and renames it: nobody reads half of it.
fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn a_cluster_takes_a_bundle() {
    let bundle = bundle("counter-v1").await;
    let bundle = bundle.to_str().unwrap();
    let key = trusted_key();
    let certs = Certs::of(&["a", "b"]).await;
    let a = certs.node("a", &["--trust", &key]).await;
    let b = certs.node("b", &["--join", &a.address, "--trust", &key]).await;
    let push = ["push", bundle, "--wait", "--json", "--node", &b.address];
    let pushed = run(&[&push[..], &certs.flags()].concat()).await.expect(0, &[]).json();
    let mut nodes = pushed["nodes"].as_array().unwrap().clone();
    nodes.sort_by_key(ToString::to_string);
    assert_eq!(nodes, ["a", "b"]);

    for command in [&["start", "counter", "--count", "2"][..], &["ps"], &["status"]] {
        let mut command = midflight(command);
        command.env("MIDFLIGHT_TRANSPORT", "tls").env("MIDFLIGHT_CERTS", certs.path());
        command.env("MIDFLIGHT_NODE", format!("localhost:{}", port(&a.address)));
        end(command).await.expect(0, &[]);
    }
    let status = certs.status(&a.address).await.expect(0, &[]).json();
    assert_eq!(status["address"], format!("tls:{}", a.address));
    assert_eq!(peers(&status), ["b"]);
}

#[tokio::test]
async fn who_has_another_authority_is_refused() {
    let (ours, other) = (Certs::of(&["a", "b"]).await, Certs::of(&["b"]).await);
    let a = ours.node("a", &[]).await;
    // Neither believes the other.
    let words = [a.address.as_str(), "UnknownIssuer", "--certs DIR"];
    other.status(&a.address).await.expect(4, &words);
    let join = [&other.flags()[..], &["--listen", "127.0.0.1:0", "--join", &a.address]].concat();
    refused_node("b", &join).await.expect(4, &words);

    // The client believes the node, which does not believe the client.
    copy(&ours.file("ca.pem"), &other.file("ca.pem"));
    other.status(&a.address).await.expect(4, &["UnknownCA", "--certs DIR"]);
    let push = ["push", bundle("counter-v1").await.to_str().unwrap(), "--node", &a.address]
        .map(str::to_owned);
    let flags = other.flags().map(str::to_owned);
    let push: Vec<_> = push.iter().chain(&flags).map(String::as_str).collect();
    run(&push).await.expect(4, &["UnknownCA"]);

    a.logs(&["UnknownIssuer"]).await;
    let status = ours.status(&a.address).await.expect(0, &[]).json();
    assert_eq!(peers(&status), Vec::<&str>::new());
}

#[tokio::test]
async fn who_is_dialled_by_another_name_is_not_believed() {
    let certs = Certs::of(&["a"]).await;
    let a = certs.node("a", &[]).await;
    let elsewhere = format!("{OTHER_HOST}:{}", port(&a.address));
    let words = ["not valid for name", OTHER_HOST, "--renew --node NAME --host HOST"];
    certs.status(&elsewhere).await.expect(4, &words);
}

#[tokio::test]
async fn tcp_and_tls_do_not_talk() {
    let certs = Certs::of(&["a"]).await;
    let over_tls = certs.node("a", &[]).await;
    run(&["status", "--node", &over_tls.address]).await.expect(3, &["--transport tls"]);
    over_tls.logs(&["no link", "InvalidContentType"]).await;
    certs.status(&over_tls.address).await.expect(0, &[]);

    let over_tcp = NodeProcess::start_with("b", &[]).await;
    certs.status(&over_tcp.address).await.expect(3, &["--transport tcp"]);
    let named = ["status", "--node", &over_tcp.address, "--certs", certs.path()];
    run(&named).await.expect(0, &["not used", "--transport tls"]);
}

#[tokio::test]
async fn a_node_shows_its_own_certificate() {
    let certs = Certs::of(&["a", "b"]).await;
    let node =
        async |name, more: &[&str]| refused_node(name, &[&certs.flags(), more].concat()).await;
    node("c", &[]).await.expect(5, &["c.pem", "midflight certs --node", "--certs DIR"]);
    copy(&certs.file("b.pem"), &certs.file("c.pem"));
    copy(&certs.file("b.key"), &certs.file("c.key"));
    node("c", &[]).await.expect(5, &["c.pem", "the certificate of b", "--renew"]);
    copy(&certs.file("a.key"), &certs.file("b.key"));
    node("b", &[]).await.expect(5, &["b.pem", "its key"]);
    fs::write(certs.file("ca.pem"), "no PEM").unwrap();
    node("a", &[]).await.expect(5, &["authority"]);
    certs.status("127.0.0.1:1").await.expect(5, &["authority"]);
}

#[tokio::test]
async fn certificates_are_enough_beyond_loopback() {
    let certs = Certs::of(&["a"]).await;
    let beyond = format!("{OTHER_HOST}:0");
    let refused = refused_node("a", &[&certs.flags()[..], &["--listen", &beyond]].concat()).await;
    refused.expect(4, &[OTHER_HOST, "localhost", "--advertise", "--renew --node a --host"]);
    certs.make(&["--node", "a", "--host", OTHER_HOST, "--renew"]).await;
    let a = NodeProcess::start_guarded(&beyond, "a", &certs.flags()).await;
    certs.status(&a.address).await.expect(0, &[]);
}

#[tokio::test]
async fn with_a_secret_both_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret_file(&folder, "secret", "a secret that is long enough");
    let certs = Certs::of(&["a"]).await;
    let a = certs.node("a", &["--secret-file", &secret]).await;
    certs.status(&a.address).await.expect(4, &["secret"]);
    a.status(&[&certs.flags()[..], &["--secret-file", &secret]].concat()).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_while_the_node_runs() {
    let certs = Certs::of(&["a", "b"]).await;
    let a = certs.node("a", &[]).await;
    let b = certs.node("b", &["--join", &a.address]).await;
    let elsewhere = format!("{OTHER_HOST}:{}", port(&a.address));
    certs.status(&elsewhere).await.expect(4, &["not valid for name"]);

    // Only the new certificate is for that host.
    certs.make(&["--node", "a", "--host", OTHER_HOST, "--renew"]).await;
    until("new links see the new certificate", async || {
        certs.status(&elsewhere).await.code == Some(0)
    })
    .await;
    let log = a.log();
    assert_eq!(log.matches("links begin with the certificate").count(), 2, "{log}");
    assert_eq!(log.matches("node up peer=b").count(), 1, "{log}");
    assert!(!log.contains("node down peer=b"), "the old link lives: {log}");
    let status = certs.status(&b.address).await.expect(0, &[]).json();
    assert_eq!(peers(&status), ["a"]);
}

#[tokio::test]
async fn files_that_are_no_good_change_nothing() {
    let certs = Certs::of(&["a", "b"]).await;
    let a = certs.node("a", &[]).await;
    let (pem, key) = (certs.file("a.pem"), certs.file("a.key"));
    let good = fs::read(&pem).unwrap();
    // As it is between the two halves of a renewal, for ever.
    copy(&certs.file("b.key"), &key);
    a.logs(&["not taken", "its key"]).await;
    // Looked at again, it is no news.
    a.signal(Signal::HUP);
    a.logs(&["is as it was"]).await;
    replace(&pem, b"no PEM");
    a.signal(Signal::HUP);
    a.logs(&["no certificate in PEM"]).await;
    fs::remove_file(&pem).unwrap();
    a.signal(Signal::HUP);
    a.logs(&["a.pem cannot be read"]).await;
    a.signal(Signal::HUP);
    until("it is no news", async || a.log().matches("is as it was").count() == 2).await;
    certs.status(&a.address).await.expect(0, &[]);
    assert_eq!(a.log().matches("not taken").count(), 3, "each is told once: {}", a.log());

    replace(&pem, &good);
    certs.make(&["--node", "a", "--renew"]).await;
    a.signal(Signal::HUP);
    until("it goes on", async || a.log().matches("links begin with").count() == 2).await;
    certs.status(&a.address).await.expect(0, &[]);
}

#[tokio::test]
async fn a_node_looks_at_once_when_told_to() {
    let certs = Certs::of(&["a"]).await;
    let a = certs.node("a", &[]).await;
    a.signal(Signal::HUP);
    a.logs(&["the certificate of a is as it was"]).await;
    certs.make(&["--node", "a", "--renew"]).await;
    a.signal(Signal::HUP);
    until("it is taken", async || a.log().matches("links begin with").count() == 2).await;
}
