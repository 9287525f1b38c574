//! Build, inspect, push, status, ps: the round trip; and how a node ends.

use rustix::process::Signal;

use crate::tools::{LONG, NodeProcess, bundle, run, runtime, trusted_key, until};

#[tokio::test]
async fn from_a_crate_to_a_running_version() {
    let node = NodeProcess::start("a", &[]).await;
    let (v1, v2) = (bundle("counter-v1").await, bundle("counter-v2").await);
    let (v1, v2) = (v1.to_str().unwrap(), v2.to_str().unwrap());

    let inspected = run(&["inspect", v1, "--json"]).await.expect(0, &[]).json();
    assert_eq!((&inspected["name"], &inspected["version"]), (&"counter".into(), &1.into()));
    assert_eq!(inspected["signatures"][0]["good"], true);
    assert_eq!(inspected["behaviours"][0]["accepts"][0]["message"], "counter.Add");
    let for_people = run(&["inspect", v2]).await.expect(0, &[]).stdout;
    assert!(for_people.contains("counter.Reset") && for_people.contains("converts from and to"));

    let push = ["push", v1, "--wait", "--json", "--node", &node.address];
    let pushed = run(&push).await.expect(0, &["staged", "activated"]).json();
    assert_eq!(pushed["outcome"], "deployed");
    assert_eq!(pushed["nodes"], serde_json::json!(["a"]));
    assert!(pushed["bytes_sent"].as_u64().unwrap() > 0);
    let again = run(&push).await.expect(0, &[]).json();
    assert_eq!(again["bytes_sent"], 0, "what a node has is not sent again");

    let status = node.status(&[]).await;
    let version = &status["versions"][0];
    assert_eq!((&version["version"], &version["current"]), (&1.into(), &true.into()));
    assert_eq!(version["address"], inspected["address"]);

    let pushed = run(&["push", v2, "--json", "--node", &node.address]).await.expect(0, &[]).json();
    let outcome = pushed["outcome"].as_str().unwrap();
    assert!(["accepted", "deployed"].contains(&outcome), "{outcome}");
    until("version 2 is current", async || {
        let status = node.status(&[]).await;
        let versions = status["versions"].as_array().unwrap();
        versions.iter().any(|v| v["version"] == 2 && v["current"] == true)
    })
    .await;

    let ps = run(&["ps", "--json", "--node", &node.address]).await.expect(0, &[]).json();
    let processes = ps["processes"].as_array().unwrap();
    let control = "midflight.control";
    assert!(processes.iter().any(|p| p["names"] == serde_json::json!([control])), "{ps:#}");
    for command in ["ps", "status"] {
        let shown = run(&[command, "--node", &node.address]).await.expect(0, &[]).stdout;
        assert!(shown.contains(if command == "ps" { control } else { "current" }), "{shown}");
    }
}

#[tokio::test]
async fn check_says_of_every_part_what_becomes_of_it() {
    let bundles = [bundle("counter-v1").await, bundle("counter-v2").await];
    let [v1, v2] = bundles.each_ref().map(|path| path.to_str().unwrap());
    let v3 = bundle("counter-v3-incompatible").await;
    let v3 = v3.to_str().unwrap();

    let checked = run(&["check", v1, v2, "--json"]).await.expect(0, &[]).json();
    let update = &checked["update"];
    assert_eq!(
        (&update["compatible"], &checked["way_back"]["compatible"]),
        (&true.into(), &true.into())
    );
    let outcome = |parts: &serde_json::Value, kind: &str, name: &str| {
        let parts = parts["parts"].as_array().unwrap();
        let part = parts.iter().find(|part| part["kind"] == kind && part["name"] == name);
        part.unwrap_or_else(|| panic!("no {kind} {name} in {parts:#?}"))["outcome"].clone()
    };
    assert_eq!(outcome(update, "message", "counter.Add"), "same");
    assert_eq!(outcome(update, "message", "counter.Reset"), "added");
    assert_eq!(outcome(&checked["way_back"], "message", "counter.Reset"), "removed");
    let state = update["parts"].as_array().unwrap().iter().find(|part| part["kind"] == "state");
    assert_eq!(state.unwrap()["outcome"], "conversion");
    let for_people = run(&["check", v1, v2]).await.expect(0, &[]).stdout;
    assert!(for_people.contains("counter.Reset") && for_people.contains("There is a way back"));

    let refused = run(&["check", v2, v3, "--json"]).await;
    let refused = refused.expect(1, &["cannot take the place of", "counter v2"]).json();
    assert_eq!(refused["update"]["compatible"], false);
    assert_eq!(outcome(&refused["update"], "message", "counter.Add"), "incompatible");
    run(&["check", v2, v3]).await.expect(1, &["incompatible part"]);
    run(&["check", v1, "missing.mfb"]).await.expect(5, &["missing.mfb"]);
}

