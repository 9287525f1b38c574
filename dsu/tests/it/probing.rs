//! The probe: a library that does harm does it to a child.

use std::time::Duration;

use midflight_dsu::builder::BuildError;
use midflight_dsu::code::CodeFormat as _;
use midflight_dsu::probe::{ProbeError, ProbeRequest, ProbeState, Prober, StateVerdict};
use midflight_message::TypeInfo;
use midflight_runtime::TokioRuntime;

use crate::fixtures::{Process, build_crate, bundle, library_of, load, native, prober, stored};

#[tokio::test]
async fn a_constructor_that_aborts_ends_the_child_alone() {
    // `build` asks the library to describe itself, so it meets the constructor first.
    let error = build_crate("tests/fixtures/aborts-on-load").await.unwrap_err();
    let BuildError::Probe(ProbeError::Signal { signal: 6, complaint, state: None }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(complaint, "the constructor aborts");
}

#[tokio::test]
async fn states_are_converted_forward_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let v1 = load(folder.path(), "examples/counter-v1").await;
    let mut counter = Process::create(&*v1, 0, &());
    let _: counter_v1::Total = counter.call(&counter_v1::Add { seq: 1, amount: 5 });
    let bytes = counter.instance.save(1).unwrap();

    let v2 = bundle("examples/counter-v2").await;
    let library = stored(folder.path(), library_of(&v2));
    let format = native();
    let schema = v1.description().behaviours[0].state.schema().clone();
    let state = |behaviour: &str, version, bytes: &[u8]| ProbeState {
        behaviour: behaviour.into(),
        form: TypeInfo::parse(behaviour, version, &schema).unwrap(),
        bytes: bytes.to_vec(),
    };
    let states = vec![
        state("counter", 1, &bytes),
        state("counter", 9, &bytes),
        state("stranger", 1, &bytes),
        state("counter", 1, b"\xff"),
    ];
    let report =
        format.probe(&library, &ProbeRequest { states, ..ProbeRequest::default() }).await.unwrap();
    assert_eq!(report.description, v2.manifest().description());
    assert_eq!(report.states[0], StateVerdict::Converts { back: Some(true) });
    assert!(matches!(report.states[1], StateVerdict::Unknown { .. }));
    assert!(matches!(report.states[2], StateVerdict::Unknown { .. }));
    assert!(matches!(report.states[3], StateVerdict::FailsForward { .. }));
}

#[tokio::test]
async fn a_child_that_does_not_end_is_killed() {
    let prober =
        Prober::new("/bin/sh", ["-c", "exec sleep 60"]).with_deadline(Duration::from_millis(300));
    let runtime = TokioRuntime::current();
    let began = runtime.now();
    let library = std::path::Path::new("/nowhere.so");
    let error = prober.probe(&runtime, library, &ProbeRequest::default()).await.unwrap_err();
    assert!(matches!(error, ProbeError::Timeout { .. }), "{error}");
    assert!(runtime.now() - began < Duration::from_secs(20));
}

#[tokio::test]
async fn a_program_that_is_no_probe_is_told_apart() {
    let runtime = TokioRuntime::current();
    let library = std::path::Path::new("/nowhere.so");
    let request = ProbeRequest::default();
    let missing = Prober::new("/nowhere/program", Vec::<String>::new());
    let error = missing.probe(&runtime, library, &request).await.unwrap_err();
    assert!(matches!(error, ProbeError::Start { .. }), "{error}");
    let echo = Prober::new("/bin/echo", ["hello"]);
    let error = echo.probe(&runtime, library, &request).await.unwrap_err();
    assert!(matches!(error, ProbeError::Failed { .. }), "{error}");
    let endless = Prober::new("/bin/cat", ["/dev/zero"]).with_deadline(Duration::from_millis(500));
    let error = endless.probe(&runtime, library, &request).await.unwrap_err();
    assert!(matches!(error, ProbeError::Timeout { .. } | ProbeError::Failed { .. }), "{error}");
    let error = prober().probe(&runtime, library, &request).await.unwrap_err();
    assert!(matches!(&error, ProbeError::Failed { why } if why.contains("/nowhere.so")), "{error}");
}
