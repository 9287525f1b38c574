//! How long a behaviour has the runner: by a clock that its handlers move.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use midflight_abi::Description;
use midflight_dsu::code::{Call, Code, CodeError, Instance, OpEnd, Progress};
use midflight_dsu::hash::{CodeId, ContentAddress};
use midflight_dsu::versions::Version;
use midflight_runtime::{BoxFuture, Files, Handle, Instant, Runtime};
use midflight_tests::compiled_format::code;
use midflight_tests::world::{World, simulate};
use waiter::Nap;

use super::start;

/// One worker on a clock that can be moved while a task runs.
#[derive(Debug)]
struct Moved {
    runtime: Handle,
    nanos: AtomicU64,
}

impl Runtime for Moved {
    fn spawn_boxed(&self, name: &'static str, task: BoxFuture<()>) {
        self.runtime.spawn_boxed(name, task);
    }
    fn spawn_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.runtime.spawn_blocking(name, work);
    }
    fn now(&self) -> Instant {
        self.runtime.now() + Duration::from_nanos(self.nanos.load(Ordering::SeqCst))
    }
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<()> {
        self.runtime.sleep_until(deadline)
    }
    fn unix_time(&self) -> Duration {
        self.runtime.unix_time()
    }
    fn fill_random(&self, buffer: &mut [u8]) {
        self.runtime.fill_random(buffer);
    }
    fn workers(&self) -> usize {
        1
    }
    fn files(&self) -> Arc<dyn Files> {
        self.runtime.files()
    }
}

/// Handles anything in a millisecond, and counts.
#[derive(Debug, Clone)]
struct Slow {
    clock: Arc<Moved>,
    handled: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct SlowCode(Description, Slow);

impl Code for SlowCode {
    fn id(&self) -> CodeId {
        CodeId::of(b"slow")
    }
    fn description(&self) -> &Description {
        &self.0
    }
    fn create(
        &self,
        _: u32,
        _: &[u8],
        _: &Call<'_>,
        _: &mut Vec<u8>,
    ) -> Result<Box<dyn Instance>, CodeError> {
        Ok(Box::new(self.1.clone()))
    }
    fn restore(&self, _: u32, _: u32, _: &[u8]) -> Result<Box<dyn Instance>, CodeError> {
        Ok(Box::new(self.1.clone()))
    }
}

impl Instance for Slow {
    fn start(
        &mut self,
        _: u32,
        _: &[u8],
        _: &Call<'_>,
        _: &mut Vec<u8>,
    ) -> Result<Progress, CodeError> {
        self.clock.nanos.fetch_add(1_000_000, Ordering::SeqCst);
        self.handled.fetch_add(1, Ordering::SeqCst);
        Ok(Progress::Done)
    }
    fn resume(
        &mut self,
        _: u64,
        _: OpEnd<'_>,
        _: &Call<'_>,
        _: &mut Vec<u8>,
    ) -> Result<Progress, CodeError> {
        Ok(Progress::Done)
    }
    fn size(&self) -> u64 {
        0
    }
    fn save(&self, _: u32) -> Result<Vec<u8>, CodeError> {
        Ok(Vec::new())
    }
}

#[test]
fn slow_handlers_leave_others_their_turns() {
    const MESSAGES: usize = 200;
    simulate(3, |world| async move {
        let clock = Arc::new(Moved { runtime: world.runtime.clone(), nanos: AtomicU64::new(0) });
        let world = World { runtime: clock.clone(), ..world };
        let server = world.node("a", None).await;
        let slow = Slow { clock, handled: Arc::default() };
        let handled = slow.handled.clone();
        let description = code("waiter-v1").description().clone();
        let address = ContentAddress::from([1; 32]);
        let slow = Arc::new(SlowCode(description, slow));
        let version =
            server.versions().add(Version::new(server.node(), "waiter", 1, address, slow));
        server.versions().make_current(&version);
        let waiter = start(&server);
        // Notes at each of its turns how far the other is.
        let noted = server.node().run("other", move |cx| async move {
            for _ in 0..MESSAGES {
                cx.try_send(waiter, Nap { millis: 0 }).unwrap();
            }
            let mut noted = vec![0];
            std::future::poll_fn(|task| {
                noted.push(handled.load(Ordering::SeqCst));
                task.waker().wake_by_ref();
                assert!(noted.len() < 10_000, "{MESSAGES} were sent, and not handled: {noted:?}");
                if noted.last() == Some(&MESSAGES) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            noted
        });
        let noted = noted.await.unwrap();
        let in_a_row = noted.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        assert!((1..=8).contains(&in_a_row), "{in_a_row} messages of a millisecond in one turn");
    });
}
