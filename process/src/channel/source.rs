//! Where the values of a receive port come from: a port, several of them, or what is made of one.

use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use midflight_message::{Message, decode};

use crate::channel::ports::{Order, Stray};
use crate::letters::unread::refuse;
use crate::mailbox::envelope::{Content, Envelope, Parcel, Refusal, Sender};
use crate::mailbox::value::{Ported, downcast};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::receive::{Held, Read, SCRATCH, Unread, read, schema_missing};
use crate::scheduler::contain::contain;
use crate::scheduler::function::{Arrived, Aside, Shared};
use crate::timers::deadline::Waits;

/// Something that gives values.
pub(super) trait Source<T>: Send {
    /// Takes a value, or sees that whoever polls is woken when one may be there.
    fn poll_take(&mut self, cx: &mut TaskContext<'_>) -> Poll<T>;

    /// When the oldest of what is there came.
    fn oldest(&self, arrived: &Arrived) -> Option<Order>;

    /// The process whose it is; `None` where nothing can come.
    fn waits(&self) -> Option<Waits<'_>>;
}

/// A port of a process. Dropped, it is closed.
pub(super) struct Port<M> {
    inner: Arc<Inner>,
    owner: Place,
    shared: Arc<Shared>,
    number: u32,
    /// Values that wait for schemas.
    held: Option<Box<Held>>,
    takes: PhantomData<fn() -> M>,
}

/// A value that was taken out of a port.
struct Taken {
    order: Order,
    from: Sender,
    content: Content,
    weight: (u32, u32),
}

impl<M: Message> Port<M> {
    pub(super) const fn new(
        inner: Arc<Inner>,
        owner: Place,
        shared: Arc<Shared>,
        number: u32,
    ) -> Self {
        Self { inner, owner, shared, number, held: None, takes: PhantomData }
    }

    /// Whether what `from` has sent is not held.
    fn passes(&self, from: Sender) -> bool {
        self.held.as_ref().is_none_or(|held| !held.holds(from))
    }

    /// Takes the oldest value that is not held; undecoded, unless it is known to be an `M`.
    fn take(&self) -> Option<Result<M, Taken>> {
        let mut bytes = SCRATCH.take();
        let mut arrived = self.shared.lock();
        let is_open = |aside: &&mut Box<Aside>| aside.ports.is_open(self.number);
        let Some(aside) = arrived.aside.as_mut().filter(is_open) else {
            drop(arrived);
            panic!("the process that made this channel has ended");
        };
        let taken = aside.ports.take(self.number, |from| self.passes(from), &mut bytes);
        let Some((order, entry)) = taken else {
            SCRATCH.set(bytes);
            return None;
        };
        let (from, weight) = (entry.from(), entry.weight());
        arrived.handled.add(from, weight);
        drop(arrived);
        let content = match entry {
            Envelope::Port { value, .. }
            | Envelope::Value { value, .. }
            | Envelope::Told { value, .. } => {
                SCRATCH.set(bytes);
                match downcast::<Ported<M>>(value) {
                    Ok(ported) => return Some(Ok(ported.value)),
                    Err(value) => Content::Value(value),
                }
            }
            Envelope::Small { ty, .. } => {
                if self.inner.types.is_same::<M>(ty)
                    && let Ok(value) = decode::<M>(&bytes)
                {
                    SCRATCH.set(bytes);
                    return Some(Ok(value));
                }
                Content::Bytes { ty, bytes: bytes.into() }
            }
            Envelope::Parcel { parcel, .. } => match *parcel {
                Parcel::Port { ty, bytes, .. } => Content::Bytes { ty, bytes },
                other => unreachable!("{other:?} is no value for a port"),
            },
        };
        Some(Err(Taken { order, from, content, weight }))
    }

