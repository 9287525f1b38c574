//! The files of bundles that others fetch: each is asked for in many parts, and read from the disk once.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::bundle::BUNDLE_BYTES_MAX;
use crate::hash::ContentAddress;

/// How many are kept.
const FILES_MAX: usize = 8;

/// Those that were asked for last, the last of them first; of more than [`BUNDLE_BYTES_MAX`] together, the last alone.
#[derive(Debug, Default)]
pub(super) struct Served(VecDeque<(ContentAddress, Bytes)>);

impl Served {
    pub(super) fn get(&mut self, address: ContentAddress) -> Option<Bytes> {
        let at = self.0.iter().position(|(of, _)| *of == address)?;
        let found = self.0.remove(at)?;
        let file = found.1.clone();
        self.0.push_front(found);
        Some(file)
    }

    pub(super) fn keep(&mut self, address: ContentAddress, file: Bytes) {
        self.forget(address);
        self.0.push_front((address, file));
        let bytes = |served: &Self| served.0.iter().map(|(_, file)| file.len() as u64).sum::<u64>();
        while self.0.len() > 1 && (self.0.len() > FILES_MAX || bytes(self) > BUNDLE_BYTES_MAX) {
            self.0.pop_back();
        }
    }

    /// It may be another now, such as one with more signatures.
    pub(super) fn forget(&mut self, address: ContentAddress) {
        self.0.retain(|(of, _)| *of != address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_are_fetched_in_turn_stay_and_the_oldest_goes() {
        let address = |byte| ContentAddress::of(&[byte]);
        let mut served = Served::default();
        for byte in 0..8 {
            served.keep(address(byte), Bytes::from_owner([byte]));
        }
        assert!(served.get(address(0)).is_some() && served.get(address(1)).is_some());
        served.keep(address(8), Bytes::new());
        assert_eq!(
            (served.get(address(2)), served.get(address(0))),
            (None, Some(Bytes::from_owner([0])))
        );
        served.forget(address(0));
        assert_eq!(served.get(address(0)), None);
    }
}