#[tokio::test]
async fn an_incompatible_version_is_refused_with_its_field() {
    let node = NodeProcess::start("a", &[]).await;
    let (v1, v3) = (bundle("counter-v1").await, bundle("counter-v3-incompatible").await);
    let node_address = ["--node", &node.address];
    let push =
        |file: &'static str| [&["push", file, "--wait", "--json"][..], &node_address].concat();
    let leak = |path: std::path::PathBuf| &*String::leak(path.to_str().unwrap().to_owned());
    let (v1, v3) = (leak(v1), leak(v3));
    run(&push(v1)).await.expect(0, &[]);
    let before = node.status(&[]).await["versions"].clone();
    let refused =
        run(&push(v3)).await.expect(4, &["counter.Add.amount", "everything runs as before"]);
    let value = refused.json();
    assert_eq!(value["outcome"], "refused");
    assert_eq!(value["objections"][0]["field"], "counter.Add.amount");
    let current = |versions: &serde_json::Value| -> Vec<_> {
        let versions = versions.as_array().unwrap();
        versions.iter().filter(|v| v["current"] == true).cloned().collect()
    };
    assert_eq!(current(&node.status(&[]).await["versions"]), current(&before));
}

#[tokio::test]
async fn a_bundle_of_a_stranger_is_refused() {
    let stranger = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let node = NodeProcess::start_with("a", &["--trust", stranger]).await;
    let bundle = bundle("counter-v1").await;
    let push = ["push", bundle.to_str().unwrap(), "--wait", "--node", &node.address];
    run(&push).await.expect(4, &["does not trust"]);
    assert_eq!(node.status(&[]).await["versions"], serde_json::json!([]));
}

#[tokio::test]
async fn a_node_stops_when_asked_to() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut node = NodeProcess::start("a", &[]).await;
        node.signal(signal);
        let ended = midflight_runtime::timeout(&*runtime(), LONG, node.child.wait()).await;
        assert!(ended.unwrap().unwrap().success());
        assert_eq!(node.rest().await, "", "nothing but `ready` is for scripts");
    }
}

#[tokio::test]
async fn nodes_find_each_other() {
    let a = NodeProcess::start("a", &[]).await;
    let b = NodeProcess::start("b", &["--join", &a.address]).await;
    let c = NodeProcess::start("c", &["--join", &b.address]).await;
    until("all know each other", async || {
        let mut all = true;
        for node in [&a, &b, &c] {
            let members = node.status(&[]).await["members"].clone();
            let names = members.as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap());
            let names: Vec<_> = names.collect();
            all &= ["a", "b", "c"].iter().all(|name| names.contains(name));
        }
        all
    })
    .await;
    let bundle = bundle("counter-v1").await;
    let push = ["push", bundle.to_str().unwrap(), "--wait", "--json", "--node", &c.address];
    let mut nodes = run(&push).await.expect(0, &[]).json()["nodes"].as_array().unwrap().clone();
    nodes.sort_by_key(|node| node.as_str().unwrap().to_owned());
    assert_eq!(nodes, ["a", "b", "c"]);
}

#[tokio::test]
async fn processes_are_started_by_hand_and_go_with_their_version() {
    let a = NodeProcess::start("a", &[]).await;
    let at = ["--node", a.address.as_str()];
    let nothing = run(&[&["start", "counter"][..], &at].concat()).await;
    nothing.expect(4, &["counter", "push its bundle"]);
    for (example, version) in [("counter-v1", 1), ("counter-v2", 2)] {
        let bundle = bundle(example).await;
        let push = ["push", bundle.to_str().unwrap(), "--wait"];
        run(&[&push[..], &at].concat()).await.expect(0, &[]);
        let start = ["start", "counter", "--count", "3", "--json"];
        let started = run(&[&start[..], &at].concat()).await.expect(0, &[]).json();
        assert_eq!(started["started"].as_array().unwrap().len(), 3);
        let processes = run(&[&["ps", "--json"][..], &at].concat()).await.expect(0, &[]).json();
        let processes = processes["processes"].as_array().unwrap().clone();
        let counters = processes.iter().filter(|process| process["name"] == "counter");
        let versions: Vec<_> = counters.map(|process| process["version"].clone()).collect();
        assert_eq!(versions, vec![version; 3 * version], "all run in the version pushed last");
    }
}

#[tokio::test]
async fn who_may_not_bring_code_is_told_what_it_takes() {
    let v1 = bundle("counter-v1").await;
    let v1 = v1.to_str().unwrap();
    let trust = ["--trust", &trusted_key()];
    let plain = NodeProcess::start_guarded("127.0.0.1:0", "a", &trust).await;
    let refused = run(&["push", v1, "--wait", "--node", &plain.address]).await;
    refused.expect(4, &["publish", "--trust-loopback"]);
    let seen = plain.status(&[]).await;
    assert_eq!(seen["versions"], serde_json::json!([]), "to look is allowed");

    let roles = ["--trust-loopback", "--role", "*=inspect,send,publish"];
    let guarded =
        NodeProcess::start_guarded("127.0.0.1:0", "b", &[&trust[..], &roles].concat()).await;
    let refused = run(&["push", v1, "--wait", "--node", &guarded.address]).await;
    refused.expect(4, &["deploy", "--role"]);
    assert_eq!(guarded.status(&[]).await["versions"], serde_json::json!([]));
}

