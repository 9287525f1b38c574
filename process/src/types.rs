//! The message types a node knows, and how one is read as another.
//!
//! A type is a name, a version and a fingerprint; here it gets a small number. The schema's text
//! of a peer's type is fetched on the first mismatch and kept. Resolutions are computed once for a
//! pair of types and kept, until code is switched: then conversions may have come or gone, and all
//! are forgotten.

pub(crate) mod recent;

use std::sync::{Arc, OnceLock};
use std::task::Waker;

use midflight_message::{Fingerprint, MAX_NAME_BYTES, Message, Resolution, TypeInfo, resolve};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::types::recent::Recent;

/// The number of a type in this node's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeNo(pub u32);

/// What is known of one type.
#[derive(Debug)]
pub(crate) struct TypeEntry {
    pub(crate) name: Arc<str>,
    pub(crate) version: u32,
    pub(crate) fingerprint: Fingerprint,
    info: OnceLock<Arc<TypeInfo>>,
    /// Who waits for the schema.
    waiting: Mutex<Vec<Waker>>,
}

impl TypeEntry {
    /// The whole type, once its schema is known.
    pub(crate) fn info(&self) -> Option<&Arc<TypeInfo>> {
        self.info.get()
    }
}

/// How a reader finds a writer's type.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// As it says.
    Resolved(Arc<Resolution>),
    /// The writer's schema is not known: its node is to be asked.
    SchemaUnknown,
}

/// The types of a node.
#[derive(Debug)]
pub(crate) struct TypeTable {
    recent: Recent,
    types_max: usize,
    inner: RwLock<Inner>,
    /// By the writer's type and the reader's. A Rust type has conversions that another of its name, version
    /// and structure may lack, so it goes by where its description lies.
    resolutions: RwLock<FxHashMap<(TypeNo, usize), Arc<Resolution>>>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Arc<TypeEntry>>,
    by_key: FxHashMap<(Arc<str>, u32, Fingerprint), TypeNo>,
    by_name: FxHashMap<Arc<str>, Vec<TypeNo>>,
    by_fingerprint: FxHashMap<Fingerprint, Vec<TypeNo>>,
    by_address: FxHashMap<usize, TypeNo>,
}

impl Inner {
    fn with(&self, fingerprint: Fingerprint) -> impl Iterator<Item = &Arc<TypeEntry>> {
        let numbers = self.by_fingerprint.get(&fingerprint).into_iter().flatten();
        numbers.map(|no| &self.entries[no.0 as usize])
    }
}

/// The node knows as many types as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyTypes;

impl TypeTable {
    /// Resolutions kept; beyond it all are forgotten and computed anew.
    const RESOLUTIONS_MAX: usize = 16_384;

    pub(crate) fn new(types_max: usize) -> Self {
        Self {
            recent: Recent::default(),
            types_max,
            inner: RwLock::default(),
            resolutions: RwLock::default(),
        }
    }

    /// The number of a Rust type.
    pub(crate) fn of<M: Message>(&self) -> Result<TypeNo, TooManyTypes> {
        self.intern_static(M::type_info())
    }

    /// The number of a type that is compiled in: found by where its description lies.
    pub(crate) fn intern_static(&self, info: &'static TypeInfo) -> Result<TypeNo, TooManyTypes> {
        let at = std::ptr::from_ref(info).addr();
        if let Some(no) = self.recent.number(at) {
            return Ok(no);
        }
        let known = self.inner.read().by_address.get(&at).copied();
        let no = match known {
            Some(no) => no,
            None => {
                let no = self.intern(info)?;
                self.inner.write().by_address.insert(at, no);
                no
            }
        };
        self.recent.learn_number(at, no);
        Ok(no)
    }

    /// Whether `writer` is known to be the very type `M`; false says nothing.
    pub(crate) fn is_same<M: Message>(&self, writer: TypeNo) -> bool {
        self.recent.is_same(std::ptr::from_ref(M::type_info()).addr(), writer)
    }

    /// `writer` has turned out to be the very type `M`, which never changes.
    pub(crate) fn learn_same<M: Message>(&self, writer: TypeNo) {
        self.recent.learn_same(std::ptr::from_ref(M::type_info()).addr(), writer);
    }

    /// The newest version of the compiled in type of that name.
    pub(crate) fn own(&self, name: &str) -> Option<Arc<TypeInfo>> {
        let inner = self.inner.read();
        let own = inner.by_address.values().filter_map(|no| inner.entries[no.0 as usize].info());
        own.filter(|info| info.name() == name).max_by_key(|info| info.version()).cloned()
    }

    /// Whether the type `no` is called `name`.
    pub(crate) fn is_called(&self, no: TypeNo, name: &str) -> bool {
        &*self.inner.read().entries[no.0 as usize].name == name
    }

    /// The number of a type whose schema is at hand.
    pub(crate) fn intern(&self, info: &TypeInfo) -> Result<TypeNo, TooManyTypes> {
        let no = self.announce(info.name(), info.version(), info.fingerprint())?;
        self.entry(no).learn(info);
        Ok(no)
    }

    /// The number of a type that a peer has announced. Peers leave a quarter of the room for types that
    /// are compiled in: whatever they announce, what runs here goes on.
    pub(crate) fn announced(
        &self,
        name: &str,
        version: u32,
        fingerprint: Fingerprint,
    ) -> Result<TypeNo, TooManyTypes> {
        self.enter(name, version, fingerprint, self.types_max - self.types_max / 4)
    }

