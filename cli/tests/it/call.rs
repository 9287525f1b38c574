//! `midflight call`, to nodes in processes of their own.

use crate::tools::{NodeProcess, run, until, with_a_counter};

const ADD: &str = r#"{ "seq": 7, "amount": 5 }"#;

#[tokio::test]
async fn a_message_is_written_as_json_and_so_is_its_reply() {
    let (a, pid) = with_a_counter().await;
    let add = ["call", &pid, "counter.Add", ADD, "--node", &a.address, "--json"];
    let reply = run(&add).await.expect(0, &[]).json();
    assert_eq!((&reply["type"], &reply["version"]), (&"counter.Total".into(), &1.into()));
    assert_eq!((&reply["reply"]["seq"], &reply["reply"]["total"]), (&7.into(), &5.into()));
    // Without the brackets, which a shell wants quoted; and for people.
    let bare = pid.trim_matches(['<', '>']);
    let add = ["call", bare, "counter.Add", ADD, "--node", &a.address];
    let reply = run(&add).await.expect(0, &[]);
    assert!(reply.stdout.contains("\"total\": 10"), "{}", reply.stdout);
    // By name, with nothing to say: functions of the program take what it has read before.
    a.status(&[]).await;
    let status = "midflight.control.StatusRequest";
    let status = ["call", "midflight.control", status, "--node", &a.address, "--json"];
    let reply = run(&status).await.expect(0, &[]).json();
    assert_eq!(reply["reply"]["node"], "a", "{reply}");
}

#[tokio::test]
async fn a_process_is_found_wherever_it_lives() {
    let (a, pid) = with_a_counter().await;
    let b = NodeProcess::start("b", &["--join", &a.address]).await;
    let all = async || a.status(&[]).await["members"].as_array().unwrap().len() == 2;
    until("a knows b", all).await;
    let total = async |node: &NodeProcess| {
        let add = ["call", &pid, "counter.Add", ADD, "--node", &node.address, "--json"];
        run(&add).await.expect(0, &[]).json()["reply"]["total"].as_i64().unwrap()
    };
    assert_eq!((total(&a).await, total(&b).await), (5, 10));
    run(&["relocate", &pid, "b", "--node", &a.address]).await.expect(0, &[]);
    assert_eq!((total(&a).await, total(&b).await), (15, 20));
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_with_the_reason() {
    let (a, pid) = with_a_counter().await;
    let call = async |to: &str, ty: &str, json: &str| {
        run(&["call", to, ty, json, "--node", &a.address]).await
    };
    let takes = ["counter version 1 does not take `counter.Ad`", "counter.Add, counter.Get"];
    call(&pid, "counter.Ad", "{}").await.expect(4, &takes);
    let missing = ["counter.Add@1: field `amount`: it is missing"];
    call(&pid, "counter.Add", r#"{ "seq": 1 }"#).await.expect(2, &missing);
    let field = ["field `amount`: an i64 is wanted, not \"5\""];
    call(&pid, "counter.Add", r#"{ "seq": 1, "amount": "5" }"#).await.expect(2, &field);
    call(&pid, "counter.Add", "{").await.expect(2, &["no JSON"]);
    call("nobody", "counter.Add", ADD).await.expect(4, &["nobody is called `nobody`"]);
    let gone = pid.replace(['<', '>'], "") + "9";
    call(&gone, "counter.Add", ADD).await.expect(4, &["there is no process"]);
    // It is as it was.
    let get = call(&pid, "counter.Get", r#"{ "seq": 1 }"#).await.expect(0, &[]);
    assert!(get.stdout.contains("\"handled\": 1,"), "{}", get.stdout);
}
