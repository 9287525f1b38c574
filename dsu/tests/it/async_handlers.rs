//! Handlers that suspend: the host resumes them by the ids of their operations.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use midflight_abi::effect::Effect;
use midflight_abi::prelude::*;
use midflight_dsu::code::{CodeError, OpEnd, Progress};
use midflight_dsu::compiled::compiled;
use serde::{Deserialize, Serialize};

use crate::fixtures::{Process, bytes, pid};

#[derive(Debug, Serialize, Deserialize, Message)]
pub(crate) struct Question {
    pub(crate) n: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
pub(crate) struct Answer {
    pub(crate) n: u32,
}

#[derive(Debug, Serialize, Deserialize, Message)]
pub(crate) enum Work {
    Ask,
    AskTwice,
    Nap,
    Yield,
    Hang,
    PanicLater,
    GiveUp,
}

#[derive(Debug, Serialize, Deserialize, Message)]
pub(crate) struct Cast {}

#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub(crate) struct Worker {
    done: u32,
}

#[behaviour(name = "worker", version = 1, sends(Cast), calls(Question -> Answer))]
impl Worker {
    fn init(_cx: &mut Context<Self>) -> Self {
        Worker { done: 0 }
    }

    #[handle]
    async fn work(&mut self, cx: AsyncContext<Self>, msg: Work) -> Answer {
        let second = Duration::from_secs(1);
        let ask = |n| cx.call(pid(8), &Question { n }, second);
        self.done += 1;
        match msg {
            Work::Ask => match ask(1).await {
                Ok(answer) => answer,
                Err(CallError::Timeout) => Answer { n: 1_000 },
                Err(CallError::Gone) => Answer { n: 2_000 },
                Err(CallError::Refused(why)) => Answer { n: why.len() as u32 },
                Err(_) => Answer { n: 3_000 },
            },
            Work::AskTwice => {
                let (one, other) = (ask(1), ask(2));
                let other = other.await.unwrap();
                Answer { n: one.await.unwrap().n * 10 + other.n }
            }
            Work::Nap => {
                cx.send(pid(9), &Cast {});
                cx.sleep(second).await;
                cx.send(pid(9), &Cast {});
                Answer { n: 0 }
            }
            Work::Yield => {
                for _ in 0..100 {
                    YieldNow(false).await;
                }
                Answer { n: 100 }
            }
            Work::Hang => {
                std::future::pending::<()>().await;
                Answer { n: 0 }
            }
            Work::PanicLater => {
                cx.sleep(second).await;
                panic!("after its sleep")
            }
            Work::GiveUp => {
                drop(ask(1));
                cx.sleep(second).await;
                Answer { n: 5 }
            }
        }
    }

    #[handle]
    async fn cast(&mut self, _cx: AsyncContext<Self>, _msg: Cast) {
        self.done += 1;
    }
}

struct YieldNow(bool);

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

fn worker() -> Process {
    Process::create(&*compiled::<(Worker,)>().unwrap(), 0, &())
}

/// The ids of the operations among the effects.
fn ops(process: &Process) -> Vec<u64> {
    let op = |effect: &Effect<'_>| match effect {
        Effect::Call { op, .. } | Effect::Sleep { op, .. } => Some(*op),
        _ => None,
    };
    process.effects().iter().filter_map(op).collect()
}

#[test]
fn a_call_is_awaited_and_its_reply_goes_on() {
    let mut process = worker();
    assert_eq!(process.start(&Work::Ask), Ok(Progress::Suspended));
    let question = bytes(&Question { n: 1 });
    let effects = process.effects();
    let [Effect::Call { op, to, type_index: 0, timeout_millis: 1_000, payload }] = effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!((to, payload), (midflight_message::Address::Pid(pid(8)), question.as_slice()));
    // While it waits nothing else can be asked of it.
    assert_eq!(process.start(&Work::Ask), Err(CodeError::Busy));
    assert_eq!(process.instance.save(1), Err(CodeError::Busy));
    let answer = bytes(&Answer { n: 42 });
    assert_eq!(process.resume(op, OpEnd::Done(&answer)), Ok(Progress::Done));
    assert_eq!(process.reply::<Answer>(), Answer { n: 42 });
    // The state came back from the handler.
    assert_eq!(process.instance.save(1).unwrap(), [1]);
}