    /// The number of a type of which only this much is known.
    pub(crate) fn announce(
        &self,
        name: &str,
        version: u32,
        fingerprint: Fingerprint,
    ) -> Result<TypeNo, TooManyTypes> {
        self.enter(name, version, fingerprint, self.types_max)
    }

    fn enter(
        &self,
        name: &str,
        version: u32,
        fingerprint: Fingerprint,
        max: usize,
    ) -> Result<TypeNo, TooManyTypes> {
        if let Some(no) = self.number(name, version, fingerprint) {
            return Ok(no);
        }
        let key = (Arc::<str>::from(name), version, fingerprint);
        if name.len() > MAX_NAME_BYTES {
            return Err(TooManyTypes);
        }
        let mut inner = self.inner.write();
        if let Some(no) = inner.by_key.get(&key) {
            return Ok(*no);
        }
        if inner.entries.len() >= max {
            return Err(TooManyTypes);
        }
        let no = TypeNo(u32::try_from(inner.entries.len()).map_err(|_too_many| TooManyTypes)?);
        inner.entries.push(Arc::new(TypeEntry {
            name: key.0.clone(),
            version,
            fingerprint,
            info: OnceLock::new(),
            waiting: Mutex::default(),
        }));
        inner.by_name.entry(key.0.clone()).or_default().push(no);
        inner.by_fingerprint.entry(fingerprint).or_default().push(no);
        inner.by_key.insert(key, no);
        Ok(no)
    }

    /// The number of a type that is known.
    pub(crate) fn number(
        &self,
        name: &str,
        version: u32,
        fingerprint: Fingerprint,
    ) -> Option<TypeNo> {
        let key = (Arc::<str>::from(name), version, fingerprint);
        self.inner.read().by_key.get(&key).copied()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.inner.read().entries.len()
    }

    pub(crate) fn entry(&self, no: TypeNo) -> Arc<TypeEntry> {
        self.inner.read().entries[no.0 as usize].clone()
    }

    /// Whether `no` has a name that others have too while its schema is not known: then somebody
    /// may have to compare them soon.
    pub(crate) fn needs_schema(&self, no: TypeNo) -> bool {
        let inner = self.inner.read();
        let entry = &inner.entries[no.0 as usize];
        entry.info.get().is_none() && inner.by_name.get(&entry.name).is_some_and(|n| n.len() > 1)
    }

    /// The type with `fingerprint` whose schema is at hand.
    pub(crate) fn find(&self, fingerprint: Fingerprint) -> Option<Arc<TypeInfo>> {
        let inner = self.inner.read();
        inner.with(fingerprint).find_map(|entry| entry.info.get()).cloned()
    }

    /// Learns a schema that a peer has sent for one of its types. The text must have the
    /// fingerprint under which the type was announced; anything else is ignored.
    pub(crate) fn learn(&self, info: &TypeInfo) {
        let entry = {
            let inner = self.inner.read();
            let key = (Arc::<str>::from(info.name()), info.version(), info.fingerprint());
            inner.by_key.get(&key).map(|no| inner.entries[no.0 as usize].clone())
        };
        if let Some(entry) = entry {
            entry.learn(info);
        }
    }

    /// Whoever waits for the schema with `fingerprint` looks again: it is on its way no more.
    pub(crate) fn wake(&self, fingerprint: Fingerprint) {
        let entries: Vec<_> = self.inner.read().with(fingerprint).cloned().collect();
        entries.iter().for_each(|entry| entry.wake());
    }

    /// Whether the schema of `no` is known.
    pub(crate) fn is_known(&self, no: TypeNo) -> bool {
        self.entry(no).info().is_some()
    }

    /// How `writer` is read as the Rust type `M`, with the conversions that it has.
    pub(crate) fn reading_as<M: Message>(&self, writer: TypeNo) -> Reading {
        let reader = M::type_info();
        let key = (writer, std::ptr::from_ref(reader).addr());
        if let Some(resolution) = self.resolutions.read().get(&key) {
            return Reading::Resolved(resolution.clone());
        }
        let writer = self.entry(writer);
        let Some(writer_info) = writer.info() else { return Reading::SchemaUnknown };
        let resolution = Arc::new(resolve(writer_info, reader));
        let mut resolutions = self.resolutions.write();
        if resolutions.len() >= Self::RESOLUTIONS_MAX {
            resolutions.clear();
        }
        resolutions.insert(key, resolution.clone());
        Reading::Resolved(resolution)
    }

    /// Wakes `waker` once the schema of `no` is known, or is on its way no more, which whoever asked for
    /// it knows. Answers false when it is known already.
    pub(crate) fn wait_for_schema(&self, no: TypeNo, waker: &Waker) -> bool {
        let entry = self.entry(no);
        let mut waiting = entry.waiting.lock();
        if entry.info.get().is_some() {
            return false;
        }
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        true
    }

    /// Forgets every resolution: code was switched.
    pub(crate) fn forget_resolutions(&self) {
        self.resolutions.write().clear();
    }
}

impl TypeEntry {
    fn learn(&self, info: &TypeInfo) {
        if self.info.get().is_none() {
            let _ = self.info.set(Arc::new(info.clone()));
            self.wake();
        }
    }

    fn wake(&self) {
        // Taken out first: the lock is not held while others are woken.
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}
