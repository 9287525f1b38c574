//! Short numbers for nodes: what lies in mailboxes and tables says with four bytes which node it is of.
//!
//! A number is a row of a table and how often that row was given away before. Peers keep theirs; the
//! numbers of nodes that have gone are kept as well, so that a message that still lies somewhere has its
//! sender, until so many others have gone since that the row is given to a new node. Then the old number
//! names nobody, and never the new node: a row would have to be given away 4,096 times, and each time
//! tens of thousands of other nodes to come and go, while one message lies unread.

use std::collections::BTreeMap;
use std::sync::Arc;

use midflight_message::NodeId;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::peer::unhandled::Unhandled;

/// Nodes that have gone whose numbers are kept.
const GONE_MAX: usize = if cfg!(test) { 64 } else { 65_536 };

const ROW_BITS: u32 = 20;
/// Two numbers of senders that are no nodes, `Sender::NOBODY` and `Sender::again`, have the last rows.
const ROWS_MAX: usize = (1 << ROW_BITS) - 2;

/// The numbers of one node. It is 0 itself.
#[derive(Debug)]
pub(crate) struct Numbers(RwLock<Table>);

/// The number of a node, kept for it while this lives.
#[derive(Debug)]
pub(crate) struct Number {
    numbers: Arc<Numbers>,
    number: u32,
    unhandled: Arc<Unhandled>,
}

#[derive(Debug)]
struct Table {
    rows: Vec<Row>,
    by_id: FxHashMap<NodeId, u32>,
    /// Rows of nodes that nobody has a link to, by when they went.
    gone: BTreeMap<u64, u32>,
    /// How often somebody went.
    times: u64,
}

#[derive(Debug)]
struct Row {
    id: NodeId,
    /// How often it was given away before.
    round: u32,
    /// How many keep it.
    held: u32,
    /// When it went, when nobody keeps it.
    went: u64,
    unhandled: Arc<Unhandled>,
}

impl Numbers {
    pub(crate) fn new(own: NodeId) -> Self {
        let row = Row { held: 1, ..Row::new(own, 0) };
        let by_id = FxHashMap::from_iter([(own, 0)]);
        let table = Table { rows: vec![row], by_id, gone: BTreeMap::new(), times: 0 };
        Self(RwLock::new(table))
    }

    /// Keeps a number for a node. `None`: there are as many peers as there are numbers.
    pub(crate) fn keep(self: &Arc<Self>, id: NodeId) -> Option<Number> {
        let (number, unhandled) = self.0.write().keep(id)?;
        Some(Number { numbers: self.clone(), number, unhandled })
    }

    /// The node with this number, if that is still its.
    pub(crate) fn node(&self, number: u32) -> Option<NodeId> {
        self.0.read().row(number).map(|row| row.id)
    }

    /// What lies unhandled of the node with this number.
    pub(crate) fn unhandled(&self, number: u32) -> Option<Arc<Unhandled>> {
        self.0.read().row(number).map(|row| row.unhandled.clone())
    }

    /// The number of a node that is a peer, or went not long ago.
    pub(crate) fn number(&self, id: NodeId) -> Option<u32> {
        let table = self.0.read();
        let row = *table.by_id.get(&id)?;
        Some(number_of(row, table.rows[row as usize].round))
    }
}

impl Number {
    pub(crate) const fn get(&self) -> u32 {
        self.number
    }

    /// What lies unhandled of the node.
    pub(crate) fn unhandled(&self) -> &Unhandled {
        &self.unhandled
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.numbers.0.write().let_go(row_of(self.number));
    }
}

impl Row {
    fn new(id: NodeId, round: u32) -> Self {
        Self { id, round, held: 0, went: 0, unhandled: Arc::default() }
    }
}

impl Table {
    /// The row with this number, if it is still that one's.
    fn row(&self, number: u32) -> Option<&Row> {
        let row = self.rows.get(row_of(number) as usize)?;
        (number_of(row_of(number), row.round) == number).then_some(row)
    }

