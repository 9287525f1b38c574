//! Whether a library could be unloaded, as far as its file says: what it does not import it is taken not to do.
//! It could by system calls of its own, with `syscall`, which std imports, or without any import: start threads, or
//! set handlers of signals. That it does not is taken from its signature.
//!
//! Not proven is not unloaded. A Rust library that was linked without optimisation over the whole imports all that
//! std can do, so nothing can be known of it; with it (`--profile lto`) what nobody uses is gone.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, elf};

use crate::code::Stays;

/// What Rust's std, its unwinder and its allocator need, and what leaves nothing behind: no thread, no key with
/// a destructor, no handler at exit, no other library.
const HARMLESS: [&str; 75] = [
    "_ITM_deregisterTMCloneTable",
    "_ITM_registerTMCloneTable",
    "__cxa_finalize",
    "__errno_location",
    "__gmon_start__",
    "__tls_get_addr",
    "__stack_chk_fail",
    "_Unwind_Backtrace",
    "_Unwind_DeleteException",
    "_Unwind_GetCFA",
    "_Unwind_GetDataRelBase",
    "_Unwind_GetIP",
    "_Unwind_GetIPInfo",
    "_Unwind_GetLanguageSpecificData",
    "_Unwind_GetRegionStart",
    "_Unwind_GetTextRelBase",
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "_Unwind_SetGR",
    "_Unwind_SetIP",
    "abort",
    "bcmp",
    "calloc",
    "clock_gettime",
    "close",
    "dl_iterate_phdr",
    "fcntl",
    "free",
    "fstat64",
    "getcwd",
    "getenv",
    "getpid",
    "getrandom",
    "gettid",
    "lseek64",
    "malloc",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memrchr",
    "memset",
    "mmap64",
    "munmap",
    "open64",
    "poll",
    "posix_memalign",
    "read",
    "readlink",
    "realloc",
    "realpath",
    "sched_yield",
    "stat64",
    "statx",
    "strerror_r",
    "__xpg_strerror_r",
    "strlen",
    "syscall",
    "write",
    "writev",
    "ceil",
    "cos",
    "exp",
    "exp2",
    "floor",
    "fmod",
    "log",
    "log10",
    "log2",
    "pow",
    "round",
    "sin",
    "sqrt",
    "tan",
    "trunc",
];

/// The libraries that every program has.
const COMMON: [&str; 5] =
    ["libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

/// The mark of a library that asks never to be unloaded.
const NODELETE: u64 = 8;

/// Why a library, that has been checked, must stay in memory; `None`: nothing in its file says so.
pub(crate) fn why_it_stays(library: &[u8]) -> Option<Stays> {
    let unread = |_| Stays::Unread;
    match look(library).map_err(unread) {
        Ok(stays) => stays,
        Err(stays) => Some(stays),
    }
}

fn look(library: &[u8]) -> Result<Option<Stays>, object::Error> {
    let file = ElfFile64::<Endianness>::parse(library)?;
    let table = file.elf_dynamic_table()?;
    if table.is_empty() {
        return Ok(Some(Stays::Unread));
    }
    for entry in table.iter() {
        if entry.tag == elf::DT_FLAGS_1 && entry.val & NODELETE != 0 {
            return Ok(Some(Stays::Marked));
        }
        if entry.tag == elf::DT_NEEDED {
            let needed = String::from_utf8_lossy(table.string(entry)?);
            if !COMMON.contains(&&*needed) {
                return Ok(Some(Stays::Library(needed.into_owned())));
            }
        }
    }
    let mut unknown = None;
    for symbol in file.dynamic_symbols() {
        let name = symbol.name()?;
        if !symbol.is_undefined() {
            if symbol.elf_symbol().st_bind() == elf::STB_GNU_UNIQUE {
                return Ok(Some(Stays::Marked));
            }
        } else if let Some(stays) = named(name) {
            return Ok(Some(stays));
        } else if !name.is_empty() && !HARMLESS.contains(&name) {
            unknown.get_or_insert_with(|| Stays::Import(name.to_owned()));
        }
    }
    Ok(unknown)
}

/// What an import means that is known to tie a library to its program.
fn named(import: &str) -> Option<Stays> {
    match import {
        "__cxa_thread_atexit_impl" | "pthread_key_create" => Some(Stays::ThreadLocal),
        "pthread_create" | "clone" | "clone3" | "fork" => Some(Stays::Thread),
        "atexit" | "on_exit" | "__cxa_atexit" | "sigaction" | "signal" => Some(Stays::Handler),
        _ => None,
    }
}
