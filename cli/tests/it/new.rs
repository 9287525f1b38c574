//! `midflight new`: from nothing but the program to a running behaviour.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::tools::{NodeProcess, build_data, end, midflight, run, trusted_key};

/// The same folder in every run, so that only what changed is compiled.
fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_new_crate_is_tested_built_pushed_and_started() {
    let folder = fresh_folder("new-crate");
    let mut new = midflight(["new", "shop-till", "--json"]);
    new.current_dir(&folder).arg("--data").arg(build_data());
    let made = end(new).await.expect(0, &[]).json();
    assert_eq!(made["name"], "shop-till");
    // The SDK is the program's own, not this repository's.
    let sdk = PathBuf::from(made["sdk"].as_str().unwrap());
    assert!(sdk.starts_with(build_data().canonicalize().unwrap()), "{sdk:?}");

    // The versions that it begins with are those that are here.
    let mut test = tokio::process::Command::new(std::env::var_os("CARGO").unwrap());
    test.args(["test", "--offline"]).current_dir(folder.join("shop-till"));
    test.env("CARGO_TARGET_DIR", folder.parent().unwrap().join("new-crate-tests"));
    test.stdin(Stdio::null()).kill_on_drop(true);
    let tested = end(test).await.expect(0, &[]);
    assert!(tested.stdout.contains("1 passed"), "{tested:?}");

    let bundle = folder.join("till.mfb");
    let bundle = bundle.to_str().unwrap();
    let mut build = midflight(["build", "shop-till", "-o", bundle, "--json"]);
    build.current_dir(&folder).env("CARGO_NET_OFFLINE", "true").arg("--data").arg(build_data());
    assert_eq!(end(build).await.expect(0, &[]).json()["name"], "shop-till");

    let (file, sdk) = (std::fs::read(bundle).unwrap(), sdk.to_str().unwrap().as_bytes());
    assert!(!file.windows(sdk.len()).any(|bytes| bytes == sdk), "this machine's folder is in it");

    let node = NodeProcess::start_with("a", &["--trust", &trusted_key()]).await;
    run(&["push", bundle, "--wait", "--node", &node.address]).await.expect(0, &[]);
    run(&["start", "shop-till", "--node", &node.address]).await.expect(0, &[]);
    let status = node.status(&[]).await;
    assert_eq!(status["versions"][0]["processes"], 1, "{status:#}");
}

#[tokio::test]
async fn what_is_there_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("greeter");
    std::fs::create_dir(&there).unwrap();
    let make = |name: &str| {
        let mut new = midflight(["new", name, "--data", "data"]);
        new.current_dir(folder.path());
        end(new)
    };
    make("greeter").await.expect(5, &["greeter cannot be made", "exists"]);
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 0);
    make("Greeter!").await.expect(2, &["`Greeter!` cannot be a crate's name", "lower-case"]);
    make("match").await.expect(2, &["a word of the language"]);
    make("no/such/greeter").await.expect(5, &["no/such/greeter cannot be made"]);
    assert!(!folder.path().join("Greeter!").exists());
}
