//! Loaded libraries that fail in a switch and after it: the node goes on, and so does the old code (U5, U6).

use midflight_dsu::code_server::{ActivateError, CodeServer, StageError};
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::history::Cause;
use midflight_dsu::switch::SwitchError;
use midflight_process::Pid;
use midflight_process::message::Message;
use midflight_tests::real::bundle;
use midflight_tests::steps::start;
use spoiler::{Become, How, Is, Trip};
use tempfile::TempDir;

use crate::real::{PATIENCE, code_server, node, stage};

/// Four spoilers in the loaded version 1, and version 2 to be switched to.
struct Ground {
    server: CodeServer,
    pids: Vec<Pid>,
    v1: ContentAddress,
    v2: ContentAddress,
    _data: TempDir,
}

impl Ground {
    async fn new() -> Self {
        let (node, data) = (node("spoiled").await, tempfile::tempdir().unwrap());
        let first = bundle(node.runtime(), "tests/fixtures/spoiler-v1").await;
        let second = bundle(node.runtime(), "tests/fixtures/spoiler-v2").await;
        let server = code_server(&node, data.path(), &first);
        server.serve().unwrap();
        let v1 = stage(&server, &first).await;
        server.activate(v1).await.unwrap();
        let pids = (0..4).map(|_| start(&server, "spoiler", &())).collect();
        let v2 = stage(&server, &second).await;
        Self { server, pids, v1, v2, _data: data }
    }

    async fn ask<M: Message>(&self, nth: usize, message: M) -> Is {
        let pid = self.pids[nth];
        let asked = self.server.node().run("client", move |cx| async move {
            cx.call::<_, Is>(pid, message, PATIENCE).await.unwrap()
        });
        asked.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_state_a_library_dies_at_is_named_and_the_old_one_stays_and_answers() {
    let ground = Ground::new().await;
    for (how, why) in [(How::Aborts, "by signal 6"), (How::NeverEnds, "kept the probe busy")] {
        let told = ground.ask(2, Become { how }).await.told;
        let asked = async {
            let staged = ground.server.stage(ground.v2);
            futures_util::join!(staged, ground.ask(1, Become { how: How::Well }))
        };
        let (staged, meanwhile) = asked.await;
        assert_eq!(meanwhile.by, 1);
        match staged {
            Err(StageError::State { pid, why: said }) => {
                assert_eq!(pid, ground.pids[2]);
                assert!(said.contains(why), "{said}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(ground.server.current("spoiler"), Some(ground.v1));
        let is = ground.ask(2, Become { how: How::Well }).await;
        assert_eq!(is, Is { told: told + 1, by: 1 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_conversion_that_panics_leaves_all_in_the_old_library() {
    let ground = Ground::new().await;
    // When it was tried, this state was another.
    ground.ask(2, Become { how: How::Panics }).await;
    let error = ground.server.activate(ground.v2).await.unwrap_err();
    let ActivateError::Switch { failed, not_back } = error else { panic!("{error}") };
    assert!(not_back.is_empty(), "{not_back:?}");
    let [SwitchError::Convert { pid, source }] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(*pid, ground.pids[2]);
    assert!(format!("{source:?}").contains("the conversion panics"), "{source:?}");
    assert_eq!(ground.ask(2, Become { how: How::Well }).await, Is { told: 2, by: 1 });
    assert_eq!(ground.server.activate(ground.v2).await.unwrap(), 4);
    assert_eq!(ground.ask(2, Become { how: How::Well }).await, Is { told: 3, by: 2 });
}

/// Nobody sends it anything: it is asked, and once it has been, it is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn loaded_code_that_says_it_is_not_well_goes_back_by_itself() {
    let ground = Ground::new().await;
    let Ground { server, v1, v2, .. } = &ground;
    for nth in 0..2 {
        assert_eq!(ground.ask(nth, Become { how: How::Sickens }).await, Is { told: 1, by: 1 });
    }
    server.activate(*v2).await.unwrap();
    // Two of four were not well when they came, which is not enough.
    assert_eq!(ground.ask(2, Become { how: How::PanicsWhenAsked }).await, Is { told: 1, by: 2 });
    let runtime = server.node().runtime();
    let gone_back = midflight_runtime::timeout(&**runtime, PATIENCE, async {
        while server.current("spoiler") != Some(*v1) || ground.ask(3, Trip {}).await.by == 2 {
            runtime.yield_now().await;
        }
    });
    gone_back.await.unwrap();
    let (_, last) = server.history(None).pop().unwrap();
    assert_eq!(last.cause, Cause::WentBack);
    let why = last.why.unwrap();
    assert!(why.contains("3 are not well: it has caught something"), "{why}");
    // With what was written meanwhile.
    assert_eq!(ground.ask(2, Become { how: How::Well }).await, Is { told: 2, by: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn loaded_code_that_panics_on_probation_goes_back_by_itself() {
    let ground = Ground::new().await;
    let Ground { server, v1, .. } = &ground;
    server.activate(ground.v2).await.unwrap();
    assert_eq!(ground.ask(3, Become { how: How::Well }).await, Is { told: 1, by: 2 });
    for nth in 0..3 {
        assert_eq!(ground.ask(nth, Trip {}).await, Is { told: 1, by: 1 }, "by the old code");
    }
    let went_back =
        || server.history(None).pop().is_some_and(|(_, it)| it.cause == Cause::WentBack);
    // The one that has not failed, too.
    let runtime = server.node().runtime();
    let gone_back = midflight_runtime::timeout(&**runtime, PATIENCE, async {
        while ground.ask(3, Become { how: How::Well }).await.by == 2 || !went_back() {}
    });
    gone_back.await.unwrap();
    assert_eq!(server.current("spoiler"), Some(*v1));
    assert_eq!(ground.ask(3, Trip {}).await.by, 1);
}
