//! Native code from a file, by the system's loader.
//!
//! To unload a Rust library is not sound in general, and no guarantee depends on it: one is unloaded only where its
//! file says that nothing ties it to the program, and a child process has tried it. All others stay. What is in
//! memory is listed by [`mapped`], with the reason why it stays.

mod mapping;
mod trial;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::mem::ManuallyDrop;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use midflight_abi::Description;
use midflight_abi::table::{SYMBOL, TARGET, TableV1};
use midflight_runtime::Handle;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::bundle::LIBRARY_BYTES_MAX;
use crate::check::{
    CheckError, Facts, TableHead, check_library, check_table, mapped_size, why_it_stays,
};
use crate::code::{Code, CodeError, CodeFormat, Mapped, Stays};
use crate::code_server::with_sources;
use crate::hash::CodeId;
use crate::native::{NativeCode, Table};
use crate::probe::{ProbeError, ProbeReport, ProbeRequest, Prober};
use crate::store::StoredLibrary;
use mapping::Entered;
pub(crate) use mapping::Mapping;
pub use mapping::mapped;
pub(crate) use trial::try_unloading;

/// Libraries that were tried and not loaded since: how many of these are remembered.
const TRIED_MAX: usize = 64;

/// Native code for this machine.
#[derive(Debug)]
pub struct NativeFormat {
    runtime: Handle,
    prober: Prober,
    /// What came of trying to unload what was not loaded since; `None`: it can be.
    tried: Mutex<BTreeMap<CodeId, Option<Stays>>>,
}

impl NativeFormat {
    /// Loads into this program, and probes with `prober`.
    #[must_use]
    pub fn new(runtime: Handle, prober: Prober) -> Self {
        Self { runtime, prober, tried: Mutex::default() }
    }

    /// Has a child process load and unload a library whose file says that it can be.
    async fn try_unloading(&self, library: &StoredLibrary) {
        let trial = ProbeRequest { unload: true, ..ProbeRequest::default() };
        let tried = self.prober.probe(&self.runtime, &library.path, &trial).await;
        let stays = tried.err().map(|error| Stays::Failed(with_sources(&error)));
        if let Some(why) = &stays {
            tracing::warn!(library = %library.id, %why, "it will stay in memory");
        }
        let mut tried = self.tried.lock();
        if tried.len() >= TRIED_MAX {
            tried.pop_first();
        }
        tried.insert(library.id, stays);
    }
}

#[async_trait]
impl CodeFormat for NativeFormat {
    fn target(&self) -> &str {
        TARGET
    }

    fn check(&self, library: &[u8]) -> Result<Facts, CheckError> {
        check_library(library, TARGET)
    }

    async fn probe(
        &self,
        library: &StoredLibrary,
        request: &ProbeRequest,
    ) -> Result<ProbeReport, ProbeError> {
        let report = self.prober.probe(&self.runtime, &library.path, request).await?;
        if report.stays.is_none() {
            self.try_unloading(library).await;
        }
        Ok(report)
    }

    async fn load(
        &self,
        library: &StoredLibrary,
        expected: &Description,
    ) -> Result<Arc<dyn Code>, LoadError> {
        let (done, loaded) = oneshot::channel();
        let (library, expected) = (library.clone(), expected.clone());
        let tried = self.tried.lock().remove(&library.id).unwrap_or(Some(Stays::Untried));
        // Constructors may do anything, so not on a thread that others wait for.
        let work = move || {
            let result = load(&library, tried).and_then(|code| expect(code, &expected));
            // Nobody waits any more: then nobody has it.
            let _ = done.send(result);
        };
        self.runtime.spawn_blocking("load a library", Box::new(work));
        loaded.await.map_err(|_dropped| LoadError::Stopped)?
    }

    fn mapped(&self) -> Vec<Mapped> {
        mapped()
    }
}

fn expect(code: NativeCode, expected: &Description) -> Result<Arc<dyn Code>, LoadError> {
    if code.description() == expected { Ok(Arc::new(code)) } else { Err(LoadError::Description) }
}

/// Checks, opens and installs a library. This is where code of others begins to run.
/// `tried` says why it could not be unloaded where that was tried, whatever its file says.
pub(crate) fn load(library: &StoredLibrary, tried: Option<Stays>) -> Result<NativeCode, LoadError> {
    let table = mapping::alone(|| open(&library.path, library.id, tried))?;
    // SAFETY: the table was checked, and its library is there for as long as it is; that its functions keep the
    // contract is the trust that its signature stands for.
    unsafe { NativeCode::install(|_| library.id, table) }.map_err(LoadError::Install)
}

