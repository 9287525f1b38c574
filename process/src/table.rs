//! The process table: a slab of cells in chunks that never move.
//!
//! A pid is an index and a generation; a dead pid shows as another generation. A slot whose
//! generation is used up is retired, so that no pid is ever used twice (P1). Chunks are kept for
//! the node's life.

mod room;
pub(crate) mod slot;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::mailbox::envelope::{Envelope, Parcel, Sender};
use crate::mailbox::{Inbox, InboxPool, Mailbox};
use crate::peer::wire::Place;
use crate::scheduler::body::Body;
use crate::table::slot::{Rare, Run, Slot};
use crate::trace::TraceContext;
use crate::types::TypeNo;
use room::Shut;
pub(crate) use room::{NoRoom, NotDelivered, Room};

const CHUNK: usize = 8_192;

type Chunk = Box<[Mutex<Slot>]>;

/// All cells of a node.
pub(crate) struct Table {
    chunks: Box<[OnceLock<Chunk>]>,
    free: Mutex<Free>,
    living: AtomicUsize,
    pub(crate) pool: InboxPool,
}

struct Free {
    slots: Vec<u32>,
    /// Slots from here on have never been used.
    fresh: u32,
    capacity: u32,
    /// How often a slot was taken.
    taken: u64,
}

/// The table is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableFull;

impl Table {
    pub(crate) fn new(capacity: u32) -> Self {
        let chunks = (capacity as usize).div_ceil(CHUNK);
        Self {
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
            free: Mutex::new(Free { slots: Vec::new(), fresh: 0, capacity, taken: 0 }),
            living: AtomicUsize::new(0),
            pool: InboxPool::default(),
        }
    }

