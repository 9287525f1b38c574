//! Native code from a file, by the system's loader.
//!
//! A library is loaded once and stays: unloading Rust libraries is not sound in general, and no
//! guarantee depends on it. What stays is listed by [`mapped`].

use std::collections::BTreeMap;
use std::io::Read as _;
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
use crate::check::{CheckError, Facts, TableHead, check_library, check_table, mapped_size};
use crate::code::{Code, CodeError, CodeFormat, Mapped, Stays};
use crate::hash::CodeId;
use crate::native::NativeCode;
use crate::probe::{ProbeError, ProbeReport, ProbeRequest, Prober};
use crate::store::StoredLibrary;

/// Every library this program has loaded, by the address of its table.
static LOADED: Mutex<BTreeMap<usize, Mapped>> = Mutex::new(BTreeMap::new());

/// The libraries in this program's memory.
#[must_use]
pub fn mapped() -> Vec<Mapped> {
    LOADED.lock().values().cloned().collect()
}

/// Native code for this machine.
#[derive(Debug)]
pub struct NativeFormat {
    runtime: Handle,
    prober: Prober,
}

impl NativeFormat {
    /// Loads into this program, and probes with `prober`.
    #[must_use]
    pub const fn new(runtime: Handle, prober: Prober) -> Self {
        Self { runtime, prober }
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
        self.prober.probe(&self.runtime, &library.path, request).await
    }

    async fn load(
        &self,
        library: &StoredLibrary,
        expected: &Description,
    ) -> Result<Arc<dyn Code>, LoadError> {
        let (done, loaded) = oneshot::channel();
        let (library, expected) = (library.clone(), expected.clone());
        // Constructors may do anything, so not on a thread that others wait for.
        let work = move || {
            let result = load(&library).and_then(|code| expect(code, &expected));
            // Nobody waits any more: the library stays loaded, as all do.
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
pub(crate) fn load(library: &StoredLibrary) -> Result<NativeCode, LoadError> {
    let table = open(&library.path, library.id)?;
    // SAFETY: the table was checked and its library is never closed; that its functions keep the
    // contract is the trust that its signature stands for.
    unsafe { NativeCode::install(|_| library.id, table) }.map_err(LoadError::Install)
}

fn open(path: &Path, id: CodeId) -> Result<&'static TableV1, LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(io)?;
    let bytes = read(&path).map_err(io)?;
    let found = CodeId::of(&bytes);
    if found != id {
        return Err(LoadError::Changed { expected: id, found });
    }
    // Once more, whoever calls: from the next step on it is too late.
    check_library(&bytes, TARGET).map_err(LoadError::Check)?;
    let size = mapped_size(&bytes);
    drop(bytes);
    // Nobody writes to it from here on. On a file that is someone else's it stays as it is.
    let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o500));
    let flags = libloading::os::unix::RTLD_NOW | libloading::os::unix::RTLD_LOCAL;
    // SAFETY: the library's constructors run: its bytes are those that were checked, and its
    // signature is trusted.
    let library = unsafe { libloading::os::unix::Library::open(Some(&path), flags) };
    let library = library.map_err(|e| LoadError::Open { why: e.to_string() })?;
    // SAFETY: the symbol is a static, so its address is what is asked for; it is read only after
    // its first fields have been checked.
    let table = unsafe { library.get::<*const TableV1>(SYMBOL.as_bytes()) };
    let table = table.map_err(|_missing| LoadError::Check(CheckError::MissingSymbol))?.as_raw_ptr();
    // Never closed: code of it may be on any stack, and its thread-locals in any thread.
    std::mem::forget(library);
    let table: *const TableV1 = table.cast_const().cast();
    check_fresh(table, id, size)?;
    // SAFETY: the file's check found the table's first fields within a segment of this address.
    let head = unsafe { read_head(table) };
    check_table(&head).map_err(LoadError::Check)?;
    // SAFETY: magic, major and size say that it is a table of at least this size; it is a static of
    // a library that stays.
    Ok(unsafe { &*table })
}

/// The loader answers with what it has when it thinks it knows a file: that must be the same code.
fn check_fresh(table: *const TableV1, id: CodeId, bytes: u64) -> Result<(), LoadError> {
    let stays = Some(Stays::Never);
    let mut all = LOADED.lock();
    let loaded = all.entry(table.addr()).or_insert(Mapped { code: id, bytes, stays }).code;
    drop(all);
    if loaded == id { Ok(()) } else { Err(LoadError::Stale { wanted: id, loaded }) }
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

/// Why a library is not loaded. Where its constructors ran already, it stays in memory unused.
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
