//! The host as a bundle sees it: the table it was given at `install`, and what each call carries.

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::raw::{Bytes, RawPid};

/// What the host offers at once. Everything else a behaviour does is an effect. Append-only.
///
/// `data` is the `host_data` of the call that is being made; null for "no process in particular",
/// which only `log` understands.
#[repr(C)]
#[derive(Debug)]
pub struct HostTable {
    /// Size of the table the host has; a field beyond it does not exist.
    pub size: u32,
    /// Counts the fields appended since the first version.
    pub minor: u32,
    /// Writes a line to the node's log. Levels: 1 error, 2 warning, 3 information, 4 debug.
    pub log: extern "C" fn(data: *mut c_void, level: u32, text: Bytes<'_>),
    /// Nanoseconds on a clock that never goes back.
    pub now: extern "C" fn(data: *mut c_void) -> u64,
    /// Nanoseconds since 1970-01-01 UTC.
    pub unix_time: extern "C" fn(data: *mut c_void) -> u64,
    /// Fills `len` bytes with random ones.
    pub random: extern "C" fn(data: *mut c_void, into: *mut u8, len: usize),
    /// Looks a local name up: 1 and `found` filled, or 0.
    pub whereis: extern "C" fn(data: *mut c_void, name: Bytes<'_>, found: *mut RawPid) -> i32,
    /// Reserves a pid for a spawn: 1 and `reserved` filled, or 0 when the node has no room.
    pub reserve: extern "C" fn(data: *mut c_void, reserved: *mut RawPid) -> i32,
}

impl HostTable {
    /// The size this side knows.
    #[expect(clippy::cast_possible_truncation, reason = "56 bytes")]
    pub const SIZE: u32 = size_of::<Self>() as u32;
}

/// How grave a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something is broken.
    Error = 1,
    /// Something is odd.
    Warn = 2,
    /// Something happened.
    Info = 3,
    /// For the author.
    Debug = 4,
}

static HOST: AtomicPtr<HostTable> = AtomicPtr::new(std::ptr::null_mut());

/// Remembers the host's table.
///
/// # Safety
/// The table stays as it is for as long as the program runs.
pub(crate) unsafe fn install(host: *const HostTable) {
    HOST.store(host.cast_mut(), Ordering::Release);
}

fn table() -> Option<&'static HostTable> {
    let host = HOST.load(Ordering::Acquire);
    // SAFETY: null, or what `install` was given: a table that stays for ever.
    unsafe { host.as_ref() }
}

/// The host, for the process whose call this is. Good until that call returns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host {
    data: *mut c_void,
}

// SAFETY: the host's functions may be called from any thread while the call lasts (the host makes
// `data` of a `Sync` value); that it lasts is kept by those who hold a `Host`.
unsafe impl Send for Host {}

impl Host {
    /// The node, no process in particular.
    pub(crate) const NODE: Self = Self { data: std::ptr::null_mut() };

    pub(crate) const fn of(data: *mut c_void) -> Self {
        Self { data }
    }

    pub(crate) fn log(self, level: Level, text: &str) {
        if let Some(host) = table() {
            (host.log)(self.data, level as u32, Bytes::new(text.as_bytes()));
        }
    }

    pub(crate) fn now_nanos(self) -> u64 {
        self.reach().map_or(0, |host| (host.now)(self.data))
    }

    pub(crate) fn unix_nanos(self) -> u64 {
        self.reach().map_or(0, |host| (host.unix_time)(self.data))
    }

    pub(crate) fn fill_random(self, buffer: &mut [u8]) {
        if let Some(host) = self.reach() {
            (host.random)(self.data, buffer.as_mut_ptr(), buffer.len());
        }
    }

    pub(crate) fn whereis(self, name: &str) -> Option<RawPid> {
        let mut found = RawPid::default();
        let host = self.reach()?;
        ((host.whereis)(self.data, Bytes::new(name.as_bytes()), &raw mut found) == 1)
            .then_some(found)
    }

    pub(crate) fn reserve(self) -> Option<RawPid> {
        let mut reserved = RawPid::default();
        let host = self.reach()?;
        ((host.reserve)(self.data, &raw mut reserved) == 1).then_some(reserved)
    }

    /// The table, when there is a call to speak for.
    fn reach(self) -> Option<&'static HostTable> {
        if self.data.is_null() { None } else { table() }
    }
}