    /// The cell at `index`, if there has ever been one.
    #[inline]
    pub(crate) fn slot(&self, index: u32) -> Option<&Mutex<Slot>> {
        let index = index as usize;
        self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK)
    }

    pub(crate) fn living(&self) -> usize {
        self.living.load(Ordering::Relaxed)
    }

    /// Gives a reserved cell its body. Answers false when it is not reserved any more.
    pub(crate) fn fill(&self, index: u32, generation: u32, body: Box<dyn Body>, run: Run) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        let mut slot = slot.lock();
        if !slot.is(generation) || slot.run != Run::Reserved {
            return false;
        }
        slot.body = Some(body);
        slot.run = run;
        true
    }

    /// Takes a free cell for a process that is to come; messages to it wait.
    pub(crate) fn reserve(&self) -> Result<(u32, u32), TableFull> {
        let index = {
            let mut free = self.free.lock();
            let index = match free.slots.pop() {
                Some(index) => index,
                None if free.fresh < free.capacity => {
                    free.fresh += 1;
                    free.fresh - 1
                }
                None => return Err(TableFull),
            };
            free.taken += 1;
            index
        };
        self.chunks[index as usize / CHUNK]
            .get_or_init(|| (0..CHUNK).map(|_| Mutex::new(Slot::default())).collect());
        let slot = self.slot(index).expect("its chunk has just been made");
        let mut slot = slot.lock();
        debug_assert_eq!(slot.run, Run::Free);
        slot.run = Run::Reserved;
        self.living.fetch_add(1, Ordering::Relaxed);
        Ok((index, slot.generation))
    }

    /// Empties the cell of a process that has ended. Answers what it held, to be dropped outside
    /// the lock.
    pub(crate) fn remove(&self, index: u32, generation: u32) -> Option<Slot> {
        self.remove_if(index, generation, |_| true)
    }

    /// As [`Table::remove`], of a process whose body is not with a runner.
    pub(crate) fn remove_at_rest(&self, index: u32, generation: u32) -> Option<Slot> {
        self.remove_if(index, generation, |run| run != Run::Running)
    }

    fn remove_if(
        &self,
        index: u32,
        generation: u32,
        may: impl FnOnce(Run) -> bool,
    ) -> Option<Slot> {
        let slot = self.slot(index)?;
        let (old, next) = {
            let mut slot = slot.lock();
            if !slot.is(generation) || !may(slot.run) {
                return None;
            }
            let next = generation.checked_add(1);
            let empty = Slot { generation: next.unwrap_or(u32::MAX), ..Slot::default() };
            (std::mem::replace(&mut *slot, empty), next)
        };
        if next.is_some() {
            self.free.lock().slots.push(index);
        }
        self.living.fetch_sub(1, Ordering::Relaxed);
        Some(old)
    }

    /// The cell of a living process that has room for one entry more.
    #[inline]
    fn admit(
        &self,
        index: u32,
        generation: u32,
        room: Option<Room>,
    ) -> Result<MutexGuard<'_, Slot>, Shut> {
        let slot = self.slot(index).ok_or(Shut::Dead)?.lock();
        if !slot.is(generation) {
            return Err(Shut::Dead);
        }
        if room.is_some_and(|room| !room.has_some(&slot.mailbox)) {
            return Err(Shut::Full);
        }
        Ok(slot)
    }

    /// Puts `entry` into a mailbox. Answers whether the process must be put on a run queue.
    #[inline]
    pub(crate) fn deliver(
        &self,
        index: u32,
        generation: u32,
        entry: Envelope,
        room: Option<Room>,
    ) -> Result<bool, NotDelivered> {
        match self.admit(index, generation, room) {
            Ok(mut slot) => {
                slot.mailbox.push(entry, &self.pool);
                Ok(queue(&mut slot))
            }
            Err(shut) => Err(shut.gives_back(entry)),
        }
    }

    /// As [`Table::deliver`], of a value for a port. `Ok(Err)`: the port is not open.
    pub(crate) fn deliver_value(
        &self,
        to: Place,
        port: u32,
        entry: Envelope,
        room: Option<Room>,
    ) -> Result<Result<bool, Envelope>, NotDelivered> {
        let mut slot = match self.admit(to.index, to.generation, room) {
            Ok(slot) => slot,
            Err(shut) => return Err(shut.gives_back(entry)),
        };
        let open = |rare: &Rare| rare.relations.monitors.is_open(port);
        if !slot.rare.as_deref().is_some_and(open) {
            return Ok(Err(entry));
        }
        slot.mailbox.push(entry, &self.pool);
        Ok(Ok(queue(&mut slot)))
    }

    /// As [`Table::deliver`], with the context of a message before it.
    #[cold]
    pub(crate) fn deliver_marked(
        &self,
        (index, generation): (u32, u32),
        context: TraceContext,
        entry: Envelope,
        room: Option<Room>,
    ) -> Result<bool, NotDelivered> {
        let mut slot = match self.admit(index, generation, room) {
            Ok(slot) => slot,
            Err(shut) => return Err(shut.gives_back(entry)),
        };
        slot.tracing().marked();
        let parcel = Box::new(Parcel::Mark(context));
        slot.mailbox.push(Envelope::Parcel { from: Sender::NOBODY, parcel }, &self.pool);
        slot.mailbox.push(entry, &self.pool);
        Ok(queue(&mut slot))
    }

    /// Whether so much lies in a living process's mailbox that a peer's signals, which take no room, have
    /// flooded it.
    pub(crate) fn is_crowded(&self, index: u32, generation: u32, room: Room) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        let slot = slot.lock();
        let mailbox = &slot.mailbox;
        let entries = u32::try_from(mailbox.entries()).unwrap_or(u32::MAX);
        let most = entries.max(mailbox.messages);
        slot.is(generation) && (most >= room.messages || mailbox.bytes >= room.bytes)
    }

    /// Lets `look` at a living process, which may answer something for its mailbox. `None`: no such
    /// process; else whether it must be put on a run queue. `look` runs under the cell's lock.
    pub(crate) fn visit(
        &self,
        index: u32,
        generation: u32,
        look: impl FnOnce(&mut Slot) -> Option<Envelope>,
    ) -> Option<bool> {
        let mut slot = self.slot(index)?.lock();
        if !slot.is(generation) {
            return None;
        }
        let Some(entry) = look(&mut slot) else { return Some(false) };
        let is_exit = entry.is_exit();
        slot.mailbox.push(entry, &self.pool);
        // Who waits for room or for a schema is told to end all the same.
        Some(if is_exit { wake(&mut slot) } else { queue(&mut slot) })
    }

    /// As [`Table::deliver`], for a small encoded message, which is copied into the mailbox.
    /// `None`: no such process; `Some(Err)`: no room.
    pub(crate) fn deliver_small(
        &self,
        index: u32,
        generation: u32,
        (from, ty, payload): (Sender, TypeNo, &[u8]),
        room: Room,
    ) -> Option<Result<bool, NoRoom>> {
        let mut slot = self.slot(index)?.lock();
        if !slot.is(generation) {
            return None;
        }
        if !room.has_some(&slot.mailbox) {
            return Some(Err(NoRoom));
        }
        slot.mailbox.push_small(from, ty, payload, &self.pool);
        Some(Ok(queue(&mut slot)))
    }

    /// Puts a run of entries into a mailbox, which leaves `run` empty. `None`: no such process;
    /// `Some(Err)`: no room.
    pub(crate) fn deliver_run(
        &self,
        index: u32,
        generation: u32,
        run: &mut Box<Inbox>,
        room: Room,
    ) -> Option<Result<bool, NoRoom>> {
        let mut slot = self.slot(index)?.lock();
        if !slot.is(generation) {
            return None;
        }
        if !room.has_some(&slot.mailbox) {
            return Some(Err(NoRoom));
        }
        slot.mailbox.push_run(run, &self.pool);
        Some(Ok(queue(&mut slot)))
    }

    /// Wakes a process for something other than a message. Answers whether it must be put on a run
    /// queue.
    pub(crate) fn wake(&self, index: u32, generation: u32) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        let mut slot = slot.lock();
        slot.is(generation) && wake(&mut slot)
    }

    /// How many processes there were, and how many live.
    pub(crate) fn spawned(&self) -> (u64, usize) {
        // In this order: one that begins in between has not ended.
        let living = self.living();
        (self.free.lock().taken, living)
    }

    /// Shows the mailbox of every process, each under its cell's lock.
    pub(crate) fn each_mailbox(&self, mut show: impl FnMut(Place, &Mailbox)) {
        let fresh = self.free.lock().fresh;
        for index in 0..fresh {
            let Some(slot) = self.slot(index) else { continue };
            let slot = slot.lock();
            if slot.run != Run::Free {
                show(Place { index, generation: slot.generation }, &slot.mailbox);
            }
        }
    }

    /// Index and generation of every living process, in order of index.
    pub(crate) fn pids(&self) -> Vec<(u32, u32)> {
        let fresh = self.free.lock().fresh;
        (0..fresh)
            .filter_map(|index| {
                let slot = self.slot(index)?.lock();
                (slot.run != Run::Free).then_some((index, slot.generation))
            })
            .collect()
    }
}

