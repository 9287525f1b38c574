//! What runs in a cell that a process has left: it hands on what still comes there.
//!
//! It is a body like any other. So its mailbox has the process's bounds and gives back the credit of those who
//! send there, the frames it sends keep the order in which things came, and the monitors, links and names that
//! others have tied to the process in this cell stay as they were. It watches the cell that the process has gone to:
//! when the process ends, so does this, for the same reason, and whoever watched here is told.

use std::any::Any;
use std::collections::BTreeMap;

use midflight_message::Pid;
use midflight_runtime::Instant;

use super::directory::Location;
use super::senders::Senders;
use super::sorted::{Entry, Item, sorted};
use super::word::{Behalf, HOPS_MAX, Word};
use crate::letters::unread::tell_undelivered;
use crate::mailbox::envelope::{CallRef, Content, Envelope, Parcel, Refusal, Sender};
use crate::peer::wire::Signal;
use crate::scheduler::actions::Written;
use crate::scheduler::body::{Body, Flow, Label};
use crate::scheduler::pace::Pace;
use crate::scheduler::turn::{Batch, Origin, Turn};
use crate::send::{Kind, NotSent};
use crate::waits::{Wait, WaitKind};
use crate::{Down, ExitReason, Exited, MonitorRef};

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
    /// Who has sent what nobody answers, to be told when the next cell is lost.
    senders: Senders,
    pace: Pace,
}

impl Forwarder {
    pub(super) fn new(process: Pid, to: Location) -> Self {
        Self {
            process,
            to,
            watch: None,
            waiting: None,
            calls: BTreeMap::new(),
            senders: Senders::default(),
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
                let follows = self.follows(turn, &reason);
                if matches!(reason, ExitReason::NoConnection(_)) {
                    self.tells_loss(turn, &reason, !follows);
                }
                if follows {
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

    /// The next cell is lost: those are told whose messages may be lost with it.
    fn tells_loss(&mut self, turn: &Turn<'_>, reason: &ExitReason, ends: bool) {
        let inner = &turn.node.inner;
        // With a node that leaves go its links, which tells it.
        if inner.is_leaving() {
            return;
        }
        let (told, more) = self.senders.lost(ends);
        if more {
            tracing::warn!(process = %self.process, "more than remembered may have lost messages to it");
        }
        let refusal =
            Refusal::Aborted { reason: format!("what was sent last may be lost: {reason}") };
        for sender in told {
            tell_undelivered(inner, turn.place, sender, refusal.clone());
        }
    }

    fn answered(&mut self, turn: &Turn<'_>, call: CallRef, result: Result<Content, Refusal>) {
        if let Some((caller, call)) = self.calls.remove(&call) {
            turn.node.inner.reply(turn.place, caller, call, result);
        }
    }

    /// Hands something on. `Err`: there is no room for it yet; the cell is woken.
    fn hand_on(&mut self, turn: &mut Turn<'_>, item: Item) -> Result<(), Item> {
        let Item { from, behalf, kind, content } = item;
        let sender = match behalf.hops {
            0 | 1 => from,
            _ => turn.node.inner.sender_of(behalf.origin),
        };
        let refused = |turn: &Turn<'_>, why: String, tell: bool| {
            tracing::warn!(process = %turn.me(), why, "a message is not handed on");
            let refusal = Refusal::Aborted { reason: why };
            match kind {
                Kind::Call(call) => turn.node.inner.reply(turn.place, from, call, Err(refusal)),
                _ if tell => tell_undelivered(&turn.node.inner, turn.place, sender, refusal),
                _ => {}
            }
        };
        if behalf.hops > HOPS_MAX {
            refused(turn, format!("it was handed on {HOPS_MAX} times"), true);
            return Ok(());
        }
        let mut handed = self.try_hand_on(turn, behalf, (from, kind), content);
        if let Err(NotSent::Full(content)) = handed {
            turn.wait_for_room(self.cell());
            // Room made in between is not missed.
            handed = self.try_hand_on(turn, behalf, (from, kind), content);
        }
        // The monitor on the next cell says when that is lost.
        let may_be_lost =
            matches!(handed, Ok(()) | Err(NotSent::NotConnected(..) | NotSent::Disconnected(_)));
        if may_be_lost && !matches!(kind, Kind::Call(_)) {
            self.senders.add(sender, behalf.hops);
        }
        match handed {
            Ok(()) => Ok(()),
            Err(NotSent::Full(content)) => Err(Item { from, behalf, kind, content }),
            Err(why) => {
                refused(turn, reason(&why), !may_be_lost);
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
        let Kind::Call(call) = kind else {
            return self.hand_on_as(turn, behalf, kind, content);
        };
        if self.calls.len() >= CALLS_MAX {
            return Err(NotSent::NotConnected(self.to.node, content));
        }
        // A call of this cell's own: the reply comes back here, and from here to the caller.
        let own = turn.node.inner.next_call();
        self.hand_on_as(turn, behalf, Kind::Call(own), content)?;
        self.calls.insert(own, (from, call));
        Ok(())
    }

    /// Hands something on to the next cell, which may be one of this node, where the process has come back. A call has this cell's
    /// own number.
    fn hand_on_as(
        &self,
        turn: &Turn<'_>,
        behalf: Behalf,
        kind: Kind,
        content: Content,
    ) -> Result<(), NotSent> {
        let (inner, me, to) = (&turn.node.inner, turn.place, self.to);
        if to.node == inner.id {
            return inner.hand_on_here((me, behalf), to.place, kind, content);
        }
        let Some(peer) = inner.peer(to.node) else {
            return Err(NotSent::NotConnected(to.node, content));
        };
        let Kind::Call(own) = kind else {
            return inner.hand_on((me, behalf), &peer, to.place, kind, content);
        };
        if !peer.pending.add_call(own, me) {
            return Err(NotSent::NotConnected(to.node, content));
        }
        let sent = inner.hand_on((me, behalf), &peer, to.place, kind, content);
        if sent.is_err() {
            peer.pending.take_call(own);
        }
        sent
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
