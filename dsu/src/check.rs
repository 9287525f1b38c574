//! Everything that can be known of a bundle before any of its code runs: who signed it, and what its
//! library is, read from the file's bytes.

mod elf;
mod stays;

use std::time::Duration;

use midflight_abi::table::{ABI_MAJOR, ABI_MINOR, MAGIC, PANIC_UNWIND, SYMBOL, TableV1};

use crate::bundle::{Bundle, LibraryEntry, PanicStrategy};
use crate::code::CodeFormat;
use crate::signature::{PublicKey, SignatureError, TrustedKeys};

pub(crate) use elf::{mapped_size, table_offset};
pub(crate) use stays::why_it_stays;

/// What a library's file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Major of the C table.
    pub abi_major: u32,
    /// Minor of the C table.
    pub abi_minor: u32,
    /// Size of the C table.
    pub table_size: u32,
    /// What a panic in it does.
    pub panic_strategy: PanicStrategy,
}

/// A bundle that passed: what is to be loaded of it.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// Whose signature is trusted.
    pub signed_by: PublicKey,
    /// The library for this node's target.
    pub entry: &'a LibraryEntry,
    /// Its bytes.
    pub library: &'a [u8],
    /// What they say.
    pub facts: Facts,
}

/// Why a bundle's code is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Nobody trusted vouches for it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It has nothing for this node.
    #[error("the bundle has no library for {target}, only for {has}")]
    NoTarget {
        /// This node's.
        target: String,
        /// Those it has.
        has: String,
    },
    /// The library's bytes are not a shared library.
    #[error("the library is not one: {why}")]
    NotALibrary {
        /// What does not fit.
        why: String,
    },
    /// The library's bytes end too early.
    #[error("the library is truncated: it has {size} bytes and needs {needed}")]
    Truncated {
        /// How many there are.
        size: u64,
        /// How many there should be.
        needed: u64,
    },
    /// The library is for another machine.
    #[error("the library is for {theirs}, this node is {ours}")]
    WrongTarget {
        /// This node's.
        ours: String,
        /// The library's.
        theirs: String,
    },
    /// The library does not export the table.
    #[error(
        "the library has no symbol `{SYMBOL}`: it was not built by `midflight build`, or lists \
             no behaviours with `midflight_abi::export!`"
    )]
    MissingSymbol,
    /// The symbol is there, but it is not the table.
    #[error("the library's table does not begin as one ({found:#018x})")]
    WrongMagic {
        /// What it begins with.
        found: u64,
    },
    /// The library was built against another major of `midflight-abi`.
    #[error("the library has ABI {theirs}, this node has {ours}: build it anew")]
    WrongAbi {
        /// This node's.
        ours: u32,
        /// The library's.
        theirs: u32,
    },
    /// The library was built against a later minor of `midflight-abi`: it may do what this node does not know.
    #[error(
        "the library has ABI {ABI_MAJOR}.{theirs}, this node {ABI_MAJOR}.{ours}: bring the node up to date first"
    )]
    NewerAbi {
        /// This node's.
        ours: u32,
        /// The library's.
        theirs: u32,
    },
    /// The table lacks what its own major and minor demand.
    #[error("the library's table has {theirs} bytes, its ABI has at least {ours}")]
    ShortTable {
        /// The least there can be.
        ours: u32,
        /// The library's.
        theirs: u32,
    },
    /// A panic in it would end the node.
    #[error("a panic in the library would end the node: build it with `panic = \"unwind\"`")]
    PanicAbort,
    /// The manifest says otherwise than the library.
    #[error("the manifest says {what} {manifest}, the library {library}")]
    Manifest {
        /// What differs.
        what: &'static str,
        /// The manifest's word.
        manifest: String,
        /// The library's.
        library: String,
    },
}

