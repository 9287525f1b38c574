//! Which other nodes run other versions than this one: what nodes say of their code, compared.

use std::collections::BTreeMap;
use std::time::Duration;

use midflight_message::{Message, Schema, decode, encode};
use midflight_process::Role;
use midflight_runtime::Instant;
use serde::{Deserialize, Serialize};

use crate::code_server::CodeServer;
use crate::committed::{Committed, Standing};
use crate::policy::Policy;
use crate::protocol::VersionDifference;
use crate::versions::Behind;

/// How often the control process compares, while it has nothing else to do; the same for how long a
/// difference lasts at the least before it is logged, since a deployment makes some.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The version of a bundle in which new processes start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) struct Current {
    pub(crate) version: u32,
    /// Its content address: of one version there may be two builds.
    pub(crate) address: String,
}

/// What was decided about a bundle's name, as a node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
struct Decided {
    number: u64,
    version: u32,
    address: [u8; 32],
    policy: Policy,
}

/// What a node tells its peers of its code.
#[derive(Debug, Default, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.CurrentVersions", version = 1)]
struct CurrentVersions {
    current: BTreeMap<String, Current>,
    #[serde(default)]
    committed: BTreeMap<String, Decided>,
}

/// Says what is current, and what is committed.
pub(crate) fn words(current: &BTreeMap<String, Current>, committed: &Committed) -> Vec<u8> {
    let committed = committed.all().map(|(name, standing)| {
        let Standing { number, version, address, policy } = *standing;
        (name.to_owned(), Decided { number, version, address: *address.as_bytes(), policy })
    });
    let said = CurrentVersions { current: current.clone(), committed: committed.collect() };
    let mut words = Vec::new();
    encode(&said, &mut words).expect("strings and numbers encode");
    words
}

/// What is committed by the words of a node; nothing where there is no code, or what cannot be read.
fn committed(words: &[u8]) -> impl Iterator<Item = (String, Standing)> {
    let said = decode::<CurrentVersions>(words).unwrap_or_default();
    said.committed.into_iter().map(|(name, decided)| {
        let Decided { number, version, address, policy } = decided;
        (name, Standing { number, version, address: address.into(), policy })
    })
}

/// Where `there`, the words of `node`, tells of something else than what is `here`. No words are said
/// where there is no code; of what cannot be read nothing is known.
fn compare(here: &BTreeMap<String, Current>, node: &str, there: &[u8]) -> Vec<VersionDifference> {
    let there = match there {
        [] => BTreeMap::new(),
        words => match decode::<CurrentVersions>(words) {
            Ok(CurrentVersions { current, .. }) => current,
            Err(_unknown) => return Vec::new(),
        },
    };
    let mut bundles: Vec<_> = here.keys().chain(there.keys()).collect();
    bundles.sort_unstable();
    bundles.dedup();
    let unlike = bundles.into_iter().filter(|bundle| here.get(*bundle) != there.get(*bundle));
    let difference = |bundle: &String| VersionDifference {
        bundle: bundle.clone(),
        node: node.to_owned(),
        here: here.get(bundle).map(|current| current.version),
        there: there.get(bundle).map(|current| current.version),
    };
    unlike.map(difference).collect()
}

