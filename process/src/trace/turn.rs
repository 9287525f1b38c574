//! The turns of traced processes: what comes is told, what goes is marked.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use midflight_message::Pid;

use crate::ExitReason;
use crate::mailbox::Inbox;
use crate::mailbox::came::Came;
use crate::mailbox::envelope::{Content, Envelope, Parcel, Subject};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::table::slot::Slot;
use crate::trace::cell::Follower;
use crate::trace::{TARGET, TraceContext, TraceEvent, TraceFlags, Traced};
use crate::types::TypeNo;

thread_local! {
    /// Whether a traced process has its turn on this thread: all that a send looks at otherwise.
    static ON: Cell<bool> = const { Cell::new(false) };
    static ACTIVE: RefCell<Option<Box<Active>>> = const { RefCell::new(None) };
}

/// A traced process that has its turn.
#[derive(Debug, Clone)]
pub(crate) struct Active {
    pid: Pid,
    flags: TraceFlags,
    follower: Option<Follower>,
    token: Option<TraceContext>,
    /// Whether something has come, as the last of its batch.
    came: bool,
}

/// Begins a turn of a process whose cell says that it is traced, under the cell's lock: takes the next
/// message alone, with the context that lies before it.
#[cold]
pub(crate) fn begin(
    inner: &Inner,
    index: u32,
    slot: &mut Slot,
    spare: impl FnOnce() -> Box<Inbox>,
) -> (Came, Option<Box<Active>>) {
    let pid = inner.local_pid(Place { index, generation: slot.generation });
    let (mut inbox, mut mark, mut weight) = (None, None, 0);
    if !slot.mailbox.is_empty() {
        let (context, came) = slot.mailbox.take_next(spare);
        weight = came.entries.back().map_or(0, |entry| entry.weight().0);
        (inbox, mark) = (Some(came), context);
    }
    let tracing = slot.tracing();
    match mark {
        Some(context) => {
            tracing.unmarked();
            tracing.token = Some(context);
        }
        // A signal belongs to what is under way.
        None if weight > 0 => {
            let traced = !tracing.flags().is_none();
            tracing.token = traced.then(|| TraceContext::begin(inner));
        }
        None => {}
    }
    if tracing.is_over() {
        slot.traced = false;
        slot.rare().trace = None;
        return (inbox.into(), None);
    }
    let active = Active {
        pid,
        flags: tracing.flags(),
        follower: tracing.follower(),
        token: tracing.token,
        came: inbox.is_some(),
    };
    (inbox.into(), Some(Box::new(active)))
}

/// A turn under way.
pub(crate) struct Entered {
    _span: tracing::span::EnteredSpan,
}

impl Drop for Entered {
    fn drop(&mut self) {
        ON.set(false);
        ACTIVE.take();
    }
}

/// Goes on with what [`begin`] has begun, without any lock: says what has come.
#[cold]
pub(crate) fn enter(inner: &Arc<Inner>, active: Box<Active>, last: Option<&Envelope>) -> Entered {
    let trace = active.token.map(|token| tracing::field::display(token.trace));
    let span = tracing::info_span!(target: TARGET, "turn", pid = %active.pid, trace);
    let span = span.entered();
    let entry = last.filter(|_| active.came);
    if active.shows(TraceFlags::RECEIVE, active.token)
        && let Some(entry) = entry
        && let Some(message) = message(inner, entry)
    {
        let what = Traced::Received { from: inner.pid(entry.from()), message };
        active.tell(inner, TraceFlags::RECEIVE, active.token, what);
    }
    ACTIVE.set(Some(active));
    ON.set(true);
    Entered { _span: span }
}

impl Active {
    /// Whether events of a kind are told: those of others' traces in any case.
    fn shows(&self, kind: TraceFlags, context: Option<TraceContext>) -> bool {
        self.flags.contains(kind) || context.is_some_and(TraceContext::has_come)
    }

    /// Says what has happened, to the log, and to the follower what that one wants to know.
    fn tell(
        &self,
        inner: &Arc<Inner>,
        kind: TraceFlags,
        context: Option<TraceContext>,
        what: Traced,
    ) {
        let (pid, hops) = (self.pid, context.map_or(0, |context| context.hops));
        match context {
            Some(TraceContext { trace, hops }) => {
                tracing::info!(target: TARGET, node = inner.name, %pid, %trace, hops, "{what}");
            }
            None => tracing::info!(target: TARGET, node = inner.name, %pid, "{what}"),
        }
        let wants = self.flags.contains(kind);
        let Some(follower) = self.follower.as_ref().filter(|_| wants) else { return };
        let now = inner.runtime.unix_time().as_micros();
        let missed = follower.take_missed();
        let event = TraceEvent {
            pid,
            unix_micros: u64::try_from(now).unwrap_or(u64::MAX),
            trace: context.map(|context| context.trace),
            hops,
            missed,
            what,
        };
        let content = Content::Value(Box::new(event));
        if inner.try_send(Place::NOBODY, follower.pid, None, content).is_err() {
            follower.misses(missed.saturating_add(1));
        }
    }
}

/// Whether a traced process has its turn on this thread.
#[inline]
pub(crate) fn is_on() -> bool {
    ON.get()
}

