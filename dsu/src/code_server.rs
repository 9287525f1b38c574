//! The code server: everything one node does about code, apart from talking to others
//! (that is [`control`](crate::control)).
//!
//! A bundle comes in steps, and each may refuse: it is *accepted* (read, signature, checks from the
//! file), *staged* (compared with what runs, probed in a child process with copies of real states,
//! loaded) and *activated* (new processes start in it, living ones are switched).

mod activate;
mod committing;
mod copies;
mod error;
mod releases;
mod retire;
mod served;
pub mod sweep;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use midflight_message::Pid;
use midflight_process::Node;
use parking_lot::Mutex;

use crate::bundle::Bundle;
use crate::check::check;
use crate::code::CodeFormat;
use crate::compare::compare;
use crate::hash::{CodeId, ContentAddress};
use crate::history::{Change, History};
use crate::hosted::{self, StartError};
use crate::probe::StateVerdict;
use crate::signature::TrustedKeys;
use crate::store::{Store, StoreError, StoredLibrary};
use crate::switch::{SwitchLimits, Switcher};
use crate::versions::{Cause, Version, Versions};
use activate::Activation;
pub(crate) use activate::{Follows, GoingBack, Order};
pub use committing::RestoreError;
pub(crate) use committing::Whole;
pub(crate) use error::DeactivateError;
pub(crate) use error::with_sources;
pub use error::{AcceptError, ActivateError, Conflicts, NotBack, StageError};
pub use releases::ReleaseError;

/// How a node's code server is made.
#[derive(Debug)]
pub struct CodeServerConfig {
    /// The folder for bundles and libraries.
    pub data: PathBuf,
    /// Whose bundles are taken.
    pub trusted: TrustedKeys,
    /// How code is checked, probed and loaded.
    pub format: Arc<dyn CodeFormat>,
    /// Bounds of switches.
    pub switch: SwitchLimits,
    /// So many libraries may be in memory ([`MAPPED_MAX`] unless there is a reason): with as many no other
    /// is staged.
    pub mapped_max: usize,
}

/// How many libraries may be in a node's memory: each that stays takes some 25 KiB of it, four of the mappings
/// that Linux gives a program (65,530), and address space.
pub const MAPPED_MAX: usize = 1_024;

/// The code server of one node. Clones are the same.
#[derive(Debug, Clone)]
pub struct CodeServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Node,
    store: Store,
    trusted: TrustedKeys,
    format: Arc<dyn CodeFormat>,
    versions: Arc<Versions>,
    switcher: Switcher,
    mapped_max: usize,
    /// The bundle names at which something is being staged or activated.
    busy: Mutex<BTreeSet<String>>,
    /// What it takes to go back, for each bundle's name.
    activations: Mutex<BTreeMap<String, Activation>>,
    /// Who holds up processes that are to change together, by the bundles' names.
    held_up: Mutex<BTreeMap<String, Vec<String>>>,
    history: Mutex<History>,
    recording: committing::Recording,
    releases: releases::Book,
    sweeping: sweep::Sweeping,
    served: Mutex<served::Served>,
}

/// What staging took.
#[derive(Debug, Clone, Copy, Default)]
pub struct StageTimes {
    /// Checking the file and comparing it with what runs.
    pub check: Duration,
    /// Probing it.
    pub probe: Duration,
    /// Loading it.
    pub load: Duration,
}

impl CodeServer {
    /// The code server of `node`.
    #[must_use]
    pub fn new(config: CodeServerConfig, node: Node) -> Self {
        let versions = Arc::new(Versions::default());
        let inner = Inner {
            store: Store::new(node.runtime(), config.data),
            trusted: config.trusted,
            format: config.format,
            switcher: Switcher::new(node.clone(), versions.clone(), config.switch),
            versions,
            mapped_max: config.mapped_max,
            node,
            busy: Mutex::default(),
            activations: Mutex::default(),
            held_up: Mutex::default(),
            history: Mutex::default(),
            recording: committing::Recording::default(),
            releases: <_>::default(),
            sweeping: <_>::default(),
            served: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.inner.node
    }

    pub(crate) fn switch_limits(&self) -> &SwitchLimits {
        self.inner.switcher.limits()
    }

    /// What `work`, which calls into code, answers from a thread apart, if it ends within the limit for conversions.
    pub(crate) async fn on_a_thread<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.inner.switcher.on_a_thread_apart(name, work).await.well()
    }

