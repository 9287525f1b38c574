//! Conversions that go wrong in the probe: a real library does its worst, and the child alone has it (U5).

use std::time::Duration;

use midflight_dsu::compiled::compiled;
use midflight_dsu::probe::{ProbeError, ProbeReport, ProbeRequest, ProbeState, StateVerdict};
use midflight_runtime::TokioRuntime;
use spoiler::v1::Spoiler;
use spoiler::{Become, How, Is};

use crate::fixtures::{Process, bundle, library_of, prober, stored};

/// Two hundred sound states, and one in which the conversion goes so.
async fn probe(how: How) -> Result<ProbeReport, ProbeError> {
    let folder = tempfile::tempdir().unwrap();
    let library = stored(folder.path(), library_of(&bundle("tests/fixtures/spoiler-v2").await));
    let v1 = compiled::<(Spoiler,)>().unwrap();
    let form = v1.description().behaviours[0].state.clone();
    let state = |how| {
        let mut spoiler = Process::create(&*v1, 0, &());
        let _: Is = spoiler.call(&Become { how });
        let (behaviour, form) = ("spoiler".to_owned(), form.clone());
        ProbeState { behaviour, form, bytes: spoiler.instance.save(1).unwrap() }
    };
    let mut states = vec![state(How::Well); 200];
    states.push(state(how));
    let request = ProbeRequest { states, state_bytes_max: Some(1 << 20), unload: false };
    // Who never ends has this long; the others end by themselves, however busy the machine is.
    let seconds = if matches!(how, How::NeverEnds) { 8 } else { 60 };
    let prober = prober().with_deadline(Duration::from_secs(seconds));
    prober.probe(&TokioRuntime::current(), &library.path, &request).await
}

async fn verdict(how: How) -> StateVerdict {
    let report = probe(how).await.unwrap();
    let (last, others) = report.states.split_last().unwrap();
    let well = StateVerdict::Converts { back: Some(true) };
    assert!(others.iter().all(|other| *other == well), "the others convert");
    last.clone()
}

#[tokio::test]
async fn one_that_refuses_or_panics_is_a_verdict_on_its_state_alone() {
    let fails = |verdict, why: &str| match verdict {
        StateVerdict::FailsForward { why: said } => assert!(said.contains(why), "{said}"),
        other => panic!("{other:?}"),
    };
    fails(verdict(How::Refuses).await, "it does not like this state");
    fails(verdict(How::Panics).await, "the conversion panics");
    fails(verdict(How::Swells).await, "bytes of 2; it may make 1048576");
}

#[tokio::test]
async fn a_way_back_that_refuses_or_panics_is_one_too() {
    for (how, why) in [(How::PanicsBack, "panics"), (How::RefusesBack, "no way back")] {
        match verdict(how).await {
            StateVerdict::FailsBack { why: said } => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn one_that_never_ends_is_killed_with_the_child() {
    // By its deadline, or by its limit of processor time, whichever comes first.
    let error = probe(How::NeverEnds).await.unwrap_err();
    let (ProbeError::Timeout { state, .. } | ProbeError::Signal { signal: 9, state, .. }) = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(state, Some(200));
}

#[tokio::test]
async fn one_that_takes_memory_without_end_comes_to_the_childs_limit() {
    let error = probe(How::Allocates).await.unwrap_err();
    let ProbeError::Signal { signal: 6, complaint, state: Some(200) } = error else {
        panic!("{error:?}")
    };
    assert!(complaint.contains("memory allocation"), "{complaint}");
}

#[tokio::test]
async fn one_that_ends_its_program_ends_the_child() {
    let error = probe(How::Aborts).await.unwrap_err();
    assert!(matches!(error, ProbeError::Signal { signal: 6, state: Some(200), .. }), "{error:?}");
}