    fn keep(&mut self, id: NodeId) -> Option<(u32, Arc<Unhandled>)> {
        let at = match self.by_id.get(&id) {
            Some(at) => *at,
            None => self.row_for(id)?,
        };
        let row = &mut self.rows[at as usize];
        if row.held == 0 {
            self.gone.remove(&row.went);
        }
        row.held += 1;
        Some((number_of(at, row.round), row.unhandled.clone()))
    }

    /// A row that nobody keeps yet.
    fn row_for(&mut self, id: NodeId) -> Option<u32> {
        let at = if self.gone.len() >= GONE_MAX || self.rows.len() >= ROWS_MAX {
            let (_, at) = self.gone.pop_first()?;
            let row = &mut self.rows[at as usize];
            self.by_id.remove(&row.id);
            *row = Row::new(id, row.round.wrapping_add(1));
            at
        } else {
            let at = u32::try_from(self.rows.len()).ok()?;
            self.rows.push(Row::new(id, 0));
            at
        };
        self.by_id.insert(id, at);
        Some(at)
    }

    fn let_go(&mut self, at: u32) {
        let row = &mut self.rows[at as usize];
        row.held -= 1;
        if row.held == 0 {
            // No row has the time 0: it is none.
            self.times += 1;
            row.went = self.times;
            self.gone.insert(self.times, at);
        }
    }
}

const fn row_of(number: u32) -> u32 {
    number & ((1 << ROW_BITS) - 1)
}

const fn number_of(row: u32, round: u32) -> u32 {
    round << ROW_BITS | row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::envelope::Sender;

    const OWN: NodeId = NodeId(1);

    fn numbers() -> Arc<Numbers> {
        Arc::new(Numbers::new(OWN))
    }

    #[test]
    fn nodes_without_end_come_and_go_and_a_number_never_names_another() {
        let numbers = numbers();
        let peer = numbers.keep(NodeId(2)).unwrap();
        let mut given = FxHashMap::default();
        for id in 100..10_000 {
            let number = numbers.keep(NodeId(id)).unwrap();
            assert_eq!(given.insert(number.get(), id), None, "twice");
            assert!(Sender { node: number.get(), index: 0, generation: 0 }.is_remote());
            drop(number);
            // It has gone, and what it has sent has its sender still.
            let number = numbers.number(NodeId(id)).unwrap();
            assert_eq!(numbers.node(number), Some(NodeId(id)));
        }
        for (number, id) in given {
            let node = numbers.node(number);
            let known = numbers.number(NodeId(id));
            assert_eq!(node.is_some(), id >= 10_000 - GONE_MAX as u64, "{id}");
            assert_eq!(node, known.map(|_| NodeId(id)));
        }
        assert_eq!(numbers.node(peer.get()), Some(NodeId(2)), "a peer keeps its own");
        assert_eq!((numbers.node(0), numbers.number(OWN)), (Some(OWN), Some(0)));
        let table = numbers.0.read();
        assert!(table.rows.len() <= GONE_MAX + 3 && table.by_id.len() == table.rows.len());
    }

    #[test]
    fn two_links_of_one_node_keep_its_number_until_both_have_gone() {
        let numbers = numbers();
        let (one, other) = (numbers.keep(NodeId(2)).unwrap(), numbers.keep(NodeId(2)).unwrap());
        assert_eq!(one.get(), other.get());
        drop(one);
        (100..1_000).for_each(|id| drop(numbers.keep(NodeId(id))));
        assert_eq!(numbers.node(other.get()), Some(NodeId(2)));
        let number = other.get();
        drop(other);
        // Whoever comes again soon has it again.
        assert_eq!(numbers.keep(NodeId(2)).unwrap().get(), number);
        (1_000..2_000).for_each(|id| drop(numbers.keep(NodeId(id))));
        assert_eq!((numbers.node(number), numbers.number(NodeId(2))), (None, None));
    }

    #[test]
    fn a_node_that_comes_again_and_again_takes_no_room() {
        let numbers = numbers();
        (100..110).for_each(|id| drop(numbers.keep(NodeId(id))));
        (0..10_000).for_each(|_| drop(numbers.keep(NodeId(2))));
        let table = numbers.0.read();
        assert_eq!((table.rows.len(), table.gone.len()), (12, 11));
    }
}
