//! What runs in a cell that a process has left: it hands on what still comes there.
//!
//! It is a body like any other. So its mailbox has the process's bounds and gives back the credit of those who
//! send there, the frames it sends keep the order in which things came, and the monitors, links and names that
//! others have tied to the process in this cell stay as they were. It watches the cell that the process has gone to:
//! when the process ends, so does this, for the same reason, and whoever watched here is told.

use std::any::Any;
use std::collections::BTreeMap;

use bytes::Bytes;
use midflight_message::Pid;
use midflight_runtime::Instant;

use super::directory::Location;
use super::word::{Behalf, HOPS_MAX, Notice, Word};
use crate::mailbox::came::Came;
use crate::mailbox::envelope::{CallRef, Content, Envelope, Parcel, Refusal, Sender};
use crate::mailbox::value::Value;
use crate::peer::wire::Signal;
use crate::scheduler::actions::Written;
use crate::scheduler::body::{Body, Flow, Label};
use crate::scheduler::pace::Pace;
use crate::scheduler::turn::{Batch, Origin, Turn};
use crate::send::{Kind, NotSent};
use crate::types::TypeNo;
use crate::waits::{Wait, WaitKind};
use crate::{Disconnected, Down, ExitReason, Exited, MonitorRef, NodeDown, Undelivered};

/// Calls handed on that are not answered yet, in one cell.
const CALLS_MAX: usize = 65_536;

/// The body of a cell that a process has left.
pub(crate) struct Forwarder {
    process: Pid,
    /// Where it has gone.
    to: Location,
    /// The monitor on its cell there; none until the first turn.
    watch: Option<MonitorRef>,
    /// What waits for room there, or to be known whole here: where it goes, this node is asked for its schema.
    waiting: Option<Entry>,
    /// Calls handed on, with who made them; by this node's own numbers.
    calls: BTreeMap<CallRef, (Sender, CallRef)>,
    pace: Pace,
}

/// Something to be handed on.
struct Item {
    /// Who is to have a reply: the cell from which it came.
    from: Sender,
    behalf: Behalf,
    kind: Kind,
    content: Content,
}

/// Something that has come, sorted by what becomes of it.
enum Entry {
    Message(Item),
    Word(Word),
    Reply(CallRef, Sender, Result<Content, Refusal>),
}

impl Entry {
    /// Who has sent it here, in which form, where that is of another node's.
    const fn written(&self) -> Option<(Sender, TypeNo)> {
        match self {
            Self::Message(Item { from, content: Content::Bytes { ty, .. }, .. })
            | Self::Reply(_, from, Ok(Content::Bytes { ty, .. })) => Some((*from, *ty)),
            _ => None,
        }
    }
}

impl Forwarder {
    pub(super) fn new(process: Pid, to: Location) -> Self {
        Self {
            process,
            to,
            watch: None,
            waiting: None,
            calls: BTreeMap::new(),
            pace: Pace::default(),
        }
    }

    /// The cell it has gone to.
    const fn cell(&self) -> Pid {
        let Location { node, place, .. } = self.to;
        Pid { node, index: place.index, generation: place.generation }
    }

    /// Gives the process up: it begins where it has gone, and is watched there.
    fn begin(&mut self, turn: &mut Turn<'_>) {
        let word = Word::Begin { process: self.process, epoch: self.to.epoch };
        self.say(turn, word);
        turn.node.inner.tell_where(self.process, self.to);
        self.watch = Some(turn.node.inner.monitor(turn.place, self.cell(), None));
    }

    fn say(&self, turn: &mut Turn<'_>, word: Word) {
        let inner = &turn.node.inner;
        if self.to.node == inner.id {
            return inner.take_own_word(self.to.place, turn.place, word);
        }
        // Where there is no link, the monitor has said so.
        let Some(peer) = inner.peer(self.to.node) else { return };
        let (to, from) = (self.to.place, turn.place);
        inner.signal_pair(&peer, from, to, Signal::Relocated { to, from, word });
    }

