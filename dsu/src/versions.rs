//! The versions of code that a node has: any number of them side by side (U2).
//!
//! New processes of a behaviour start in its current version. Every process is listed with the
//! version it runs in, so that the processes of a version are found without asking each (U11).
//! A version that is not current is retired when nothing keeps it (U3).

mod behind;
mod holds;
mod measured;
mod probation;
mod retired;
pub(crate) mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use midflight_abi::BehaviourDescription;
use midflight_message::{NodeId, Pid};
use midflight_process::Node;
use midflight_runtime::Instant;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::code::Code;
use crate::committed::{Committed, Standing};
use crate::hash::ContentAddress;
use crate::hosted::BehaviourTypes;
use crate::unlike::{self, Current};
pub use behind::Behind;
pub use holds::{Cause, Holder};
pub(crate) use holds::{Hold, WayBack};
pub(crate) use measured::StateBytes;
pub(crate) use probation::{Failure, GoBack};
pub use retired::Retired;

/// Verdicts over versions on probation that wait for the control process; there is one for an activation.
const VERDICTS_MAX: usize = 64;

/// A loaded version of a bundle.
#[derive(Debug)]
pub struct Version {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: u32,
    /// The bundle.
    pub address: ContentAddress,
    /// Its code.
    pub code: Arc<dyn Code>,
    /// The types of its behaviours, by their index.
    pub(crate) types: Vec<BehaviourTypes>,
    processes: Mutex<BTreeSet<Place>>,
    /// What keeps it besides.
    holds: Mutex<BTreeMap<(Cause, Option<Place>), holds::Held>>,
    returns: AtomicU64,
    probation: probation::Probation,
    measured: measured::Counts,
}

/// A pid in an order of its own: by place in its node's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u32, u32, NodeId);

impl Place {
    const fn of(pid: Pid) -> Self {
        Self(pid.index, pid.generation, pid.node)
    }

    const fn pid(self) -> Pid {
        let Self(index, generation, node) = self;
        Pid { node, index, generation }
    }
}

/// The processes that ran in a version at some time.
#[derive(Debug)]
pub(crate) struct Residents(BTreeSet<Place>);

impl Version {
    /// A version in which nothing runs yet.
    #[must_use]
    pub fn new(
        node: &Node,
        name: impl Into<String>,
        version: u32,
        address: ContentAddress,
        code: Arc<dyn Code>,
    ) -> Arc<Self> {
        let name = name.into();
        let behaviours = &code.description().behaviours;
        let types = behaviours.iter().map(|b| BehaviourTypes::new(node, b)).collect();
        Arc::new(Self {
            name,
            version,
            address,
            code,
            types,
            processes: Mutex::default(),
            holds: Mutex::default(),
            returns: AtomicU64::default(),
            probation: <_>::default(),
            measured: <_>::default(),
        })
    }

    /// The index and description of a behaviour of it.
    #[must_use]
    pub fn behaviour(&self, name: &str) -> Option<(u32, &BehaviourDescription)> {
        self.code.description().behaviour(name)
    }

    /// The processes that run in it, by place.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        self.processes.lock().iter().map(|place| place.pid()).collect()
    }

    /// The processes that run in it now, to be told from those that come later.
    pub(crate) fn residents(&self) -> Residents {
        Residents(self.processes.lock().clone())
    }

    /// The processes that run in it and did not then, by place.
    pub(crate) fn newcomers(&self, since: &Residents) -> Vec<Pid> {
        self.processes.lock().difference(&since.0).map(|place| place.pid()).collect()
    }

    /// How many processes its code has failed while they were on probation, so that they went back.
    #[must_use]
    pub fn returns(&self) -> u64 {
        self.returns.load(Ordering::Relaxed)
    }

    pub(crate) fn returned(&self) {
        self.returns.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a process runs in it.
    pub(crate) fn has(&self, pid: Pid) -> bool {
        self.processes.lock().contains(&Place::of(pid))
    }

    /// How many processes run in it.
    #[must_use]
    pub fn process_count(&self) -> usize {
        self.processes.lock().len()
    }
}

/// A process's entry in the list of its version; ends with the process's body.
#[derive(Debug)]
pub(crate) struct Residence {
    pub(crate) version: Arc<Version>,
    place: Place,
}

impl Residence {
    pub(crate) fn new(version: Arc<Version>, pid: Pid) -> Self {
        let place = Place::of(pid);
        version.processes.lock().insert(place);
        Self { version, place }
    }
}

impl Drop for Residence {
    fn drop(&mut self) {
        self.version.processes.lock().remove(&self.place);
    }
}

/// All versions of a node, and which are current.
#[derive(Debug, Default)]
pub struct Versions {
    inner: Mutex<Inner>,
    /// Where it goes that a version is to go back.
    verdicts: OnceLock<mpsc::Sender<GoBack>>,
}

#[derive(Debug, Default)]
struct Inner {
    loaded: BTreeMap<ContentAddress, Arc<Version>>,
    current: BTreeMap<String, ContentAddress>,
    committed: Committed,
    behind: BTreeMap<String, Behind>,
    retired: retired::Memory,
}

impl Versions {
    /// Enters a loaded version. One that is there already stays: its code is the same.
    pub fn add(&self, version: Arc<Version>) -> Arc<Version> {
        let mut inner = self.inner.lock();
        inner.retired.forget(version.address);
        inner.loaded.entry(version.address).or_insert(version).clone()
    }