/// The context for what is sent now, where the process that has its turn is traced, or acts under one.
#[inline]
pub(crate) fn outgoing(inner: &Inner) -> Option<TraceContext> {
    if ON.get() { outgoing_on(inner) } else { None }
}

#[cold]
fn outgoing_on(inner: &Inner) -> Option<TraceContext> {
    ACTIVE.with_borrow(|active| {
        let active = active.as_ref().filter(|active| active.pid.node == inner.id)?;
        let next = active.token.and_then(TraceContext::next);
        let traced = !active.flags.is_none();
        next.or_else(|| TraceContext::begin(inner).next().filter(|_| traced))
    })
}

/// Says that a message, by the name of its type, has been sent under a context of [`outgoing`].
#[inline]
pub(crate) fn sent(
    inner: &Arc<Inner>,
    context: Option<TraceContext>,
    to: Pid,
    message: Option<String>,
) {
    if let Some(message) = message {
        apart(inner, |active| {
            if active.shows(TraceFlags::SEND, active.token) {
                active.tell(inner, TraceFlags::SEND, context, Traced::Sent { to, message });
            }
        });
    }
}

/// Says that a process has been started.
#[inline]
pub(crate) fn spawned(inner: &Arc<Inner>, child: Pid) {
    if ON.get() {
        apart(inner, |active| {
            if active.flags.contains(TraceFlags::PROCS) {
                active.tell(inner, TraceFlags::PROCS, active.token, Traced::Spawned { child });
            }
        });
    }
}

/// Works with the process that has its turn; what is sent meanwhile is not traced.
#[cold]
fn apart(inner: &Inner, work: impl FnOnce(&Active)) {
    let Some(active) = ACTIVE.take() else { return };
    let on = ON.replace(false);
    if active.pid.node == inner.id {
        work(&active);
    }
    ACTIVE.set(Some(active));
    ON.set(on);
}

/// Says something of a process that is rare enough for a look at its cell.
pub(crate) fn note(inner: &Arc<Inner>, process: Place, what: impl FnOnce() -> Traced) {
    let mut seen = None;
    inner.table.visit(process.index, process.generation, |slot| {
        seen = of(inner, process, slot);
        None
    });
    if let Some(active) = seen {
        off(|| active.tell(inner, TraceFlags::PROCS, active.token, what()));
    }
}

/// Says that a process has ended; `slot` is what its cell held.
pub(crate) fn exited(inner: &Arc<Inner>, process: Place, slot: &Slot, reason: &ExitReason) {
    if slot.traced
        && let Some(active) = of(inner, process, slot)
    {
        let what = Traced::Exited { reason: reason.to_string() };
        off(|| active.tell(inner, TraceFlags::PROCS, active.token, what));
    }
}

/// As a process of which [`TraceFlags::PROCS`] are traced.
fn of(inner: &Inner, process: Place, slot: &Slot) -> Option<Active> {
    let tracing = slot.rare.as_ref()?.trace.as_ref()?;
    let flags = tracing.flags();
    flags.contains(TraceFlags::PROCS).then(|| Active {
        pid: inner.local_pid(process),
        flags,
        follower: tracing.follower(),
        token: tracing.token,
        came: false,
    })
}

/// Does something of which nothing is traced.
fn off(work: impl FnOnce()) {
    let on = ON.replace(false);
    work();
    ON.set(on);
}

/// The type of a message or reply. `None`: it is a signal, or an event of somebody's trace, of which none
/// is told: two that follow each other would never end.
fn message(inner: &Inner, entry: &Envelope) -> Option<String> {
    let (subject, kind) = match entry {
        Envelope::Parcel { parcel, .. } => match &**parcel {
            Parcel::Reply { result: Ok(content), .. } => (content.subject(), " (reply)"),
            Parcel::Reply { result: Err(refusal), .. } => {
                return Some(format!("a refusal ({refusal})"));
            }
            Parcel::Call { content, .. } => (content.subject(), " (call)"),
            Parcel::Port { ty, .. } => (Subject::Type(*ty), " (port)"),
            _ => (entry.subject()?, ""),
        },
        Envelope::Port { value, .. } => (Subject::Value(&**value), " (port)"),
        Envelope::Small { port, ty, .. } if *port != 0 => (Subject::Type(*ty), " (port)"),
        entry => (entry.subject()?, ""),
    };
    name(inner, subject).map(|name| name + kind)
}

/// The name of a content's type.
#[cold]
pub(crate) fn name_of(inner: &Inner, content: &Content) -> Option<String> {
    name(inner, content.subject())
}

/// As [`name_of`], of a type's number.
#[cold]
pub(crate) fn name_of_type(inner: &Inner, ty: TypeNo) -> Option<String> {
    name(inner, Subject::Type(ty))
}

/// A type's name and version.
fn name(inner: &Inner, subject: Subject<'_>) -> Option<String> {
    let named = |name: &str, version| {
        let is_event = name == <TraceEvent as midflight_message::Message>::NAME;
        (!is_event).then(|| format!("{name}@{version}"))
    };
    match subject {
        Subject::Value(value) => named(value.type_info().name(), value.type_info().version()),
        Subject::Type(ty) => {
            let entry = inner.types.entry(ty);
            named(&entry.name, entry.version)
        }
    }
}
