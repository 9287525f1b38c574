//! Conversions that go wrong in a switch: the process goes on in its old code with its old state, and is named (U5).

use std::time::Duration;

use midflight_dsu::code_server::{ActivateError, CodeServer, StageError};
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::history::Cause;
use midflight_dsu::switch::{SwitchError, SwitchLimits};
use midflight_process::Pid;
use midflight_process::message::Message;
use midflight_tests::steps::{self, run_version, stage};
use midflight_tests::world::{World, simulate};
use spoiler::{Become, How, Is, Trip};

use super::MINUTE;

/// Forty spoilers of version 1, one of which is to go wrong after version 2 was staged.
struct Ground {
    server: CodeServer,
    pids: Vec<Pid>,
    v2: ContentAddress,
}

impl Ground {
    async fn new(world: &World) -> Self {
        let switch = SwitchLimits { state_bytes: 1 << 20, ..SwitchLimits::default() };
        let server = world.node_with("a", None, switch).await;
        run_version(world, &server, "spoiler-v1").await;
        let pids = (0..40).map(|_| steps::start(&server, "spoiler", &())).collect();
        let v2 = stage(world, &server, "spoiler-v2").await;
        Self { server, pids, v2 }
    }

    async fn set(&self, nth: usize, how: How) -> Is {
        self.ask(nth, Become { how }).await
    }

    async fn ask<M: Message>(&self, nth: usize, message: M) -> Is {
        let pid = self.pids[nth];
        let asked = self.server.node().run("client", move |cx| async move {
            cx.call::<_, Is>(pid, message, MINUTE).await.unwrap()
        });
        asked.await.unwrap()
    }

    /// The one at 17 goes wrong, for that reason, and all are as they were.
    async fn is_not_switched(&self, how: How, why: &str) {
        let told = self.set(17, how).await.told;
        let error = self.server.activate(self.v2).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        let ActivateError::Switch { failed, not_back } = error else { panic!("{error:?}") };
        let [SwitchError::Convert { pid, .. }] = &failed[..] else { panic!("{failed:?}") };
        assert_eq!((*pid, not_back.len()), (self.pids[17], 0));
        assert_eq!(self.set(17, How::Well).await, Is { told: told + 1, by: 1 });
        assert_eq!(self.set(3, How::Well).await.by, 1, "the others went back with it");
    }
}

#[test]
fn one_that_fails_leaves_its_process_and_all_others_as_they_were() {
    simulate(5, |world| async move {
        let ground = Ground::new(&world).await;
        ground.is_not_switched(How::Panics, "the conversion panics").await;
        ground.is_not_switched(How::Refuses, "it does not like this state").await;
        ground.is_not_switched(How::Swells, "it may make 1048576").await;
        assert_eq!(ground.server.activate(ground.v2).await.unwrap(), 40);
        assert_eq!(ground.set(17, How::Well).await, Is { told: 7, by: 2 });
    });
}

#[test]
fn a_stage_finds_the_one_state_of_a_thousand_that_does_not_convert() {
    simulate(2, |world| async move {
        let server = world.node("a", None).await;
        run_version(&world, &server, "spoiler-v1").await;
        let pids: Vec<_> = (0..1_000).map(|_| steps::start(&server, "spoiler", &())).collect();
        let pid = pids[777];
        let set = server.node().run("client", move |cx| async move {
            let how = How::Refuses;
            cx.call::<_, Is>(pid, Become { how }, MINUTE).await.unwrap()
        });
        set.await.unwrap();
        let (bundle, file) = midflight_tests::compiled_format::bundle("spoiler-v2", &world.key);
        server.accept(bundle.address(), &file).await.unwrap();
        let began = world.runtime.now();
        let error = server.stage(bundle.address()).await.unwrap_err();
        assert!(matches!(error, StageError::State { pid, .. } if pid == pids[777]), "{error}");
        assert!(world.runtime.now() - began < Duration::from_secs(1));
    });
}

#[test]
fn one_whose_way_back_fails_stays_and_does_not_keep_the_others_from_going_back() {
    simulate(5, |world| async move {
        let ground = Ground::new(&world).await;
        ground.server.activate(ground.v2).await.unwrap();
        for (nth, how) in [(5, How::RefusesBack), (35, How::PanicsBack)] {
            assert_eq!(ground.set(nth, how).await.by, 2);
        }
        for nth in 0..3 {
            assert_eq!(ground.ask(nth, Trip {}).await, Is { told: 1, by: 1 });
        }
        world.runtime.sleep(MINUTE).await;
        let (_, last) = ground.server.history(None).pop().unwrap();
        assert_eq!((last.cause, last.current.unwrap().0), (Cause::WentBack, 1));
        let v2 = ground.server.versions().get(ground.v2).unwrap();
        assert_eq!(v2.processes(), [ground.pids[5], ground.pids[35]]);
        assert_eq!(ground.set(5, How::Well).await, Is { told: 2, by: 2 });
        assert_eq!(ground.set(6, How::Well).await, Is { told: 1, by: 1 });
    });
}
