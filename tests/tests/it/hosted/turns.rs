//! How long a behaviour has the runner: by a clock that its handlers move.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use midflight_abi::Description;
use midflight_dsu::code::{Call, Code, CodeError, Instance, OpEnd, Progress};
use midflight_dsu::code_server::CodeServer;
use midflight_dsu::hash::{CodeId, ContentAddress};
use midflight_dsu::versions::Version;
use midflight_runtime::{BoxFuture, Files, Handle, Instant, Runtime};
use midflight_tests::compiled_format::code;
use midflight_tests::world::{World, simulate};
use waiter::{Asked, Flag, Nap};

use super::{MINUTE, start};

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

/// The waiter's code, which takes a millisecond for each message, and counts.
#[derive(Debug, Clone)]
struct Slow {
    inner: Arc<dyn Code>,
    clock: Arc<Moved>,
    handled: Arc<AtomicUsize>,
}

struct SlowInstance(Slow, Box<dyn Instance>);

impl Slow {
    fn instance(&self, inner: Box<dyn Instance>) -> Box<dyn Instance> {
        Box::new(SlowInstance(self.clone(), inner))
    }
}

impl Code for Slow {
    fn id(&self) -> CodeId {
        CodeId::of(b"slow")
    }
    fn description(&self) -> &Description {
        self.inner.description()
    }
    fn create(
        &self,
        behaviour: u32,
        start: &[u8],
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Box<dyn Instance>, CodeError> {
        Ok(self.instance(self.inner.create(behaviour, start, call, effects)?))
    }
    fn restore(&self, at: u32, version: u32, state: &[u8]) -> Result<Box<dyn Instance>, CodeError> {
        Ok(self.instance(self.inner.restore(at, version, state)?))
    }
}

impl Instance for SlowInstance {
    fn start(
        &mut self,
        index: u32,
        message: &[u8],
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Progress, CodeError> {
        self.0.clock.nanos.fetch_add(1_000_000, Ordering::SeqCst);
        self.0.handled.fetch_add(1, Ordering::SeqCst);
        self.1.start(index, message, call, effects)
    }
    fn resume(
        &mut self,
        op: u64,
        end: OpEnd<'_>,
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Progress, CodeError> {
        self.1.resume(op, end, call, effects)
    }
    fn size(&self) -> u64 {
        self.1.size()
    }
    fn save(&self, version: u32) -> Result<Vec<u8>, CodeError> {
        self.1.save(version)
    }
}

/// A node that runs slow waiters, on the clock that they move.
async fn slow_waiters(world: World) -> (CodeServer, Arc<AtomicUsize>) {
    let clock = Arc::new(Moved { runtime: world.runtime.clone(), nanos: AtomicU64::new(0) });
    let world = World { runtime: clock.clone(), ..world };
    let server = world.node("a", None).await;
    let handled = Arc::new(AtomicUsize::new(0));
    let slow = Slow { inner: code("waiter-v1"), clock, handled: handled.clone() };
    let address = ContentAddress::from([1; 32]);
    let version = Version::new(server.node(), "waiter", 1, address, Arc::new(slow));
    let version = server.versions().add(version);
    server.versions().make_current(&version);
    (server, handled)
}

#[test]
fn slow_handlers_leave_others_their_turns() {
    const MESSAGES: usize = 200;
    simulate(3, |world| async move {
        let (server, handled) = slow_waiters(world).await;
        let waiter = start(&server);
        // Notes at each of its turns how far the other is.
        let noted = server.node().run("other", move |cx| async move {
            for _ in 0..MESSAGES {
                cx.try_send(waiter, Flag { up: true }).unwrap();
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

/// Wherever in a turn it begins to wait: also with the last message that the turn has time for.
#[test]
fn a_handler_that_waits_as_its_turn_ends_goes_on() {
    simulate(2, |world| async move {
        let (server, _) = slow_waiters(world).await;
        for before in 0..40 {
            let waiter = start(&server);
            let napped = server.node().run("client", move |cx| async move {
                for _ in 0..before {
                    cx.try_send(waiter, Flag { up: true }).unwrap();
                }
                cx.call::<_, Asked>(waiter, Nap { millis: 5 }, MINUTE).await
            });
            let napped = napped.await.unwrap();
            assert_eq!(napped.map(|asked| asked.how).unwrap(), "slept", "after {before}");
        }
    });
}