/// Checks a bundle for a node that takes code of `format` and trusts `keys`, at a time since the Unix epoch. Hashes were checked when the bundle was
/// read; nothing of the bundle runs.
///
/// # Errors
/// [`CheckError`], the first reason found.
pub fn check<'a>(
    bundle: &'a Bundle,
    keys: &TrustedKeys,
    now: Duration,
    format: &dyn CodeFormat,
) -> Result<Checked<'a>, CheckError> {
    let target = format.target();
    let manifest = bundle.manifest();
    let signed_by = keys.verify(&manifest.name, bundle.address(), bundle.signatures(), now)?;
    let (entry, library) = bundle.library(target).ok_or_else(|| CheckError::NoTarget {
        target: target.to_owned(),
        has: manifest.libraries.iter().map(|l| &*l.target).collect::<Vec<_>>().join(", "),
    })?;
    let facts = format.check(library)?;
    same("ABI major", manifest.abi_major, facts.abi_major)?;
    same("ABI minor", manifest.abi_minor, facts.abi_minor)?;
    if manifest.panic_strategy != facts.panic_strategy {
        return Err(CheckError::PanicAbort);
    }
    Ok(Checked { signed_by, entry, library, facts })
}

/// Checks a native library from its bytes.
///
/// # Errors
/// [`CheckError`], the first reason found.
pub fn check_library(library: &[u8], target: &str) -> Result<Facts, CheckError> {
    let at = table_offset(library, target)?;
    let needed = at.saturating_add(u64::from(TableV1::size_of_minor(0)));
    let size = library.len() as u64;
    let table = usize::try_from(at).ok().and_then(|at| library.get(at..));
    let table = table.ok_or(CheckError::Truncated { size, needed })?;
    check_table(&TableHead::read(table).ok_or(CheckError::Truncated { size, needed })?)
}

/// The plain integers at the beginning of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableHead {
    pub(crate) magic: u64,
    pub(crate) abi_major: u32,
    pub(crate) abi_minor: u32,
    pub(crate) size: u32,
    pub(crate) panic_strategy: u32,
}

impl TableHead {
    fn read(table: &[u8]) -> Option<Self> {
        let (magic, rest) = table.split_first_chunk()?;
        let (abi_major, rest) = rest.split_first_chunk()?;
        let (abi_minor, rest) = rest.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (panic_strategy, _) = rest.split_first_chunk()?;
        Some(Self {
            magic: u64::from_le_bytes(*magic),
            abi_major: u32::from_le_bytes(*abi_major),
            abi_minor: u32::from_le_bytes(*abi_minor),
            size: u32::from_le_bytes(*size),
            panic_strategy: u32::from_le_bytes(*panic_strategy),
        })
    }
}

/// Checks a table, in the file or loaded.
pub(crate) fn check_table(head: &TableHead) -> Result<Facts, CheckError> {
    if head.magic != MAGIC {
        return Err(CheckError::WrongMagic { found: head.magic });
    }
    if head.abi_major != ABI_MAJOR {
        return Err(CheckError::WrongAbi { ours: ABI_MAJOR, theirs: head.abi_major });
    }
    if head.abi_minor > ABI_MINOR {
        return Err(CheckError::NewerAbi { ours: ABI_MINOR, theirs: head.abi_minor });
    }
    let least = TableV1::size_of_minor(head.abi_minor);
    if head.size < least {
        return Err(CheckError::ShortTable { ours: least, theirs: head.size });
    }
    if head.panic_strategy != PANIC_UNWIND {
        return Err(CheckError::PanicAbort);
    }
    Ok(Facts {
        abi_major: head.abi_major,
        abi_minor: head.abi_minor,
        table_size: head.size,
        panic_strategy: PanicStrategy::Unwind,
    })
}

fn same(what: &'static str, manifest: u32, library: u32) -> Result<(), CheckError> {
    if manifest == library {
        return Ok(());
    }
    let (manifest, library) = (manifest.to_string(), library.to_string());
    Err(CheckError::Manifest { what, manifest, library })
}