impl CodeServer {
    /// Where nodes that this one has a link to run other versions than it does.
    #[must_use]
    pub fn differences(&self) -> Vec<VersionDifference> {
        let here = self.versions().current_versions();
        let peers = self.node().peers_code().into_iter();
        let all = peers.flat_map(|peer| {
            peer.details.map(|there| compare(&here, &peer.name, &there)).unwrap_or_default()
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by(|one, other| (&one.bundle, &one.node).cmp(&(&other.bundle, &other.node)));
        all
    }

    /// The decisions that nodes this one has a link to know of, and this one does not follow, by the
    /// bundles' names; of several the last. To say what was decided is to have code run: who may not do that here
    /// is not believed.
    pub(crate) fn find_behind(&self) -> BTreeMap<String, Behind> {
        let here = self.versions().committed();
        let mut found = BTreeMap::<String, Behind>::new();
        for peer in self.node().peers_code() {
            if self.node().may(peer.id, Role::Deploy).is_err() {
                continue;
            }
            for (bundle, standing) in committed(&peer.details.unwrap_or_default()) {
                let known = found.get(&bundle);
                let is_last = known.is_none_or(|it| standing.rank() > it.standing.rank());
                if is_last && self.is_behind(&bundle, here.of(&bundle), &standing) {
                    let (at, at_name) = (peer.id, peer.name.clone());
                    found.insert(bundle, Behind { standing, at, at_name, why: None });
                }
            }
        }
        found
    }

    /// Whether `standing` is to be followed by a node that knows of `own`.
    pub(crate) fn is_behind(
        &self,
        bundle: &str,
        own: Option<&Standing>,
        standing: &Standing,
    ) -> bool {
        let Some(own) = own else { return standing.number > 0 };
        // What was committed here and could not be begun with again may run with another's copy.
        let lacks = own.rank() == standing.rank() && self.current(bundle).is_none();
        standing.rank() > own.rank() || lacks
    }
}

/// The differences that the log has.
#[derive(Debug, Default)]
pub(crate) struct Told {
    logged: Vec<VersionDifference>,
    seen: Vec<VersionDifference>,
    looked: Option<Instant>,
}

impl Told {
    /// Compares, if it is time to, and logs what has changed and lasts.
    pub(crate) fn look(&mut self, server: &CodeServer, now: Instant) {
        if self.looked.is_some_and(|looked| now.since(looked) < LOOK_EVERY) {
            return;
        }
        self.looked = Some(now);
        let Some(news) = self.news(server.differences()) else { return };
        if news.is_empty() {
            tracing::info!("all linked nodes run the same versions again");
        }
        for VersionDifference { bundle, node, here, there } in news {
            tracing::warn!(%bundle, %node, ?here, ?there, "another node runs another version");
        }
    }

    /// What is to be logged of the differences that there are now: all of them, once they have lasted
    /// from one look to the next and are not those that were logged last.
    fn news(&mut self, now: Vec<VersionDifference>) -> Option<Vec<VersionDifference>> {
        let lasts = now == self.seen;
        self.seen = now;
        if !lasts || self.seen == self.logged {
            return None;
        }
        self.logged.clone_from(&self.seen);
        Some(self.seen.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current(versions: &[(&str, u32)]) -> BTreeMap<String, Current> {
        let one = |(name, version): &(&str, u32)| {
            ((*name).to_owned(), Current { version: *version, address: format!("{name}{version}") })
        };
        versions.iter().map(one).collect()
    }

    #[test]
    fn differences_are_found_by_bundle() {
        let here = current(&[("a", 1), ("b", 1), ("c", 1)]);
        let words = |current: &BTreeMap<_, _>| words(current, &Committed::default());
        let there = words(&current(&[("b", 2), ("c", 1), ("d", 3)]));
        let found = compare(&here, "n", &there);
        let found: Vec<_> = found.iter().map(|it| (&*it.bundle, it.here, it.there)).collect();
        assert_eq!(found, [("a", Some(1), None), ("b", Some(1), Some(2)), ("d", None, Some(3))]);
        assert_eq!(compare(&here, "n", &words(&here)), []);
        assert_eq!(compare(&here, "n", b"").len(), 3, "it has no code");
        assert_eq!(compare(&here, "n", b"\xff\xff\xff\xff"), [], "nothing is known of it");
    }

    #[test]
    fn a_change_is_logged_once_and_only_when_it_lasts() {
        let mut told = Told::default();
        let some =
            compare(&current(&[("a", 1)]), "n", &words(&current(&[]), &Committed::default()));
        assert_eq!(told.news(Vec::new()), None);
        assert_eq!(told.news(some.clone()), None, "it may pass");
        assert_eq!(told.news(some.clone()), Some(some.clone()));
        assert_eq!(told.news(some), None, "it is known");
        assert_eq!(told.news(Vec::new()), None);
        assert_eq!(told.news(Vec::new()), Some(Vec::new()), "all is the same again");
    }
}
