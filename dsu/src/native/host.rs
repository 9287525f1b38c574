//! The host's table: what loaded code calls back into. No panic leaves.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use midflight_abi::raw::{Bytes, RawPid};
use midflight_abi::{HostTable, Level};

use crate::code::Host;

/// Counts the fields of [`HostTable`] appended since its first version.
const MINOR: u32 = 0;

/// The one table of this program.
pub(super) static TABLE: HostTable = HostTable {
    size: HostTable::SIZE,
    minor: MINOR,
    log,
    now,
    unix_time,
    random,
    whereis,
    reserve,
};

/// The host of the call being made; `host_data` points to it.
pub(super) struct Borrowed<'a>(pub(super) &'a dyn Host);

impl Borrowed<'_> {
    pub(super) const fn as_data(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

/// Runs `ask` on the call's host; `otherwise` without one, or when the host panics.
fn with<T>(data: *mut c_void, otherwise: T, ask: impl FnOnce(&dyn Host) -> T) -> T {
    // SAFETY: null, or what `as_data` gave for a call that has not returned: the SDK passes it
    // back untouched and only during the call.
    let Some(host) = (unsafe { data.cast::<Borrowed<'_>>().as_ref() }) else { return otherwise };
    catch_unwind(AssertUnwindSafe(|| ask(host.0))).unwrap_or(otherwise)
}

extern "C" fn log(data: *mut c_void, level: u32, text: Bytes<'_>) {
    // SAFETY: lent by the SDK for this call.
    let text = String::from_utf8_lossy(unsafe { text.as_slice() });
    let level = match level {
        1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        _ => Level::Debug,
    };
    if data.is_null() {
        // From no process in particular, such as a thread of the code's own.
        let _ = catch_unwind(|| tracing::warn!(target: "midflight::code", "{text}"));
    } else {
        with(data, (), |host| host.log(level, &text));
    }
}

extern "C" fn now(data: *mut c_void) -> u64 {
    with(data, 0, |host| host.now_nanos())
}

extern "C" fn unix_time(data: *mut c_void) -> u64 {
    with(data, 0, |host| host.unix_nanos())
}

extern "C" fn random(data: *mut c_void, into: *mut u8, len: usize) {
    if into.is_null() || len == 0 {
        return;
    }
    // SAFETY: the SDK lends a slice of that length for this call.
    let buffer = unsafe { std::slice::from_raw_parts_mut(into, len) };
    with(data, (), |host| host.fill_random(buffer));
}

extern "C" fn whereis(data: *mut c_void, name: Bytes<'_>, found: *mut RawPid) -> i32 {
    // SAFETY: lent by the SDK for this call.
    let name = String::from_utf8_lossy(unsafe { name.as_slice() });
    let pid = with(data, None, |host| host.whereis(&name));
    // SAFETY: the SDK lends the place for this call.
    unsafe { answer(pid, found) }
}

extern "C" fn reserve(data: *mut c_void, reserved: *mut RawPid) -> i32 {
    let pid = with(data, None, |host| host.reserve());
    // SAFETY: the SDK lends the place for this call.
    unsafe { answer(pid, reserved) }
}

/// # Safety
/// `place` is good to write to.
unsafe fn answer(pid: Option<midflight_message::Pid>, place: *mut RawPid) -> i32 {
    let Some(pid) = pid else { return 0 };
    // SAFETY: the caller promises the place.
    unsafe { place.write(pid.into()) };
    1
}
