//! The types that a peer has announced on one link. Pure.

use midflight_transport_api::ConnectionId;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::types::TypeNo;

/// The peer's numbers of types.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    types: FxHashMap<u32, TypeNo>,
    /// Where each was announced: every lane announces a type anew, and once.
    lanes: FxHashSet<(ConnectionId, u32)>,
}

impl Announced {
    /// What a number of the peer's stands for.
    pub(crate) fn get(&self, number: u32) -> Option<TypeNo> {
        self.types.get(&number).copied()
    }

    /// Whether there is room for a number, of which there may be `max`.
    pub(crate) fn has_room(&self, number: u32, max: usize) -> bool {
        self.types.len() < max || self.types.contains_key(&number)
    }

    /// The peer says on a lane what a number stands for.
    ///
    /// # Errors
    /// It may not say that.
    pub(crate) fn enter(
        &mut self,
        lane: ConnectionId,
        number: u32,
        ty: TypeNo,
    ) -> Result<(), &'static str> {
        if *self.types.entry(number).or_insert(ty) != ty {
            return Err("a number of a type that stands for another");
        }
        match self.lanes.insert((lane, number)) {
            true => Ok(()),
            false => Err("a type that was announced on this lane before"),
        }
    }
}