    /// The versions of code the node has.
    #[must_use]
    pub fn versions(&self) -> &Arc<Versions> {
        &self.inner.versions
    }

    /// The changes of what is current here, of one bundle or of all, the oldest first.
    #[must_use]
    pub fn history(&self, bundle: Option<&str>) -> Vec<(String, Change)> {
        let history = self.inner.history.lock();
        let changes = history.changes(bundle);
        changes.map(|(name, change)| (name.to_owned(), change.clone())).collect()
    }

    /// As [`History::earlier`].
    pub(crate) fn earlier(&self, bundle: &str, version: Option<u32>) -> Option<ContentAddress> {
        self.inner.history.lock().earlier(bundle, version).map(|(_, address)| address)
    }

    /// Whether a bundle is kept here, whole and with signatures that are good now. One that is signed anew
    /// is wanted again.
    pub async fn has(&self, address: ContentAddress) -> bool {
        self.inner.sweeping.asked_for(address);
        let Ok(bundle) = self.inner.store.bundle(address).await else { return false };
        let (name, signatures) = (&bundle.manifest().name, bundle.signatures());
        self.inner.trusted.verify(name, address, signatures, self.unix_time()).is_ok()
    }

    fn unix_time(&self) -> Duration {
        self.inner.node.runtime().unix_time()
    }