    /// The version of this address, if it is loaded.
    #[must_use]
    pub fn get(&self, address: ContentAddress) -> Option<Arc<Version>> {
        self.inner.lock().loaded.get(&address).cloned()
    }

    /// The version in which new processes of a bundle start.
    #[must_use]
    pub fn current(&self, bundle: &str) -> Option<Arc<Version>> {
        let inner = self.inner.lock();
        inner.loaded.get(inner.current.get(bundle)?).cloned()
    }

    /// The version in which new processes of a behaviour start.
    #[must_use]
    pub fn current_of_behaviour(&self, behaviour: &str) -> Option<Arc<Version>> {
        let inner = self.inner.lock();
        let mut versions = inner.current.values().filter_map(|address| inner.loaded.get(address));
        versions.find(|version| version.behaviour(behaviour).is_some()).cloned()
    }

    /// Lets new processes of a bundle start in this version. Answers the one that was current.
    pub fn make_current(&self, version: &Version) -> Option<Arc<Version>> {
        let mut inner = self.inner.lock();
        let before = inner.current.insert(version.name.clone(), version.address)?;
        inner.loaded.get(&before).cloned()
    }

    /// No version of the bundle is current any more.
    pub fn clear_current(&self, bundle: &str) {
        self.inner.lock().current.remove(bundle);
    }

    /// The verdicts over versions on probation from here on; `None`: somebody has them already.
    pub(crate) fn verdicts(&self) -> Option<mpsc::Receiver<GoBack>> {
        let (told, verdicts) = mpsc::channel(VERDICTS_MAX);
        self.verdicts.set(told).ok().map(|()| verdicts)
    }

    /// Something has failed in a version, in which `left` processes run besides. Where it is on probation and that
    /// was one too many, whoever has the verdicts is told.
    pub(crate) fn failed(&self, version: &Version, failure: Failure, left: usize, now: Instant) {
        if let Some(verdict) = version.failed(failure, left, now) {
            self.tell_verdict(version, verdict);
        }
    }

    /// All processes that were to be switched to a version are there, or stay elsewhere.
    pub(crate) fn all_are_there(&self, version: &Version, now: Instant) {
        if let Some(verdict) = version.all_are_there(version.process_count(), now) {
            self.tell_verdict(version, verdict);
        }
    }

    fn tell_verdict(&self, version: &Version, verdict: GoBack) {
        let GoBack { bundle, why, .. } = &verdict;
        tracing::error!(bundle, version = version.version, why, "failed on probation");
        let told = self.verdicts.get().is_some_and(|verdicts| verdicts.try_send(verdict).is_ok());
        if !told {
            version.cannot_go_back("the node has no control process, or that is busy");
        }
    }

    /// Ends the probations whose time is over.
    pub(crate) fn look_at_probations(&self, now: Instant) {
        let inner = self.inner.lock();
        inner.loaded.values().for_each(|version| version.look_at_probation(now));
    }

    /// All loaded versions with whether each is current, by name and version.
    #[must_use]
    pub fn all(&self) -> Vec<(Arc<Version>, bool)> {
        let inner = self.inner.lock();
        let is_current = |v: &Version| inner.current.get(&v.name) == Some(&v.address);
        let mut all: Vec<_> = inner.loaded.values().map(|v| (v.clone(), is_current(v))).collect();
        all.sort_by(|(a, _), (b, _)| (&a.name, a.version).cmp(&(&b.name, b.version)));
        all
    }

    /// The loaded versions of a bundle, by version.
    pub(crate) fn of(&self, bundle: &str) -> Vec<Arc<Version>> {
        let inner = self.inner.lock();
        let of = inner.loaded.values().filter(|version| version.name == bundle);
        let mut of: Vec<_> = of.cloned().collect();
        of.sort_by_key(|version| version.version);
        of
    }

    /// The version in which a process runs; `None`: it runs in none.
    pub(crate) fn of_process(&self, pid: Pid) -> Option<Arc<Version>> {
        let inner = self.inner.lock();
        inner.loaded.values().find(|version| version.has(pid)).cloned()
    }

    /// Tells the other nodes what is loaded and current here now.
    pub(crate) fn tell(&self, node: &Node) {
        let words = unlike::words(&self.current_versions(), &self.committed());
        node.code_switched(self.catalogue(), words);
    }

    /// What was decided to run, as far as this node knows.
    #[must_use]
    pub fn committed(&self) -> Committed {
        self.inner.lock().committed.clone()
    }

    /// Takes a decision in. Answers whether it is news.
    pub(crate) fn commit(&self, bundle: &str, standing: Standing) -> bool {
        self.inner.lock().committed.commit(bundle, standing)
    }

    /// What is current, by the bundles' names.
    pub(crate) fn current_versions(&self) -> BTreeMap<String, Current> {
        let inner = self.inner.lock();
        let current = inner.current.iter().filter_map(|(name, address)| {
            let version = inner.loaded.get(address)?.version;
            Some((name.clone(), Current { version, address: address.to_string() }))
        });
        current.collect()
    }

    /// A hash over what is loaded and what is current, for the node's handshake.
    #[must_use]
    pub fn catalogue(&self) -> [u8; 32] {
        let inner = self.inner.lock();
        let mut hasher = blake3::Hasher::new();
        for address in inner.loaded.keys() {
            hasher.update(address.as_bytes());
        }
        for (name, address) in &inner.current {
            hasher.update(name.as_bytes());
            hasher.update(&[0]);
            hasher.update(address.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}