#[tokio::test]
async fn nodes_that_run_different_versions_are_told_of() {
    let a = NodeProcess::start("a", &[]).await;
    let v1 = bundle("counter-v1").await;
    let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &a.address];
    run(&push).await.expect(0, &[]);
    // It cannot follow: it trusts nobody.
    let b = NodeProcess::start_with("b", &["--join", &a.address]).await;
    let differs =
        serde_json::json!([{ "bundle": "counter", "node": "b", "here": 1, "there": null }]);
    until("a knows", async || a.status(&[]).await["differences"] == differs).await;
    let shown = run(&["status", "--node", &b.address]).await.expect(0, &[]).stdout;
    assert!(shown.contains("warning: counter is none here, and v1 on a"), "{shown}");
    assert!(
        shown.contains("catching up: counter is to be v1, which comes from a; not yet: "),
        "{shown}"
    );
    a.logs(&["another node runs another version", "counter"]).await;
    let _b = b.again("b", &["--join", &a.address]).await;
    let same = async || a.status(&[]).await["differences"] == serde_json::json!([]);
    until("both run the same", same).await;
}

#[tokio::test]
async fn a_rollback_goes_back_and_the_history_says_so() {
    let node = NodeProcess::start("a", &[]).await;
    let at = ["--node", &*node.address];
    let command = |words: &[&str]| {
        let words: Vec<String> = words.iter().chain(&at).map(|word| (*word).to_owned()).collect();
        async move { run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let nothing = command(&["history"]).await.expect(0, &[]).stdout;
    assert!(nothing.contains("nothing has been current"), "{nothing}");
    command(&["rollback", "counter"]).await.expect(4, &["no bundle called `counter`", "history"]);
    for name in ["counter-v1", "counter-v2"] {
        let file = bundle(name).await;
        command(&["push", file.to_str().unwrap(), "--wait"]).await.expect(0, &[]);
    }
    let other = command(&["history", "other"]).await.expect(0, &[]).stdout;
    assert!(other.contains("nothing of `other`"), "{other}");
    command(&["start", "counter", "--count", "3"]).await.expect(0, &[]);
    let back = command(&["rollback", "counter", "--wait", "--json"]).await;
    let back = back.expect(0, &["activated"]).json();
    assert_eq!((&back["outcome"], &back["switched"]), (&"deployed".into(), &3.into()));
    let past = command(&["history", "counter", "--json"]).await.expect(0, &[]).json();
    let past = past["changes"].as_array().unwrap();
    let versions: Vec<_> = past.iter().map(|change| change["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [1, 2, 1]);
    let shown = command(&["history"]).await.expect(0, &[]).stdout;
    assert!(
        shown.contains("VERSION") && shown.contains("v2") && shown.contains("activated"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_chosen_at_the_push_and_status_says_what_became_of_each_version() {
    let a = NodeProcess::start("a", &[]).await;
    let at = ["--node", a.address.as_str()];
    let push = async |example: &str, policy: &str| {
        let bundle = bundle(example).await;
        let push = ["push", bundle.to_str().unwrap(), "--wait", "--policy", policy];
        run(&[&push[..], &at].concat()).await
    };
    let policies = ["migrate", "quiescent", "tranquil", "keep", "drain", "erlang"];
    push("counter-v1", "sometimes").await.expect(2, &policies);
    push("counter-v1", "migrate").await.expect(0, &[]);
    run(&[&["start", "counter", "--count", "3"][..], &at].concat()).await.expect(0, &[]);
    push("counter-v2", "keep").await.expect(0, &[]);
    let states = async || {
        let status = a.status(&[]).await;
        let versions = status["versions"].as_array().unwrap().clone();
        let state = |version: &serde_json::Value| {
            (version["state"].as_str().unwrap().to_owned(), version["processes"].as_u64().unwrap())
        };
        versions.iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [("kept".to_owned(), 3), ("current".to_owned(), 0)]);
    push("counter-v2", "quiescent").await.expect(0, &["3 processes run in it"]);
    // None of a group is on probation by itself.
    assert_eq!(states().await, [("retired".to_owned(), 0), ("current".to_owned(), 3)]);
    let back = ["rollback", "counter", "--wait"];
    run(&[&back[..], &at].concat()).await.expect(0, &["3 processes run in it"]);
    push("counter-v2", "migrate").await.expect(0, &[]);
    let text = run(&[&["status"][..], &at].concat()).await.expect(0, &[]).stdout;
    assert!(text.contains("counter v1 is retired when these are over: <"), "{text}");
    assert!(text.contains("(probation)"), "{text}");
}