    /// Takes a bundle's file: reads it, checks who signed it and whether its library may run here,
    /// and keeps it. Nothing of it runs.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub async fn accept(&self, announced: ContentAddress, file: &[u8]) -> Result<(), AcceptError> {
        let bundle = Bundle::read(file)?;
        if bundle.address() != announced {
            return Err(AcceptError::OtherBundle { announced, found: bundle.address() });
        }
        check(&bundle, &self.inner.trusted, self.unix_time(), &*self.inner.format)?;
        self.inner.store.put_bundle(&bundle).await?;
        // The same bundle may have come with other signatures.
        self.inner.served.lock().forget(announced);
        Ok(())
    }

    /// A bundle's file, for others to fetch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn file(&self, address: ContentAddress) -> Result<Bytes, StoreError> {
        if let Some(file) = self.inner.served.lock().get(address) {
            return Ok(file);
        }
        self.inner.sweeping.asked_for(address);
        let file: Bytes = self.inner.store.bundle(address).await?.write()?.into();
        self.inner.served.lock().keep(address, file.clone());
        Ok(file)
    }

    /// Brings a kept bundle to where it could run: compares it with what runs, probes it, loads it.
    ///
    /// # Errors
    /// [`StageError`]; the node is as it was.
    pub async fn stage(&self, address: ContentAddress) -> Result<StageTimes, StageError> {
        self.stage_where(address, false).await
    }

    /// As [`CodeServer::stage`]; `follows` says that it is what was decided.
    async fn stage_where(
        &self,
        address: ContentAddress,
        follows: bool,
    ) -> Result<StageTimes, StageError> {
        let inner = &*self.inner;
        let now = || inner.node.runtime().now();
        let began = now();
        inner.sweeping.asked_for(address);
        let bundle = inner.store.bundle(address).await?;
        let manifest = bundle.manifest();
        let busy = || StageError::Busy(manifest.name.clone());
        let _busy = Busy::at(inner, &manifest.name).ok_or_else(busy)?;
        let checked = check(&bundle, &inner.trusted, self.unix_time(), &*inner.format)?;
        let running = self.to_replace(&manifest.name, follows);
        refuse_conflicts(running.as_deref(), &manifest.description())?;
        inner.sweeping.to_be_loaded(CodeId::of(checked.library));
        let library = inner.store.put_library(checked.library).await?;
        let checked_at = now();
        // A version to ask whether a state must be converted by the old code before: the library
        // is probed before it is loaded, so there is none of the new one yet.
        let (pids, request) = self.copies(running.as_ref(), &manifest.description()).await?;
        let report = match inner.format.probe(&library, &request).await {
            Ok(report) => report,
            Err(error) => match error.state().and_then(|at| pids.get(at)) {
                Some(pid) => return Err(StageError::State { pid: *pid, why: error.to_string() }),
                None => return Err(error.into()),
            },
        };
        for (pid, verdict) in pids.into_iter().zip(report.states) {
            if let StateVerdict::FailsForward { why } | StateVerdict::FailsBack { why } = verdict {
                return Err(StageError::State { pid, why });
            }
        }
        let probed_at = now();
        // One that was loaded before has been checked and tried all the same: what runs now, and
        // in which states, is another matter.
        let loaded = match inner.versions.get(address) {
            Some(loaded) => loaded,
            None => self.load(&bundle, &library).await?,
        };
        if self.current(&manifest.name) != Some(address) {
            loaded.mark(Cause::Staged, true);
        }
        Ok(StageTimes {
            check: checked_at.since(began),
            probe: probed_at.since(checked_at),
            load: now().since(probed_at),
        })
    }

    async fn load(
        &self,
        bundle: &Bundle,
        library: &StoredLibrary,
    ) -> Result<Arc<Version>, StageError> {
        let (inner, manifest) = (&*self.inner, bundle.manifest());
        let mapped = inner.format.mapped();
        let known = mapped.iter().any(|mapped| mapped.code == library.id);
        if !known && mapped.len() >= inner.mapped_max {
            return Err(StageError::TooManyMapped { mapped: mapped.len() });
        }
        let code = inner.format.load(library, &manifest.description()).await?;
        let (name, number, address) = (&manifest.name, manifest.version, bundle.address());
        let loaded = inner.versions.add(Version::new(&inner.node, name, number, address, code));
        inner.versions.tell(&inner.node);
        tracing::info!(bundle = %name, version = number, %address, "staged");
        Ok(loaded)
    }

    /// The folder for bundles, libraries and the decision log.
    pub(crate) fn data(&self) -> &Path {
        self.inner.store.data()
    }

    /// The name and version of a bundle that is kept here.
    pub(crate) async fn name_and_version_of(
        &self,
        address: ContentAddress,
    ) -> Option<(String, u32)> {
        let bundle = self.inner.store.bundle(address).await.ok()?;
        Some((bundle.manifest().name.clone(), bundle.manifest().version))
    }

    /// The name of a bundle that is kept here.
    pub(crate) async fn name_of(&self, address: ContentAddress) -> Option<String> {
        let bundle = self.inner.store.bundle(address).await.ok()?;
        Some(bundle.manifest().name.clone())
    }

    /// The address of the version that is current for a bundle's name.
    #[must_use]
    pub fn current(&self, name: &str) -> Option<ContentAddress> {
        self.inner.versions.current(name).map(|version| version.address)
    }

    /// Starts a process of a behaviour in the current version, from its encoded start message.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(&self, behaviour: &str, start: &[u8]) -> Result<Pid, StartError> {
        hosted::start(&self.inner.node, &self.inner.versions, behaviour, start)
    }
}

fn refuse_conflicts(
    running: Option<&Version>,
    new: &midflight_abi::Description,
) -> Result<(), Conflicts> {
    let Some(running) = running else { return Ok(()) };
    let comparison = compare(running.code.description(), new);
    let conflicts: Vec<_> = comparison.conflicts().cloned().collect();
    if conflicts.is_empty() {
        return Ok(());
    }
    Err(Conflicts { running: running.version, conflicts })
}

/// Keeps others away from a bundle's name while something is done with it.
struct Busy<'a> {
    inner: &'a Inner,
    name: String,
}

impl<'a> Busy<'a> {
    /// `None`: somebody is at it already.
    fn at(inner: &'a Inner, name: &str) -> Option<Self> {
        let first = inner.busy.lock().insert(name.to_owned());
        first.then(|| Self { inner, name: name.to_owned() })
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.inner.busy.lock().remove(&self.name);
    }
}
