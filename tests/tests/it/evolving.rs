//! Six changes of a state's form, end to end as bundles: each is applied with the right values, or refused with the
//! reason and the field (E13). `midflight-message` has the other sixty, without libraries.

use evolving::{Is, Look, Set};
use midflight_dsu::code_server::{CodeServer, StageError};
use midflight_process::Pid;
use midflight_tests::real::bundle;
use midflight_tests::steps::start;

use crate::real::{PATIENCE, code_server, node, stage};

/// The behaviours, and what each shows in versions 1 and 2 after it was told 7 by version 1.
const SHOWN: [(&str, &str, &str); 6] = [
    ("grows", "Grows { n: 7 }", "Grows { owner: \"nobody\", n: 7 }"),
    ("renames", "Renames { first: 7, second: 8 }", "Renames { last: 8, first: 7 }"),
    ("widens", "Widens { parts: [Part { grams: 7 }] }", "Widens { parts: [Part { grams: 7 }] }"),
    ("converts", "Converts { metres: 7 }", "Converts { centimetres: 700 }"),
    ("retypes", "Retypes { code: \"7\" }", "Retypes { code: \"7\" }"),
    ("adds", "Adds { n: 7 }", "Adds { n: 7 }"),
];

async fn shown(server: &CodeServer, pid: Pid) -> String {
    let shown = server
        .node()
        .run("client", move |cx| async move { cx.call::<_, Is>(pid, Look {}, PATIENCE).await });
    shown.await.unwrap().unwrap().text
}

async fn set(server: &CodeServer, pid: Pid, n: u64) {
    let sent = server
        .node()
        .run("client", move |cx| async move { cx.call::<_, ()>(pid, Set { n }, PATIENCE).await });
    sent.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn six_changes_of_form_are_applied_with_the_right_values_or_refused_with_the_field() {
    let (node, data) = (node("evolving").await, tempfile::tempdir().unwrap());
    let v1 = bundle(node.runtime(), "tests/fixtures/evolving-v1").await;
    let v2 = bundle(node.runtime(), "tests/fixtures/evolving-v2").await;
    let v3 = bundle(node.runtime(), "tests/fixtures/evolving-v3").await;
    let server = code_server(&node, data.path(), &v1);
    let first = stage(&server, &v1).await;
    server.activate(first).await.unwrap();
    let pids = SHOWN.map(|(behaviour, ..)| start(&server, behaviour, &()));
    for (pid, (_, old, _)) in pids.iter().zip(SHOWN) {
        set(&server, *pid, 7).await;
        assert_eq!(shown(&server, *pid).await, old);
    }

    let second = stage(&server, &v2).await;
    assert_eq!(server.activate(second).await.unwrap(), 6);
    for (pid, (_, _, new)) in pids.iter().zip(SHOWN) {
        assert_eq!(shown(&server, *pid).await, new);
    }
    // A number that the first form has no room for is the new version's to keep.
    set(&server, pids[2], 5_000_000_000).await;
    assert!(shown(&server, pids[2]).await.ends_with("Part { grams: 5000000000 }] }"));

    let (file, address) = (std::fs::read(&v3.path).unwrap(), v3.bundle.address());
    server.accept(address, &file).await.unwrap();
    let refused = server.stage(address).await.unwrap_err();
    let StageError::Conflicts(conflicts) = refused else { panic!("{refused}") };
    let named: Vec<_> = conflicts.conflicts.iter().map(|it| it.type_and_field().unwrap()).collect();
    assert_eq!(named, [("retypes", "code"), ("adds", "owner")]);
    let told: Vec<_> = conflicts.conflicts.iter().map(ToString::to_string).collect();
    assert!(told[0].ends_with("retypes: field `code`: theirs is string, ours is u64"), "{told:?}");
    assert!(told[1].ends_with("theirs is absent, ours is string without a default"), "{told:?}");
    for (pid, (_, _, new)) in pids.iter().zip(SHOWN).skip(3) {
        assert_eq!(shown(&server, *pid).await, new, "they are as they were");
    }
}
