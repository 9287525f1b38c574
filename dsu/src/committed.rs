//! What the cluster has decided to run, as a node knows it, and the file in which it keeps that (R4). Pure: what
//! was decided goes in, bytes come out.
//!
//! Each decision about a bundle's name has a number, and a later one a higher: who knows of a higher number knows
//! better, whatever any clock says. Two halves of a cluster that decide apart may take the same number: then the
//! higher version counts, and of two builds of one version the higher address, so that all agree once they meet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hash::ContentAddress;
use crate::history::{Change, History};
use crate::policy::Policy;
use crate::sealed::{SealError, open, seal};

/// The file's name.
pub(crate) const FILE: &str = "committed";
/// What it is for, and its form.
const KIND: &[u8; 9] = b"MFCOMMIT\x01";
/// A file that is longer is none of ours, in bytes: 64 changes of a thousand bundles have a tenth of it.
pub(crate) const FILE_BYTES_MAX: u64 = 64 * 1_024 * 1_024;

/// What was decided about one bundle's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The number of the decision: higher than that of any before, whoever took it. Halves of a cluster that cannot
    /// see each other may take the same.
    pub number: u64,
    /// The version that runs.
    pub version: u32,
    /// Its bundle.
    pub address: ContentAddress,
    /// What became of the processes of other versions.
    pub policy: Policy,
}

impl Standing {
    /// Of two decisions about a name the one with the higher rank counts.
    pub(crate) const fn rank(&self) -> (u64, u32, &ContentAddress) {
        (self.number, self.version, &self.address)
    }
}

/// What was decided, by the bundles' names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    names: BTreeMap<String, Standing>,
}

impl Committed {
    /// Takes a decision in. Answers whether it is news; an older one, or the same again, changes nothing.
    pub(crate) fn commit(&mut self, bundle: &str, standing: Standing) -> bool {
        let is_known = self.of(bundle).is_some_and(|own| own.rank() >= standing.rank());
        if is_known || standing.number == 0 {
            return false;
        }
        self.names.insert(bundle.to_owned(), standing);
        true
    }

    /// What was decided about a bundle's name.
    #[must_use]
    pub fn of(&self, bundle: &str) -> Option<&Standing> {
        self.names.get(bundle)
    }

    /// The number of the last decision about a bundle's name; 0 before the first.
    #[must_use]
    pub fn number(&self, bundle: &str) -> u64 {
        self.of(bundle).map_or(0, |standing| standing.number)
    }

    /// All decisions, by the bundles' names.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Standing)> {
        self.names.iter().map(|(name, standing)| (name.as_str(), standing))
    }
}

/// What is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    names: Vec<(String, Standing)>,
    changes: Vec<(String, Vec<Change>)>,
}

/// The file of what is committed, and of what was current before.
pub(crate) fn write(committed: &Committed, history: &History) -> Vec<u8> {
    let names = committed.all().map(|(name, standing)| (name.to_owned(), *standing)).collect();
    let mut changes = BTreeMap::<_, Vec<_>>::new();
    for (name, change) in history.changes(None) {
        changes.entry(name.to_owned()).or_default().push(change.clone());
    }
    seal(KIND, &Record { names, changes: changes.into_iter().collect() })
}

/// What such a file says.
pub(crate) fn read(file: &[u8]) -> Result<(Committed, History), SealError> {
    let record: Record = open(KIND, file)?;
    let mut history = History::default();
    for (name, changes) in record.changes {
        for change in changes {
            history.record(&name, change);
        }
    }
    Ok((Committed { names: record.names.into_iter().collect() }, history))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::Cause;
    use crate::sealed::HASH_BYTES;

    fn standing(number: u64, version: u32) -> Standing {
        let address = ContentAddress::from([version as u8; 32]);
        Standing { number, version, address, policy: Policy::Drain }
    }

    fn sample() -> (Committed, History) {
        let (mut committed, mut history) = (Committed::default(), History::default());
        committed.commit("a", standing(3, 2));
        let current = Some((2, ContentAddress::from([2; 32])));
        let why = Some("because".to_owned());
        let at = Duration::from_secs(1);
        history.record("a", Change { current, at, cause: Cause::Activated, why });
        (committed, history)
    }

    #[test]
    fn a_higher_number_knows_better_and_the_same_is_no_news() {
        let mut committed = Committed::default();
        assert_eq!(committed.number("a"), 0);
        assert!(committed.commit("a", standing(2, 1)));
        assert!(!committed.commit("a", standing(2, 1)), "it was decided");
        assert!(!committed.commit("a", standing(1, 9)), "it is old");
        assert!(committed.commit("a", standing(5, 3)));
        assert_eq!(committed.of("a"), Some(&standing(5, 3)));
        assert_eq!(committed.number("b"), 0);
        assert!(!committed.commit("b", standing(0, 1)), "no decision has this number");
    }

    #[test]
    fn of_two_with_the_same_number_all_take_the_same() {
        let [low, high] = [standing(2, 1), standing(2, 9)];
        let built_again = Standing { address: ContentAddress::from([10; 32]), ..high };
        for order in [[low, high, built_again], [built_again, high, low], [high, built_again, low]]
        {
            let mut committed = Committed::default();
            for standing in order {
                committed.commit("a", standing);
            }
            assert_eq!(committed.of("a"), Some(&built_again));
        }
    }

    #[test]
    fn the_file_says_what_was_written_and_no_other_bytes_do() {
        let (committed, history) = sample();
        let file = write(&committed, &history);
        let (read_committed, read_history) = read(&file).unwrap();
        assert_eq!(read_committed, committed);
        let changes = |history: &History| {
            history.changes(None).map(|(n, c)| (n.to_owned(), c.clone())).collect::<Vec<_>>()
        };
        assert_eq!(changes(&read_history), changes(&history));
        for at in 0..file.len() {
            assert!(read(&file[..at]).is_err(), "cut at {at}");
            let mut garbled = file.clone();
            garbled[at] ^= 1;
            assert!(read(&garbled).is_err(), "garbled at {at}");
        }
        assert_eq!(read(&[file, vec![0]].concat()).unwrap_err(), SealError::Damaged);
        assert_eq!(read(b"").unwrap_err(), SealError::Foreign);
    }

    /// Nodes that were stopped have such files.
    #[test]
    fn golden() {
        let (committed, history) = sample();
        let file = write(&committed, &history);
        let address = hex::encode("02".repeat(32));
        let names = format!("010161030240{address}02");
        let changes = format!("01016101010240{address}010000010762656361757365");
        let golden = format!("{}{names}{changes}", hex::encode(KIND));
        assert_eq!(hex::encode(&file[..file.len() - HASH_BYTES]), golden);
    }
}
