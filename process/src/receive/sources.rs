//! Receives with ports among their clauses: which source is looked at first.
//!
//! Clauses for messages in a row are one source, each port is one.

use std::task::{Context as TaskContext, Poll};

use super::clause::{And, Clause, Clauses, Span, Taken, Wanted};
use super::letter::Letter;
use super::{Held, Receive};
use crate::channel::ReceivePort;
use crate::channel::ports::Order;
use crate::context::Context;
use crate::mailbox::envelope::Subject;
use crate::node::inner::Inner;
use crate::scheduler::function::Arrived;

/// Which source a receive takes from, when several have something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// The first.
    #[default]
    First,
    /// The one whose turn it is.
    InTurns,
    /// The one that has the oldest.
    Oldest,
}

/// A clause for the values of a port.
pub struct OnPort<'p, V, F> {
    port: &'p mut ReceivePort<V>,
    then: F,
}

impl<V, F> std::fmt::Debug for OnPort<'_, V, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnPort")
    }
}

impl<T, V: 'static, F: FnMut(V) -> T> Clause<T> for OnPort<'_, V, F> {
    const LOOKS: bool = false;
    const IS_PORT: bool = true;

    fn may_take(&self, _: &Inner, _: Subject<'_>) -> bool {
        false
    }

    fn wanted(&self) -> Option<Wanted> {
        None
    }

    fn take(&mut self, _: &Context, letter: Letter) -> Taken<T> {
        Taken::Passed(letter)
    }

    fn poll_port(&mut self, cx: &mut TaskContext<'_>) -> Poll<T> {
        self.port.poll(cx).map(&mut self.then)
    }

    fn oldest_value(&self, arrived: &Arrived) -> Option<Order> {
        self.port.oldest(arrived)
    }
}

#[expect(private_bounds, reason = "clauses are made by `on` and its like alone")]
impl<'a, T, C: Clauses<T>> Receive<'a, T, C> {
    /// Adds the values of a port. Unless something else is asked for, the clauses are gone through in
    /// their order, and the first that has something wins: clauses for messages in a row, of which the
    /// oldest message wins, or a port.
    pub fn port<V: 'static, F: FnMut(V) -> T>(
        self,
        port: &mut ReceivePort<V>,
        then: F,
    ) -> Receive<'a, T, And<C, OnPort<'_, V, F>>> {
        self.with(OnPort { port, then })
    }

    /// Lets ports and the clauses between them have their turns, over all receives of the process that
    /// ask for it: none is passed over twice in a row while it has something.
    pub fn in_turns(mut self) -> Self {
        self.choice = Choice::InTurns;
        self
    }

    /// Takes the oldest message or value that any clause takes, whichever clause it is.
    pub fn oldest_first(mut self) -> Self {
        self.choice = Choice::Oldest;
        self
    }

    /// Polls a receive that has ports.
    pub(super) fn poll_sources(
        &mut self,
        cx: &mut TaskContext<'_>,
        held: &mut Option<Box<Held>>,
    ) -> Poll<T> {
        if self.choice == Choice::Oldest {
            return self.poll_oldest(cx, held);
        }
        let first = match self.choice {
            Choice::InTurns => self.context.shared.lock().aside().turn,
            _ => 0,
        };
        let sources = Self::sources();
        let mut seen = u64::MAX;
        for step in 0..sources.len() {
            let at = (first + step) % sources.len();
            let of = sources[at];
            let polled = if C::is_port(of.first) {
                self.clauses.poll_port(of.first, cx)
            } else {
                let mut cursor = self.seen;
                let polled = self.poll_messages(cx, held, (of, u64::MAX), &mut cursor);
                seen = seen.min(cursor);
                polled
            };
            if polled.is_ready() {
                if self.choice == Choice::InTurns {
                    self.context.shared.lock().aside().turn = at + 1;
                }
                return polled;
            }
        }
        if seen != u64::MAX {
            self.seen = seen;
        }
        Poll::Pending
    }

    fn poll_oldest(&mut self, cx: &mut TaskContext<'_>, held: &mut Option<Box<Held>>) -> Poll<T> {
        let value = self.clauses.oldest_value(&self.context.shared.lock());
        let before = value.map_or(u64::MAX, |(order, _)| order.message);
        let mut cursor = self.seen;
        let polled = self.poll_messages(cx, held, (Span::ALL, before), &mut cursor);
        self.seen = cursor;
        match value {
            Some((_, clause)) if polled.is_pending() => self.clauses.poll_port(clause, cx),
            Some(_) => polled,
            // They are to be looked at when something comes.
            None => {
                for clause in (0..C::COUNT).filter(|clause| C::is_port(*clause)) {
                    if polled.is_pending() {
                        let port = self.clauses.poll_port(clause, cx);
                        if port.is_ready() {
                            return port;
                        }
                    }
                }
                polled
            }
        }
    }

    /// The sources, in their order.
    fn sources() -> Vec<Span> {
        let mut sources: Vec<Span> = Vec::with_capacity(C::COUNT);
        for clause in 0..C::COUNT {
            match sources.last_mut() {
                Some(last) if !C::is_port(clause) && !C::is_port(last.first) => last.end += 1,
                _ => sources.push(Span { first: clause, end: clause + 1 }),
            }
        }
        sources
    }
}