    fn work(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        while turn.goes_on(&mut self.pace) {
            if let Some(entry) = self.waiting.take()
                && let Err(entry) = self.pass(turn, entry)
            {
                self.waiting = Some(entry);
                return Flow::Park;
            }
            let Some(entry) = batch.came.pop() else { return Flow::Wait };
            batch.handled.add(entry.from(), entry.weight());
            if let Some(reason) = self.process_ended(&entry).or_else(|| leaves(turn, &entry)) {
                if self.follows(turn, &reason) {
                    continue;
                }
                return Flow::Exit(reason);
            }
            self.waiting = sorted(turn, entry, &batch.came);
        }
        if self.waiting.is_some() {
            turn.waker().wake();
        }
        Flow::Wait
    }

    /// Passes an entry on. `Err`: not yet; the cell is woken.
    fn pass(&mut self, turn: &mut Turn<'_>, entry: Entry) -> Result<(), Entry> {
        if let Some((from, ty)) = entry.written()
            && matches!(turn.written(Origin::direct(from), ty), Written::Later)
        {
            return Err(entry);
        }
        match entry {
            Entry::Message(item) => return self.hand_on(turn, item).map_err(Entry::Message),
            Entry::Word(word) => self.say(turn, word),
            Entry::Reply(call, _, result) => self.answered(turn, call, result),
        }
        Ok(())
    }

    /// Why the process has ended, if that is what came.
    fn process_ended(&self, entry: &Envelope) -> Option<ExitReason> {
        let Envelope::Told { value, .. } = entry else { return None };
        let any: &dyn Any = &**value;
        let down = any.downcast_ref::<Down>().filter(|down| Some(down.monitor) == self.watch)?;
        Some(match &down.reason {
            ExitReason::NoProcess => {
                ExitReason::NoConnection(String::from("it was lost on its way to another node"))
            }
            reason => reason.clone(),
        })
    }

    /// Where the cell is lost that this one hands on to, and the process is known to have gone on from there, it is
    /// handed on to where it has gone.
    fn follows(&mut self, turn: &Turn<'_>, reason: &ExitReason) -> bool {
        let inner = &turn.node.inner;
        if !matches!(reason, ExitReason::NoConnection(_)) || inner.is_leaving() {
            return false;
        }
        let Some(to) = inner.relocation.goes_on(turn.place, self.process) else { return false };
        tracing::info!(process = %self.process, node = %to.node, "it is handed on past a node that is lost");
        self.to = to;
        self.watch = Some(inner.monitor(turn.place, self.cell(), None));
        true
    }

    fn answered(&mut self, turn: &Turn<'_>, call: CallRef, result: Result<Content, Refusal>) {
        if let Some((caller, call)) = self.calls.remove(&call) {
            turn.node.inner.reply(turn.place, caller, call, result);
        }
    }