    /// Reads what [`Port::take`] could not; `None`: look at the next.
    fn read(&mut self, taken: Taken) -> Option<M> {
        let Taken { order, from, content, weight } = taken;
        let (content, refusal) = match read::<M>(&self.inner, content) {
            Read::Message(value) => return Some(value),
            Read::Unreadable(content, refusal) => (content, refusal),
            Read::Undecided(content, ty)
                if self.inner.request_schema(from, ty) || self.inner.types.is_known(ty) =>
            {
                self.held.get_or_insert_default().hold(0, from, ty);
                let mut arrived = self.shared.lock();
                arrived.handled.undo(from, weight);
                arrived.aside().ports.put_back(self.number, order, from, content);
                return None;
            }
            Read::Undecided(content, ty) => (content, schema_missing(&self.inner, ty)),
        };
        let unread = Unread::new(from, None, content, Some(M::VERSION));
        refuse(&self.inner, self.owner, unread, refusal);
        None
    }
}

impl<M: Message> Source<M> for Port<M> {
    fn poll_take(&mut self, cx: &mut TaskContext<'_>) -> Poll<M> {
        let mut waits = self.shared.is_own(cx);
        loop {
            self.held.take_if(|held| held.is_decided(&self.inner));
            match self.take() {
                Some(taken) => {
                    if !self.shared.is_polled() {
                        // Its own turn gives the senders their room back.
                        self.inner.wake(self.owner);
                    }
                    match taken {
                        Ok(value) => return Poll::Ready(value),
                        Err(taken) => {
                            if let Some(value) = self.read(taken) {
                                return Poll::Ready(value);
                            }
                        }
                    }
                }
                None if self
                    .held
                    .as_ref()
                    .is_some_and(|held| !held.wait(&self.inner, cx.waker())) => {}
                None if waits => return Poll::Pending,
                None => {
                    // Looked at once more: what came in between is not missed.
                    self.shared.wait(cx);
                    waits = true;
                }
            }
        }
    }

    fn oldest(&self, arrived: &Arrived) -> Option<Order> {
        arrived.aside.as_ref()?.ports.oldest(self.number, |from| self.passes(from))
    }

    fn waits(&self) -> Option<Waits<'_>> {
        Some(Waits { inner: &self.inner, place: self.owner, shared: &self.shared })
    }
}

impl<M> Drop for Port<M> {
    fn drop(&mut self) {
        let left = {
            let mut arrived = self.shared.lock();
            let Some(aside) = &mut arrived.aside else { return };
            let left = aside.ports.close(self.number);
            for stray in &left {
                arrived.handled.add(stray.from, stray.weight);
            }
            left
        };
        refuse_strays(&self.inner, self.owner, left);
        // A process that panics is about to end, with a reason that its watchers are told.
        if !std::thread::panicking() {
            self.inner.close_port(self.owner, self.number);
        }
    }
}

/// Refuses values that no port takes.
pub(crate) fn refuse_strays(inner: &Arc<Inner>, owner: Place, strays: Vec<Stray>) {
    for Stray { from, port, content, .. } in strays {
        let unread = Unread::new(from, None, content, None);
        contain(|| refuse(inner, owner, unread, Refusal::NoPort { port }));
    }
}

/// Several sources as one.
pub(super) struct Merge<T> {
    sources: Vec<Box<dyn Source<T>>>,
    in_turns: bool,
    /// Where to look first.
    first: usize,
}

impl<T> Merge<T> {
    pub(super) fn new(sources: Vec<Box<dyn Source<T>>>, in_turns: bool) -> Self {
        Self { sources, in_turns, first: 0 }
    }
}

impl<T> Source<T> for Merge<T> {
    fn poll_take(&mut self, cx: &mut TaskContext<'_>) -> Poll<T> {
        let count = self.sources.len();
        for at in (0..count).map(|step| (self.first + step) % count) {
            if let Poll::Ready(value) = self.sources[at].poll_take(cx) {
                if self.in_turns {
                    self.first = (at + 1) % count;
                }
                return Poll::Ready(value);
            }
        }
        Poll::Pending
    }

    fn oldest(&self, arrived: &Arrived) -> Option<Order> {
        self.sources.iter().filter_map(|source| source.oldest(arrived)).min()
    }

    fn waits(&self) -> Option<Waits<'_>> {
        self.sources.first()?.waits()
    }
}

/// What a function makes of another source's values.
pub(super) struct Map<S, F> {
    source: Box<dyn Source<S>>,
    change: F,
}

impl<S, F> Map<S, F> {
    pub(super) fn new(source: Box<dyn Source<S>>, change: F) -> Self {
        Self { source, change }
    }
}

impl<S, T, F: FnMut(S) -> T + Send> Source<T> for Map<S, F> {
    fn poll_take(&mut self, cx: &mut TaskContext<'_>) -> Poll<T> {
        self.source.poll_take(cx).map(&mut self.change)
    }

    fn oldest(&self, arrived: &Arrived) -> Option<Order> {
        self.source.oldest(arrived)
    }

    fn waits(&self) -> Option<Waits<'_>> {
        self.source.waits()
    }
}
