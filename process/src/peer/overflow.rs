//! What a full link did not take: a row for each lane, so that what waits in one holds up no other.

use std::collections::VecDeque;

use bytes::Bytes;
use midflight_transport_api::{Outgoing, Room};

use crate::peer::{Lane, Staged};
use crate::types::TypeNo;

/// Bytes of frames that took credit from which on nothing large may be added, on whatever lane.
const CROWDED: usize = 8 << 20;

/// A frame that waits.
pub(crate) struct Kept {
    pub(crate) lane: Lane,
    pub(crate) extensions: Vec<u8>,
    pub(crate) head: Vec<u8>,
    pub(crate) ty: Option<TypeNo>,
    pub(crate) large: Vec<Bytes>,
    charged: bool,
}

/// See the [module](self).
pub(crate) struct Overflow {
    /// The data lanes and, last, the control lane.
    rows: Vec<VecDeque<Kept>>,
    /// Where the next round begins, so that no lane is always the last.
    first: usize,
    /// Bytes of frames that took credit.
    charged: usize,
    /// Bytes of those that never wait for any.
    free: usize,
}

impl Overflow {
    pub(crate) fn new(data_lanes: usize) -> Self {
        let rows = (0..=data_lanes).map(|_| VecDeque::new()).collect();
        Self { rows, first: data_lanes, charged: 0, free: 0 }
    }

    /// Whether nothing waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.charged + self.free == 0
    }

    /// Bytes of frames that take no credit, and so wait for nothing before they come here.
    pub(crate) const fn free_bytes(&self) -> usize {
        self.free
    }

    /// Whether so much waits that nothing large that takes credit may come here.
    pub(crate) const fn is_crowded(&self) -> bool {
        self.charged >= CROWDED
    }

    /// Whether `frame` can go to the link now: nothing of its lane waits, and there is room.
    pub(crate) fn lets_pass(&self, frame: &Staged<'_>, outgoing: &Outgoing) -> bool {
        self.rows[self.row(frame.lane)].is_empty()
            && outgoing.has_room(room(frame.head, &frame.large))
    }

    pub(crate) fn keep(&mut self, frame: &mut Staged<'_>) {
        let Staged { lane, extensions, head, ty, large, charged } = frame;
        let (extensions, head) = (extensions.to_vec(), head.to_vec());
        let large = std::mem::take(large);
        let kept = Kept { lane: *lane, extensions, head, ty: *ty, large, charged: *charged };
        *self.bytes(kept.charged) += kept.size();
        let row = self.row(kept.lane);
        self.rows[row].push_back(kept);
    }

    /// Gives `append` what there is room for: a frame of each lane in turns, in the order of each lane.
    pub(crate) fn drain(
        &mut self,
        outgoing: &mut Outgoing,
        mut append: impl FnMut(&mut Outgoing, Kept),
    ) {
        let count = self.rows.len();
        let mut in_vain = 0;
        while in_vain < count {
            let row = self.first;
            match self.rows[row].pop_front_if(|kept| outgoing.has_room(kept.room())) {
                Some(kept) => {
                    *self.bytes(kept.charged) -= kept.size();
                    append(outgoing, kept);
                    in_vain = 0;
                }
                None => in_vain += 1,
            }
            self.first = (row + 1) % count;
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

    const fn bytes(&mut self, charged: bool) -> &mut usize {
        if charged { &mut self.charged } else { &mut self.free }
    }

    fn row(&self, lane: Lane) -> usize {
        lane.row(self.rows.len() - 1)
    }
}

impl Kept {
    fn room(&self) -> Room {
        room(&self.head, &self.large)
    }

    /// Never 0.
    fn size(&self) -> usize {
        64 + self.extensions.len() + len(&self.head, &self.large)
    }
}

/// The room for a frame.
fn room(head: &[u8], large: &[Bytes]) -> Room {
    Room::of(len(head, large))
}

/// Bytes of a frame without its extensions.
pub(crate) fn len(head: &[u8], large: &[Bytes]) -> usize {
    large.iter().fold(head.len(), |len, part| len + part.len())
}

#[cfg(test)]
mod tests {
    use midflight_transport_api::{Limits, SMALL_MAX};

    use super::*;

    const LARGE: Bytes = Bytes::from_static(&[7; 2 * SMALL_MAX]);

    fn staged(lane: usize, large: bool) -> Staged<'static> {
        let large = large.then_some(LARGE).into_iter().collect();
        let (lane, extensions, head) = (Lane::Data(lane), &b""[..], &b"head"[..]);
        Staged { lane, extensions, head, ty: None, large, charged: true }
    }

    /// Many lanes that each keep something are crowded together, and no lane is always the last.
    #[test]
    fn lanes_are_bounded_together_and_take_turns() {
        let mut overflow = Overflow::new(4);
        let mut rounds = 0;
        while !overflow.is_crowded() {
            (0..4).for_each(|lane| overflow.keep(&mut staged(lane, true)));
            rounds += 1;
        }
        assert!((CROWDED / LARGE.len() / 4).abs_diff(rounds) < 20, "{rounds} rounds");
        assert!(overflow.is_crowded());
        assert_eq!(overflow.free_bytes(), 0, "nobody has sent without credit");
        let limits = Limits { bulk: 1, ..Limits::default() };
        let mut came = Vec::new();
        for _ in 0..8 {
            // Room for one at a time.
            let mut outgoing = Outgoing::new(limits);
            let id = outgoing.open().unwrap();
            overflow.drain(&mut outgoing, |outgoing, kept| {
                came.push(kept.lane.row(4));
                outgoing.message_bytes(id, &[], LARGE).unwrap();
            });
        }
        assert_eq!(came, [0, 1, 2, 3, 0, 1, 2, 3]);
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
        overflow.drain(&mut empty, |_, kept| came.push(!kept.large.is_empty()));
        assert_eq!((came, overflow.is_empty()), (vec![true, false], true));
    }
}