    /// Hands something on. `Err`: there is no room for it yet; the cell is woken.
    fn hand_on(&mut self, turn: &mut Turn<'_>, item: Item) -> Result<(), Item> {
        let Item { from, behalf, kind, content } = item;
        let refused = |turn: &Turn<'_>, why: String| {
            tracing::warn!(process = %turn.me(), why, "a message is not handed on");
            if let Kind::Call(call) = kind {
                let refusal = Refusal::Aborted { reason: why };
                turn.node.inner.reply(turn.place, from, call, Err(refusal));
            }
        };
        if behalf.hops > HOPS_MAX {
            refused(turn, format!("it was handed on {HOPS_MAX} times"));
            return Ok(());
        }
        let mut handed = self.try_hand_on(turn, behalf, (from, kind), content);
        if let Err(NotSent::Full(content)) = handed {
            turn.wait_for_room(self.cell());
            // Room made in between is not missed.
            handed = self.try_hand_on(turn, behalf, (from, kind), content);
        }
        match handed {
            Ok(()) => Ok(()),
            Err(NotSent::Full(content)) => Err(Item { from, behalf, kind, content }),
            Err(why) => {
                refused(turn, reason(&why));
                Ok(())
            }
        }
    }

    fn try_hand_on(
        &mut self,
        turn: &Turn<'_>,
        behalf: Behalf,
        (from, kind): (Sender, Kind),
        content: Content,
    ) -> Result<(), NotSent> {
        let (inner, me) = (&turn.node.inner, turn.place);
        if self.to.node == inner.id {
            return self.hand_on_here(turn, behalf, (from, kind), content);
        }
        let Some(peer) = inner.peer(self.to.node) else {
            return Err(NotSent::NotConnected(self.to.node, content));
        };
        let Kind::Call(call) = kind else {
            return inner.hand_on((me, behalf), &peer, self.to.place, kind, content);
        };
        // A call of this cell's own: the reply comes back here, and from here to the caller.
        let own = inner.next_call();
        if self.calls.len() >= CALLS_MAX || !peer.pending.add_call(own, me) {
            return Err(NotSent::NotConnected(self.to.node, content));
        }
        let sent = inner.hand_on((me, behalf), &peer, self.to.place, Kind::Call(own), content);
        match &sent {
            Ok(()) => drop(self.calls.insert(own, (from, call))),
            Err(_) => drop(peer.pending.take_call(own)),
        }
        sent
    }

    /// As [`Self::try_hand_on`], to a process that has come back to this node.
    fn hand_on_here(
        &mut self,
        turn: &Turn<'_>,
        behalf: Behalf,
        (from, kind): (Sender, Kind),
        content: Content,
    ) -> Result<(), NotSent> {
        let (inner, me) = (&turn.node.inner, turn.place);
        let Kind::Call(call) = kind else {
            return inner.hand_on_here((me, behalf), self.to.place, kind, content);
        };
        if self.calls.len() >= CALLS_MAX {
            return Err(NotSent::NotConnected(self.to.node, content));
        }
        let own = inner.next_call();
        inner.hand_on_here((me, behalf), self.to.place, Kind::Call(own), content)?;
        self.calls.insert(own, (from, call));
        Ok(())
    }
}

/// Why this cell ends, where what came is this node's own end: that is no end of the process.
fn leaves(turn: &Turn<'_>, entry: &Envelope) -> Option<ExitReason> {
    if !turn.node.inner.is_leaving() {
        return None;
    }
    let reason = match entry {
        Envelope::Parcel { parcel, .. } => match &**parcel {
            Parcel::Exit { reason, .. } => reason,
            _ => return None,
        },
        Envelope::Told { value, .. } => {
            let any: &dyn Any = &**value;
            &any.downcast_ref::<Exited>()?.reason
        }
        _ => return None,
    };
    let why = "the node was shut down by way of which it was reached; it lives on";
    (*reason == ExitReason::Shutdown).then(|| ExitReason::NoConnection(why.into()))
}

/// What an entry is to a cell that hands on; `None`: nothing.
fn sorted(turn: &Turn<'_>, entry: Envelope, came: &Came) -> Option<Entry> {
    let inner = &turn.node.inner;
    let from = entry.from();
    let item = |kind: Kind, content: Content| {
        let behalf = Behalf { origin: inner.pid(from), hops: 1 };
        Some(Entry::Message(Item { from, behalf, kind, content }))
    };
    match entry {
        Envelope::Value { value, .. } => item(Kind::Message, Content::Value(value)),
        Envelope::Told { value, .. } => told(&*value),
        Envelope::Small { port, ty, start, len, .. } => {
            let bytes = Bytes::copy_from_slice(came.small(start, len));
            let kind = if port == 0 { Kind::Message } else { Kind::Port(port) };
            item(kind, Content::Bytes { ty, bytes })
        }
        Envelope::Port { value, .. } => {
            item(Kind::Port(value.port().unwrap_or_default()), Content::Value(value))
        }
        Envelope::Parcel { parcel, .. } => match *parcel {
            Parcel::Forwarded { origin, hops, parcel } => {
                let behalf = Behalf { origin: inner.pid(origin), hops: hops.saturating_add(1) };
                let (kind, content) = parcel_item(*parcel)?;
                Some(Entry::Message(Item { from, behalf, kind, content }))
            }
            Parcel::Reply { call, result } => Some(Entry::Reply(call, from, result)),
            Parcel::Exit { reason, .. } => Some(Entry::Word(Word::End { reason })),
            Parcel::Notice(value) => told(&*value),
            other => {
                let (kind, content) = parcel_item(other)?;
                item(kind, content)
            }
        },
    }
}

