//! A client: a process that keeps a few calls to its counter in flight and records every one.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use counter_v2::{Add, Get, Reset, Total};
use midflight_process::{CallError, Context, Pid, Refusal};
use midflight_runtime::Instant;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::gauges::Gauges;
use super::ledger::{Counts, Ledger};
use super::saboteur::{Meant, OnWire, Sabotage, Saboteur};

/// Calls that a client keeps in flight.
const IN_FLIGHT: usize = 4;
/// A call that is not answered within this time is lost. Far beyond what a busy machine needs.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(10);
/// The pause after a call that failed.
const AFTER_A_FAILURE: Duration = Duration::from_millis(100);
/// Amounts are distinct but by rare chance, so that an answer tells which calls it counts.
const AMOUNT_MAX: i64 = 1 << 40;

/// What a client found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) counts: Counts,
    /// The counter ended with the sum and the count of the client's own records.
    pub(crate) state_kept: bool,
    /// The version of the code that gave the last answer.
    pub(crate) last_version: u32,
}

/// A call under way.
struct Call<'a> {
    /// `None`: the records know nothing of it.
    seq: Option<u64>,
    answer: Pin<Box<dyn Future<Output = Result<Total, CallError>> + Send + 'a>>,
}

/// One client at work.
struct Client<'a> {
    cx: &'a Context,
    counter: Pid,
    gauges: &'a Gauges,
    ledger: Ledger,
    saboteur: Saboteur,
    amounts: ChaCha8Rng,
    /// In the order in which they are sent: each is sent when it is first polled.
    calls: VecDeque<Call<'a>>,
    last_answer: Option<Instant>,
    last_version: u32,
}

/// Calls the counter until the load is to end, then asks it where it stands.
pub(crate) async fn run(
    cx: &Context,
    counter: Pid,
    seed: u64,
    sabotage: Option<Sabotage>,
    gauges: &Gauges,
) -> Found {
    let mut client = Client {
        cx,
        counter,
        gauges,
        ledger: Ledger::default(),
        saboteur: Saboteur::new(sabotage),
        amounts: ChaCha8Rng::seed_from_u64(seed),
        calls: VecDeque::with_capacity(2 * IN_FLIGHT),
        last_answer: None,
        last_version: 0,
    };
    while !gauges.load_is_over() {
        while client.calls.len() < IN_FLIGHT {
            client.next_call();
        }
        client.some_end().await;
    }
    if let Some(held) = client.saboteur.rest() {
        client.put_on_wire(held);
    }
    while !client.calls.is_empty() {
        client.some_end().await;
    }
    client.ask_for_the_sum();
    client.last_answer = None;
    while !client.calls.is_empty() {
        client.some_end().await;
    }
    Found {
        counts: client.ledger.counts(),
        state_kept: client.ledger.is_kept(),
        last_version: client.last_version,
    }
}

impl Client<'_> {
    /// Records a call, then gives it to the wire by way of the saboteur.
    fn next_call(&mut self) {
        let amount = self.amounts.random_range(1..=AMOUNT_MAX);
        let seq = self.ledger.sent(amount);
        let time_for_deeds = self.gauges.deeds_may_begin() && seq > 20;
        for on_wire in self.saboteur.pass(Meant { seq, amount }, time_for_deeds) {
            self.put_on_wire(on_wire);
        }
    }

    fn put_on_wire(&mut self, on_wire: OnWire) {
        let (cx, counter) = (self.cx, self.counter);
        let call = match on_wire {
            OnWire::Add(Meant { seq, amount }) => Call {
                seq: Some(seq),
                answer: Box::pin(cx.call(counter, Add { seq, amount }, LOST_AFTER)),
            },
            OnWire::Copy(Meant { seq, amount }) => Call {
                seq: None,
                answer: Box::pin(cx.call(counter, Add { seq, amount }, LOST_AFTER)),
            },
            OnWire::Wipe => {
                Call { seq: None, answer: Box::pin(cx.call(counter, Reset { seq: 0 }, LOST_AFTER)) }
            }
            OnWire::Silence { seq } => Call {
                seq: Some(seq),
                answer: Box::pin(async move {
                    cx.sleep(LOST_AFTER).await;
                    Err(CallError::TimedOut { to: counter, after: LOST_AFTER })
                }),
            },
        };
        self.calls.push_back(call);
    }

    fn ask_for_the_sum(&mut self) {
        let seq = self.ledger.sent(0);
        let answer = self.cx.call(self.counter, Get { seq }, LOST_AFTER);
        self.calls.push_back(Call { seq: Some(seq), answer: Box::pin(answer) });
    }

    /// Waits until a call ends, or several, and records how.
    async fn some_end(&mut self) {
        let mut ended = Vec::new();
        let calls = &mut self.calls;
        std::future::poll_fn(|cx| {
            // All are polled, in order: the process is woken for whichever answer comes.
            calls.retain_mut(|call| match call.answer.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(answer) => {
                    ended.push((call.seq, answer));
                    false
                }
            });
            if ended.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        let now = self.cx.now();
        // Several answers may have come at once; they were handled in the order of their counts.
        ended.sort_by_key(|(_, answer)| answer.as_ref().map_or(u64::MAX, |total| total.handled));
        let failed = ended.iter().any(|(_, answer)| answer.is_err());
        for (seq, answer) in ended {
            if let Some(seq) = seq {
                self.record(seq, answer, now);
            }
        }
        if failed {
            // Calls to a node that is gone fail at once: without a pause they would be all there is.
            self.cx.sleep(AFTER_A_FAILURE).await;
        }
    }

    fn record(&mut self, seq: u64, answer: Result<Total, CallError>, now: Instant) {
        match answer {
            Ok(total) => {
                self.ledger.answered(seq, &total);
                let gap = self.last_answer.replace(now).map(|last| now.since(last));
                self.last_version = total.code_version;
                self.gauges.answered(total.code_version, gap.unwrap_or_default());
            }
            Err(error) if is_refusal(&error) => {
                tracing::debug!(%error, "a call was refused");
                self.ledger.refused(seq);
            }
            Err(error) => {
                tracing::debug!(%error, "a call was lost");
                self.ledger.lost(seq);
            }
        }
    }
}

/// Whether the counter has certainly not handled the call. An aborted one it may have handled.
pub(crate) const fn is_refusal(error: &CallError) -> bool {
    match error {
        CallError::Refused { refusal, .. } => !matches!(refusal, Refusal::Aborted { .. }),
        _ => false,
    }
}