#[test]
fn a_call_may_end_without_a_reply() {
    let ends = [
        (OpEnd::Timeout, 1_000),
        (OpEnd::Gone, 2_000),
        (OpEnd::Refused("1234567"), 7),
        (OpEnd::Done(b"\xff\xff\xff\xff\xff\xff"), 3_000),
    ];
    for (end, n) in ends {
        let mut process = worker();
        assert_eq!(process.start(&Work::Ask), Ok(Progress::Suspended));
        let op = ops(&process)[0];
        assert_eq!(process.resume(op, end), Ok(Progress::Done));
        assert_eq!(process.reply::<Answer>(), Answer { n });
    }
}

#[test]
fn two_calls_run_side_by_side() {
    for reversed in [false, true] {
        let mut process = worker();
        assert_eq!(process.start(&Work::AskTwice), Ok(Progress::Suspended));
        let mut ends: Vec<_> = ops(&process).into_iter().zip([3, 4]).collect();
        assert_eq!(ends.len(), 2);
        if reversed {
            ends.reverse();
        }
        let first = bytes(&Answer { n: ends[0].1 });
        assert_eq!(process.resume(ends[0].0, OpEnd::Done(&first)), Ok(Progress::Suspended));
        assert!(process.effects.is_empty());
        let second = bytes(&Answer { n: ends[1].1 });
        assert_eq!(process.resume(ends[1].0, OpEnd::Done(&second)), Ok(Progress::Done));
        assert_eq!(process.reply::<Answer>(), Answer { n: 34 });
    }
}

#[test]
fn effects_leave_at_each_suspension() {
    let mut process = worker();
    assert_eq!(process.start(&Work::Nap), Ok(Progress::Suspended));
    assert!(matches!(
        process.effects()[..],
        [Effect::Send { .. }, Effect::Sleep { millis: 1_000, .. }]
    ));
    let op = ops(&process)[0];
    assert_eq!(process.resume(op, OpEnd::Done(b"")), Ok(Progress::Done));
    assert!(matches!(process.effects()[..], [Effect::Send { .. }, Effect::Reply { call: 41, .. }]));
}

#[test]
fn a_handler_that_yields_gives_the_host_its_turn() {
    let mut process = worker();
    let mut progress = process.start(&Work::Yield).unwrap();
    let mut turns = 0;
    while progress == Progress::Suspended {
        let op = ops(&process)[0];
        progress = process.resume(op, OpEnd::Done(b"")).unwrap();
        turns += 1;
    }
    assert_eq!(turns, 1);
    assert_eq!(process.reply::<Answer>(), Answer { n: 100 });
}

#[test]
fn awaiting_what_nobody_wakes_is_an_error() {
    let mut process = worker();
    let error = process.start(&Work::Hang).unwrap_err();
    assert!(matches!(error, CodeError::Stuck(_)), "{error}");
    assert_eq!(process.start(&Work::Ask), Err(CodeError::Lost));
}

#[test]
fn a_panic_after_a_suspension_loses_the_state_too() {
    let mut process = worker();
    assert_eq!(process.start(&Work::PanicLater), Ok(Progress::Suspended));
    let op = ops(&process)[0];
    let error = process.resume(op, OpEnd::Done(b"")).unwrap_err();
    assert!(matches!(&error, CodeError::Panicked(text) if text.starts_with("after its sleep")));
    assert_eq!(process.instance.save(1), Err(CodeError::Lost));
    assert_eq!(process.resume(op, OpEnd::Done(b"")), Err(CodeError::Lost));
}

#[test]
fn an_operation_that_was_given_up_ends_without_effect() {
    let mut process = worker();
    assert_eq!(process.start(&Work::GiveUp), Ok(Progress::Suspended));
    let ops = ops(&process);
    let answer = bytes(&Answer { n: 9 });
    assert_eq!(process.resume(ops[0], OpEnd::Done(&answer)), Ok(Progress::Suspended));
    assert_eq!(process.resume(ops[1], OpEnd::Done(b"")), Ok(Progress::Done));
    assert_eq!(process.reply::<Answer>(), Answer { n: 5 });
    // Later still, when the handler has long ended.
    assert_eq!(process.resume(ops[0], OpEnd::Done(&answer)), Ok(Progress::Done));
    assert!(process.effects.is_empty());
}

#[test]
fn an_async_handler_that_never_waits_is_done_at_once() {
    let mut process = worker();
    assert_eq!(process.start(&Cast {}), Ok(Progress::Done));
    assert_eq!(process.instance.save(1).unwrap(), [1]);
}

#[test]
fn a_suspended_process_can_be_dropped() {
    let mut process = worker();
    assert_eq!(process.start(&Work::Ask), Ok(Progress::Suspended));
    drop(process);
}
