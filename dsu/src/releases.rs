//! The highest release of each bundle that a node has run, and the file in which it keeps that: an older one is not
//! taken for news, however well it is signed (U4). Pure: numbers go in, bytes come out.
//!
//! Releases are counted for each key by itself. So an old bundle does not pass because it has fewer signatures than the
//! new one, and who takes a bundle over with a key of its own begins to count anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sealed::{SealError, open, seal};
use crate::signature::PublicKey;

/// The file's name.
pub(crate) const FILE: &str = "releases";
/// What it is for, and its form.
const KIND: &[u8; 9] = b"MFRELEAS\x01";
/// The most pairs of a name and a key that are kept.
const PAIRS_MAX: usize = 4_096;
/// A file that is longer is none of ours, in bytes: each pair takes less than 300.
pub(crate) const FILE_BYTES_MAX: u64 = 2 << 20;

/// The highest release for each bundle's name and each key that has signed it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Releases {
    highest: BTreeMap<(String, PublicKey), u64>,
}

/// A bundle is older than one that this node has run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "release {release} of `{bundle}` is older than release {highest}, which this node has run, by the same key \
     ({key}): build it with a higher release number, or go back to what was current with `midflight rollback`"
)]
pub struct OlderRelease {
    /// The bundle's name.
    pub bundle: String,
    /// The release that was to come.
    pub release: u64,
    /// The highest that was run.
    pub highest: u64,
    /// Who has signed both.
    pub key: PublicKey,
}

impl Releases {
    /// That none of those who signed a bundle has signed a newer one that was run here.
    ///
    /// # Errors
    /// [`OlderRelease`].
    pub(crate) fn refuse_older(
        &self,
        bundle: &str,
        keys: &[PublicKey],
        release: u64,
    ) -> Result<(), OlderRelease> {
        for key in keys {
            let highest = self.highest.get(&(bundle.to_owned(), *key)).copied().unwrap_or(0);
            if release < highest {
                let bundle = bundle.to_owned();
                return Err(OlderRelease { bundle, release, highest, key: *key });
            }
        }
        Ok(())
    }

    /// A bundle has been run. Answers whether that is news; `Err`: there is no room for another name or key.
    pub(crate) fn ran(
        &mut self,
        bundle: &str,
        keys: &[PublicKey],
        release: u64,
    ) -> Result<bool, NoRoom> {
        let mut is_news = false;
        for key in keys {
            let pair = (bundle.to_owned(), *key);
            if self.highest.len() >= PAIRS_MAX && !self.highest.contains_key(&pair) {
                return Err(NoRoom);
            }
            let highest = self.highest.entry(pair).or_insert(0);
            is_news |= release > *highest;
            *highest = release.max(*highest);
        }
        Ok(is_news)
    }

    /// The file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let record = self.highest.iter().map(|((bundle, key), highest)| Line {
            bundle: bundle.clone(),
            key: key.to_string(),
            highest: *highest,
        });
        seal(KIND, &record.collect::<Vec<_>>())
    }

    /// What such a file says.
    pub(crate) fn read(file: &[u8]) -> Result<Self, SealError> {
        let record: Vec<Line> = open(KIND, file)?;
        if record.len() > PAIRS_MAX {
            return Err(SealError::Foreign);
        }
        let pair = |Line { bundle, key, highest }: Line| {
            let key = key.parse().map_err(|_no_key| SealError::Foreign)?;
            Ok(((bundle, key), highest))
        };
        let highest = record.into_iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Self { highest })
    }
}

/// What is in the file of a name and a key.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    bundle: String,
    key: String,
    highest: u64,
}

/// As many names and keys are known as are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("releases of {PAIRS_MAX} bundles and keys are remembered, which is as many as may be")]
pub struct NoRoom;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::HASH_BYTES;
    use crate::signature::SigningKey;

    fn key(byte: u8) -> PublicKey {
        hex::encode([byte; 32]).parse::<SigningKey>().unwrap().public()
    }

    fn ran(releases: &[(&str, &[u8], u64)]) -> Releases {
        let mut all = Releases::default();
        for (bundle, keys, release) in releases {
            let keys: Vec<_> = keys.iter().map(|byte| key(*byte)).collect();
            all.ran(bundle, &keys, *release).unwrap();
        }
        all
    }

    #[test]
    fn an_older_release_of_the_same_key_is_refused_and_the_same_one_is_not() {
        let releases = ran(&[("a", &[1], 5)]);
        assert_eq!(releases.refuse_older("a", &[key(1)], 5), Ok(()));
        assert_eq!(releases.refuse_older("a", &[key(1)], 6), Ok(()));
        let refused = releases.refuse_older("a", &[key(1)], 4).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("release 4 of `a` is older than release 5"), "{text}");
        assert_eq!(releases.refuse_older("b", &[key(1)], 4), Ok(()), "another bundle");
        assert_eq!(releases.refuse_older("a", &[key(2)], 1), Ok(()), "who takes it over");
    }

    #[test]
    fn a_signature_fewer_or_more_is_no_way_round() {
        let releases = ran(&[("a", &[1, 2], 5)]);
        for keys in [&[1][..], &[2], &[2, 1], &[3, 2]] {
            let keys: Vec<_> = keys.iter().map(|byte| key(*byte)).collect();
            assert!(releases.refuse_older("a", &keys, 4).is_err(), "{keys:?}");
        }
    }

    #[test]
    fn the_highest_stays_when_an_older_one_runs_again() {
        let mut releases = ran(&[("a", &[1], 5)]);
        assert_eq!(releases.ran("a", &[key(1)], 3), Ok(false));
        assert!(releases.refuse_older("a", &[key(1)], 4).is_err());
        assert_eq!(releases.ran("a", &[key(1)], 7), Ok(true));
        assert!(releases.refuse_older("a", &[key(1)], 6).is_err());
    }

    #[test]
    fn the_file_says_what_was_written_and_no_other_bytes_do() {
        let releases = ran(&[("a", &[1, 2], 5), ("b", &[1], u64::MAX)]);
        let file = releases.write();
        assert_eq!(Releases::read(&file), Ok(releases));
        for at in 0..file.len() {
            assert!(Releases::read(&file[..at]).is_err(), "cut at {at}");
            let mut garbled = file.clone();
            garbled[at] ^= 1;
            assert!(Releases::read(&garbled).is_err(), "garbled at {at}");
        }
        assert_eq!(Releases::read(b""), Err(SealError::Foreign));
    }

    /// Nodes that were stopped have such files.
    #[test]
    fn golden() {
        let file = ran(&[("a", &[1], 5)]).write();
        let golden =
            format!("{}010161{}{}05", hex::encode(KIND), "40", hex::encode(key(1).to_string()));
        assert_eq!(hex::encode(&file[..file.len() - HASH_BYTES]), golden);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let mut releases = Releases::default();
        for number in 0..PAIRS_MAX {
            releases.ran(&number.to_string(), &[key(1)], 1).unwrap();
        }
        assert_eq!(releases.ran("one more", &[key(1)], 1), Err(NoRoom));
        assert_eq!(releases.ran("0", &[key(1)], 2), Ok(true));
        let size = releases.write().len() as u64;
        assert!(size < FILE_BYTES_MAX, "{size}");
    }
}
