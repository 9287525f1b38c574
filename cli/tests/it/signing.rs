//! `midflight sign`, and nodes that ask for more than one signature.

use std::path::Path;

use crate::tools::{NodeProcess, bundle, run, trusted_key};

/// Another signer: the file of the key, and that of its public half.
async fn signer(folder: &Path, name: &str, file: &str, more: &[&str]) -> String {
    let data = folder.join(name);
    let data = data.to_str().unwrap();
    run(&[&["sign", file, "--data", data], more].concat()).await.expect(0, &[]);
    format!("{data}/keys/development.pub")
}

#[tokio::test]
async fn a_node_takes_what_enough_of_its_keys_have_signed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counter.mfb");
    std::fs::copy(bundle("counter-v1").await, &file).unwrap();
    let file = file.to_str().unwrap();
    let before = run(&["inspect", file, "--json"]).await.expect(0, &[]).json();
    let other = folder.path().join("other.mfb");
    std::fs::copy(file, &other).unwrap();
    let second = signer(folder.path(), "second", other.to_str().unwrap(), &["--days", "2"]).await;

    let first = trusted_key();
    let node = ["--trust", &first, "--trust", &second, "--threshold", "2"];
    let node = NodeProcess::start_with("a", &node).await;
    let push = ["push", file, "--wait", "--node", &node.address];
    run(&push).await.expect(4, &["by 1 of the keys", "needs 2", "midflight sign"]);

    let pub_file = signer(folder.path(), "second", file, &["--days", "2"]).await;
    assert_eq!(pub_file, second);
    let signed = run(&["inspect", file, "--json"]).await.expect(0, &[]).json();
    assert_eq!(signed["address"], before["address"], "who signs it does not change it");
    let signatures = signed["signatures"].as_array().unwrap();
    assert_eq!((signatures.len(), &signatures[0]["expires"]), (2, &serde_json::Value::Null));
    assert!(signatures[1]["expires"].as_u64().unwrap() > 0 && signatures[1]["good"] == true);
    let people = run(&["inspect", file]).await.expect(0, &[]).stdout;
    assert!(people.contains("for ever") && people.contains("until 2"), "{people}");
    run(&push).await.expect(0, &["activated"]);
}

#[tokio::test]
async fn a_key_is_trusted_for_the_names_that_were_given() {
    let file = bundle("counter-v1").await;
    let trust = format!("{}=greeter,shop.*", trusted_key());
    let node = NodeProcess::start_with("a", &["--trust", &trust]).await;
    let push = ["push", file.to_str().unwrap(), "--wait", "--node", &node.address];
    run(&push).await.expect(4, &["is trusted for greeter, shop.* alone, not for `counter`"]);
    let trust = format!("{}=greeter,count*", trusted_key());
    let node = NodeProcess::start_with("b", &["--trust", &trust]).await;
    run(&["push", file.to_str().unwrap(), "--wait", "--node", &node.address]).await.expect(0, &[]);
}

#[tokio::test]
async fn what_no_node_could_take_is_said_at_once() {
    let key = trusted_key();
    bundle("counter-v1").await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let node = ["node", "--listen", "127.0.0.1:0", "--data", data, "--trust"];
    run(&[&node[..], &[&key, "--threshold", "2"]].concat())
        .await
        .expect(2, &["2 of 1 trusted keys"]);
    run(&[&node[..], &[&*format!("{key}=a*b")]].concat()).await.expect(2, &["a scope is"]);
    run(&["sign", "missing.mfb"]).await.expect(5, &["missing.mfb"]);
}