/// For something other than a message. Answers whether the process must be put on a run queue.
fn wake(slot: &mut Slot) -> bool {
    match slot.run {
        Run::Idle | Run::Parked => {
            slot.run = Run::Queued;
            true
        }
        Run::Running | Run::Frozen | Run::Reserved => {
            slot.woken = true;
            false
        }
        Run::Queued | Run::Free => false,
    }
}

/// For a message. Answers whether the process must be put on a run queue.
#[inline]
fn queue(slot: &mut Slot) -> bool {
    let idle = slot.run == Run::Idle;
    if idle {
        slot.run = Run::Queued;
    }
    idle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::body::{Flow, Label};
    use crate::scheduler::turn::{Batch, Turn};

    struct Nothing;

    impl Body for Nothing {
        fn turn(&mut self, _: &mut Batch, _: &mut Turn<'_>) -> Flow {
            Flow::Wait
        }
        fn is_quiescent(&self) -> bool {
            true
        }
        fn label(&self) -> Label {
            Label::new("nothing", 0)
        }
        fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
            self
        }
    }

    fn insert(table: &Table) -> Result<(u32, u32), TableFull> {
        let (index, generation) = table.reserve()?;
        assert!(table.fill(index, generation, Box::new(Nothing), Run::Idle));
        Ok((index, generation))
    }

    fn value() -> Envelope {
        Envelope::Value { from: Sender::NOBODY, value: Box::new(1_u64) }
    }

    #[test]
    fn a_pid_is_never_used_twice() {
        let table = Table::new(1);
        let (index, first) = insert(&table).unwrap();
        assert!(insert(&table).is_err(), "full");
        assert!(table.remove(index, first).is_some());
        let (again, second) = insert(&table).unwrap();
        assert_eq!(index, again);
        assert_ne!(first, second);
        assert!(matches!(table.deliver(index, first, value(), None), Err(NotDelivered::Dead(_))));
    }

    #[test]
    fn a_slot_with_no_generation_left_is_retired() {
        let table = Table::new(1);
        let (index, _) = insert(&table).unwrap();
        table.slot(index).unwrap().lock().generation = u32::MAX;
        assert!(table.remove(index, u32::MAX).is_some());
        assert!(insert(&table).is_err());
    }

    #[test]
    fn bounds_hold_for_those_who_keep_to_them() {
        let table = Table::new(1);
        let (index, generation) = insert(&table).unwrap();
        let room = Some(Room { messages: 2, bytes: 1 << 20 });
        assert!(table.deliver(index, generation, value(), room).unwrap(), "first: to be queued");
        assert!(!table.deliver(index, generation, value(), room).unwrap());
        let third = table.deliver(index, generation, value(), room);
        assert!(matches!(third, Err(NotDelivered::Full(_))));
        assert!(table.deliver(index, generation, value(), None).is_ok(), "a signal always may");
    }
}
