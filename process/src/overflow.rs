//! What a full link did not take: a row for each lane, so that what waits in one holds up no other.

use std::collections::VecDeque;

use bytes::Bytes;
use midflight_transport_api::{Outgoing, Room};

use crate::peer::{Lane, Staged};
use crate::types::TypeNo;

/// A frame that waits.
pub(crate) struct Kept {
    pub(crate) lane: Lane,
    pub(crate) head: Vec<u8>,
    pub(crate) ty: Option<TypeNo>,
    pub(crate) large: Option<Bytes>,
}

/// See the [module](self).
pub(crate) struct Overflow {
    /// The data lanes and, last, the control lane.
    rows: Vec<VecDeque<Kept>>,
    bytes: usize,
}

impl Overflow {
    pub(crate) fn new(data_lanes: usize) -> Self {
        Self { rows: (0..=data_lanes).map(|_| VecDeque::new()).collect(), bytes: 0 }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `frame` can go to the link now: nothing of its lane waits, and there is room.
    pub(crate) fn lets_pass(&self, frame: &Staged<'_>, outgoing: &Outgoing) -> bool {
        self.rows[self.row(frame.lane)].is_empty()
            && outgoing.has_room(room(frame.head, frame.large.as_ref()))
    }

    pub(crate) fn keep(&mut self, frame: &mut Staged<'_>) {
        let Staged { lane, head, ty, large } = frame;
        let kept = Kept { lane: *lane, head: head.to_vec(), ty: *ty, large: large.take() };
        self.bytes += kept.size();
        let row = self.row(kept.lane);
        self.rows[row].push_back(kept);
    }

    /// Gives `append` what there is room for, in the order of each lane.
    pub(crate) fn drain(
        &mut self,
        outgoing: &mut Outgoing,
        mut append: impl FnMut(&mut Outgoing, Kept),
    ) {
        for row in &mut self.rows {
            while let Some(kept) = row.pop_front_if(|kept| outgoing.has_room(kept.room())) {
                self.bytes -= kept.size();
                append(outgoing, kept);
            }
        }
    }

    /// The room that the next frame needs, whichever lane's it is.
    pub(crate) fn needs(&self) -> Room {
        let short = |kept: &Kept| kept.room() == Room::Small;
        let any_short = self.rows.iter().filter_map(VecDeque::front).any(short);
        if any_short { Room::Small } else { Room::Large }
    }

    /// For each lane, by its row, whether something waits.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = bool> {
        self.rows.iter().map(|row| !row.is_empty())
    }

    fn row(&self, lane: Lane) -> usize {
        lane.row(self.rows.len() - 1)
    }
}

impl Kept {
    fn room(&self) -> Room {
        room(&self.head, self.large.as_ref())
    }

    /// Never 0.
    fn size(&self) -> usize {
        64 + self.head.len() + self.large.as_ref().map_or(0, Bytes::len)
    }
}

/// The room for a frame.
fn room(head: &[u8], large: Option<&Bytes>) -> Room {
    Room::of(head.len() + large.map_or(0, Bytes::len))
}

#[cfg(test)]
mod tests {
    use midflight_transport_api::{Limits, SMALL_MAX};

    use super::*;

    const LARGE: Bytes = Bytes::from_static(&[7; 2 * SMALL_MAX]);

    fn staged(lane: usize, large: bool) -> Staged<'static> {
        Staged { lane: Lane::Data(lane), head: b"head", ty: None, large: large.then_some(LARGE) }
    }

    /// Where a large message waits, its lane waits behind it, and the others do not.
    #[test]
    fn a_lane_waits_for_itself_alone() {
        let limits = Limits { bulk: SMALL_MAX, ..Limits::default() };
        let mut outgoing = Outgoing::new(limits);
        let bulk = outgoing.open().unwrap();
        outgoing.message_bytes(bulk, &[], LARGE).unwrap();
        assert!(outgoing.has_room(Room::Small) && !outgoing.has_room(Room::Large));

        let mut overflow = Overflow::new(2);
        assert!(!overflow.lets_pass(&staged(0, true), &outgoing));
        overflow.keep(&mut staged(0, true));
        assert!(!overflow.lets_pass(&staged(0, false), &outgoing), "behind it");
        overflow.keep(&mut staged(0, false));
        assert!(overflow.lets_pass(&staged(1, false), &outgoing), "beside it");
        assert_eq!(overflow.needs(), Room::Large);
        assert_eq!(overflow.waiting().collect::<Vec<_>>(), [true, false, false]);

        overflow.drain(&mut outgoing, |_, _| panic!("there is no room for the first"));
        let (mut empty, mut came) = (Outgoing::new(limits), Vec::new());
        overflow.drain(&mut empty, |_, kept| came.push(kept.large.is_some()));
        assert_eq!((came, overflow.is_empty()), (vec![true, false], true));
    }
}