fn open(path: &Path, id: CodeId, tried: Option<Stays>) -> Result<Table, LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(io)?;
    let bytes = read(&path).map_err(io)?;
    let found = CodeId::of(&bytes);
    if found != id {
        return Err(LoadError::Changed { expected: id, found });
    }
    // Once more, whoever calls: from the next step on it is too late.
    check_library(&bytes, TARGET).map_err(LoadError::Check)?;
    let stays = why_it_stays(&bytes).or(tried);
    let new = Mapped { code: id, bytes: mapped_size(&bytes), stays };
    drop(bytes);
    // Nobody writes to it from here on. On a file that is someone else's it stays as it is.
    let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o500));
    let flags = libloading::os::unix::RTLD_NOW | libloading::os::unix::RTLD_LOCAL;
    // SAFETY: the library's constructors run: its bytes are those that were checked, and its
    // signature is trusted.
    let library = unsafe { libloading::os::unix::Library::open(Some(&path), flags) };
    // What goes wrong before it is entered leaves it in memory: its constructors have run.
    let library = ManuallyDrop::new(library.map_err(|e| LoadError::Open { why: e.to_string() })?);
    // SAFETY: the symbol is a static, so its address is what is asked for; it is read only after
    // its first fields have been checked.
    let table = unsafe { library.get::<*const TableV1>(SYMBOL.as_bytes()) };
    let table = table.map_err(|_missing| LoadError::Check(CheckError::MissingSymbol))?.as_raw_ptr();
    let table: *const TableV1 = table.cast_const().cast();
    // SAFETY: the file's check found the table's first fields within a segment of this address.
    let head = unsafe { read_head(table) };
    check_table(&head).map_err(LoadError::Check)?;
    let library = ManuallyDrop::into_inner(library);
    let mapping = match mapping::enter(library, path, table.addr(), new) {
        Entered::Stays => None,
        Entered::Closes(mapping) => Some(Arc::new(mapping)),
        // The loader answers with what it has when it thinks it knows a file.
        Entered::Other(loaded) => return Err(LoadError::Stale { wanted: id, loaded }),
    };
    // SAFETY: magic, major, minor and size say that it is a table of at least its minor's size; it is a static of
    // a library that stays, or does until its mapping is dropped.
    Ok(unsafe { Table::of_library(table, mapping) })
}

/// # Safety
/// `table` points to as many bytes as the fields read here need.
unsafe fn read_head(table: *const TableV1) -> TableHead {
    // SAFETY: the caller promises the bytes; integers may have any value.
    unsafe {
        TableHead {
            magic: (&raw const (*table).magic).read_unaligned(),
            abi_major: (&raw const (*table).abi_major).read_unaligned(),
            abi_minor: (&raw const (*table).abi_minor).read_unaligned(),
            size: (&raw const (*table).size).read_unaligned(),
            panic_strategy: (&raw const (*table).panic_strategy).read_unaligned(),
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LIBRARY_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a library is not loaded. Where its constructors ran already, it stays in memory unused: with `Check` and
/// `Stale` always, with `Install` and `Description` unless it can be unloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the disk says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not the one that was checked.
    #[error("the library was changed since it was checked: its hash is {found}, not {expected}")]
    Changed {
        /// The one checked.
        expected: CodeId,
        /// The one there.
        found: CodeId,
    },
    /// The system's loader refuses it.
    #[error("the system's loader refuses the library: {why}")]
    Open {
        /// The loader's words.
        why: String,
    },
    /// Its table, now that it is loaded, is not what the file said.
    #[error(transparent)]
    Check(CheckError),
    /// The loader answered with other code that it had loaded before.
    #[error("the system's loader answered with {loaded}, loaded before, instead of {wanted}")]
    Stale {
        /// What was asked for.
        wanted: CodeId,
        /// What came.
        loaded: CodeId,
    },
    /// It does not take the host, fails its own test, or cannot describe itself.
    #[error("the library does not start")]
    Install(#[source] CodeError),
    /// It describes itself otherwise than its manifest does.
    #[error("the library's behaviours are not those of its manifest")]
    Description,
    /// The runtime was stopped meanwhile.
    #[error("the runtime was stopped while the library was loaded")]
    Stopped,
}
