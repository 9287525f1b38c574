//! Bundles on their way in, chunk by chunk. Pure: chunks in, what is wanted next out.
//!
//! Chunks come in order and are kept in memory; a transfer that was broken off goes on where it
//! stopped. Every bound is checked before anything is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use midflight_runtime::Instant;

use crate::bundle::BUNDLE_BYTES_MAX;
use crate::hash::ContentAddress;
use crate::protocol::{CHUNK_BYTES, Wanted};

/// Transfers at one time. The one that has been idle longest makes room.
const TRANSFERS_MAX: usize = 4;

/// How long a transfer may rest before what has come of it is forgotten.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);

/// Transfers under way.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    transfers: BTreeMap<ContentAddress, Transfer>,
}

#[derive(Debug)]
struct Transfer {
    size: usize,
    bytes: Vec<u8>,
    last: Instant,
}

/// What a chunk comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Took {
    /// This is to be answered.
    Wanted(Wanted),
    /// The bundle's file is whole; nothing of it has been checked.
    Whole(Vec<u8>),
}

impl Incoming {
    /// Somebody wants to send a bundle of that size.
    pub(crate) fn offer(&mut self, address: ContentAddress, size: u64, now: Instant) -> Wanted {
        let Some(size) = usize::try_from(size).ok().filter(|_| size <= BUNDLE_BYTES_MAX) else {
            return Wanted::Refused(format!(
                "the bundle has {size} bytes; a node takes at most {BUNDLE_BYTES_MAX}"
            ));
        };
        if size == 0 {
            return Wanted::Refused("the bundle is empty".into());
        }
        if self.transfers.len() >= TRANSFERS_MAX && !self.transfers.contains_key(&address) {
            let idle = self.transfers.iter().min_by_key(|(_, transfer)| transfer.last);
            if let Some((&idle, _)) = idle {
                self.transfers.remove(&idle);
            }
        }
        let transfer = self.transfers.entry(address).or_insert_with(|| Transfer {
            size,
            bytes: Vec::new(),
            last: now,
        });
        if transfer.size != size {
            // The file around one manifest may differ by its signatures.
            *transfer = Transfer { size, bytes: Vec::new(), last: now };
        }
        transfer.last = now;
        Wanted::From(transfer.bytes.len() as u64)
    }

    /// Forgets what nobody has sent anything of for so long that nobody will.
    pub(crate) fn forget_idle(&mut self, now: Instant) {
        self.transfers.retain(|_, transfer| now.since(transfer.last) < IDLE_MAX);
    }

    /// A chunk has come.
    pub(crate) fn chunk(
        &mut self,
        address: ContentAddress,
        offset: u64,
        chunk: &[u8],
        now: Instant,
    ) -> Took {
        let refused = |why: &str| Took::Wanted(Wanted::Refused(why.to_owned()));
        let Some(transfer) = self.transfers.get_mut(&address) else {
            return refused("the bundle was not offered, or its transfer made room for others");
        };
        if chunk.len() > CHUNK_BYTES || chunk.is_empty() {
            return refused("a chunk has 1 to 65,536 bytes");
        }
        transfer.last = now;
        let at = transfer.bytes.len();
        if offset != at as u64 {
            return Took::Wanted(Wanted::From(at as u64));
        }
        if at + chunk.len() > transfer.size {
            self.transfers.remove(&address);
            return refused("the bundle is longer than was announced");
        }
        transfer.bytes.extend_from_slice(chunk);
        if transfer.bytes.len() < transfer.size {
            return Took::Wanted(Wanted::From(transfer.bytes.len() as u64));
        }
        match self.transfers.remove(&address) {
            Some(transfer) => Took::Whole(transfer.bytes),
            None => refused("the transfer is gone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(0);

    fn address(n: u8) -> ContentAddress {
        ContentAddress::from([n; 32])
    }

    #[test]
    fn chunks_in_order_make_the_file_and_others_are_asked_for_again() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.offer(address(1), 5, NOW), Wanted::From(0));
        let took = incoming.chunk(address(1), 0, b"abc", NOW);
        assert_eq!(took, Took::Wanted(Wanted::From(3)));
        let took = incoming.chunk(address(1), 0, b"abc", NOW);
        assert_eq!(took, Took::Wanted(Wanted::From(3)), "the same again");
        assert_eq!(incoming.offer(address(1), 5, NOW), Wanted::From(3), "it goes on");
        assert_eq!(incoming.chunk(address(1), 3, b"de", NOW), Took::Whole(b"abcde".to_vec()));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let mut incoming = Incoming::default();
        assert!(matches!(incoming.offer(address(1), u64::MAX, NOW), Wanted::Refused(_)));
        assert!(matches!(incoming.offer(address(1), 0, NOW), Wanted::Refused(_)));
        incoming.offer(address(1), 2, NOW);
        let longer = incoming.chunk(address(1), 0, b"abc", NOW);
        assert!(matches!(longer, Took::Wanted(Wanted::Refused(_))));
        let unknown = incoming.chunk(address(2), 0, b"abc", NOW);
        assert!(matches!(unknown, Took::Wanted(Wanted::Refused(_))));
    }

    #[test]
    fn what_rests_for_too_long_is_forgotten() {
        let mut incoming = Incoming::default();
        incoming.offer(address(1), 9, NOW);
        incoming.forget_idle(NOW + IDLE_MAX / 2);
        assert_eq!(incoming.transfers.len(), 1);
        incoming.chunk(address(1), 0, b"a", NOW + IDLE_MAX / 2);
        incoming.forget_idle(NOW + IDLE_MAX);
        assert_eq!(incoming.transfers.len(), 1, "a chunk came in between");
        incoming.forget_idle(NOW + 2 * IDLE_MAX);
        assert!(incoming.transfers.is_empty());
    }

    #[test]
    fn the_idle_transfer_makes_room() {
        let mut incoming = Incoming::default();
        for n in 0..5 {
            incoming.offer(address(n), 9, Instant::from_nanos(u64::from(n)));
        }
        assert_eq!(incoming.transfers.len(), TRANSFERS_MAX);
        assert!(!incoming.transfers.contains_key(&address(0)));
    }
}