fn parcel_item(parcel: Parcel) -> Option<(Kind, Content)> {
    match parcel {
        Parcel::Large { ty, bytes } => Some((Kind::Message, Content::Bytes { ty, bytes })),
        Parcel::Port { port, ty, bytes } => Some((Kind::Port(port), Content::Bytes { ty, bytes })),
        Parcel::Call { call, content } => Some((Kind::Call(call), content)),
        _ => None,
    }
}

/// What the node tells the process.
fn told(value: &dyn Value) -> Option<Entry> {
    let any: &dyn Any = value;
    let notice = if let Some(down) = any.downcast_ref::<Down>() {
        Notice::Down(down.clone())
    } else if let Some(exited) = any.downcast_ref::<Exited>() {
        Notice::Exited(exited.clone())
    } else if let Some(down) = any.downcast_ref::<NodeDown>() {
        Notice::NodeDown(down.clone())
    } else if let Some(notice) = any.downcast_ref::<Undelivered>() {
        Notice::Undelivered(notice.clone())
    } else if let Some(lost) = any.downcast_ref::<Disconnected>() {
        Notice::Disconnected(lost.clone())
    } else {
        tracing::warn!(
            what = value.type_info().name(),
            "news for a process that has moved is lost"
        );
        return None;
    };
    Some(Entry::Word(Word::Told { notice }))
}

impl Body for Forwarder {
    fn turn(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        if self.watch.is_none() {
            self.begin(turn);
        }
        let flow = self.work(batch, turn);
        if let Flow::Exit(reason) = &flow {
            let text = format!("the process ended: {reason}");
            for (_, (caller, call)) in std::mem::take(&mut self.calls) {
                let refusal = Refusal::Aborted { reason: text.clone() };
                turn.node.inner.reply(turn.place, caller, call, Err(refusal));
            }
        }
        flow
    }

    /// Never: nothing can be taken out here but by the end of the process.
    fn is_quiescent(&self) -> bool {
        false
    }

    fn has_work(&self) -> bool {
        true
    }

    fn label(&self) -> Label {
        Label::new(FORWARDER, 0)
    }

    fn waits(&self, _now: Instant) -> Vec<Wait> {
        let room =
            self.waiting.as_ref().map(|_| Wait::new(WaitKind::Room, Some(self.cell()), None));
        vec![room.unwrap_or_else(|| Wait::new(WaitKind::Message, None, None))]
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// What runs in a cell that a process has left, for people.
pub(crate) const FORWARDER: &str = "midflight.forwarder";

/// Why a message was not handed on, without anything of what is in it.
fn reason(why: &NotSent) -> String {
    match why {
        NotSent::Full(_) => "there is no room where the process has gone".to_owned(),
        NotSent::NotConnected(..) => "there is no link to where the process has gone".to_owned(),
        NotSent::Disconnected(_) => "the link to where the process has gone was lost".to_owned(),
        NotSent::Closed(_) => "there is no such port where the process has gone".to_owned(),
        NotSent::TooLarge { max } => format!("it is larger than {max} bytes"),
        NotSent::Encode(error) => error.to_string(),
        NotSent::TooManyTypes => "too many types were announced on that link".to_owned(),
        NotSent::Incompatible(mismatch) => mismatch.to_string(),
    }
}
