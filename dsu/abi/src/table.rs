//! The table a bundle exports: the one symbol by which a host finds everything else.
//!
//! Append-only: a field keeps its place and meaning for as long as [`ABI_MAJOR`] stands, and new
//! ones go to the end, counted by [`ABI_MINOR`] and seen in `size`. The plain integers come first,
//! so that they can be read from the file without running anything of it.

use crate::entry;
use crate::host::HostTable;
use crate::list::Behaviours;
use crate::raw::{Buffer, Bytes, CallInfo, RawInstance, RawWritten};
use crate::status::{Outcome, Status};

/// The symbol of the table.
pub const SYMBOL: &str = "midflight_table_v1";
/// Says that this is such a table: "MIDFLIT1" in the order of the bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MIDFLIT1");
/// Tables of another major are not for this host.
pub const ABI_MAJOR: u32 = 1;
/// Counts what was appended, to the tables and to the effects. A host takes no library whose minor is
/// above its own.
pub const ABI_MINOR: u32 = 4;
/// `panic_strategy` of a library whose panics unwind.
pub const PANIC_UNWIND: u32 = 1;
/// `panic_strategy` of a library whose panics end the program: no host takes it.
pub const PANIC_ABORT: u32 = 2;

/// The table, version 1.
///
/// The contract of its functions: pointers are valid for the call; `out` points to a buffer that is
/// empty or was filled by this table, and is left filled (with a text when the status is below
/// zero); an instance is used by one call at a time and is not used after `drop`. Any thread may
/// call. None of them unwinds.
#[repr(C)]
#[derive(Debug)]
pub struct TableV1 {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`ABI_MAJOR`] of the library.
    pub abi_major: u32,
    /// [`ABI_MINOR`] of the library.
    pub abi_minor: u32,
    /// Size of the table in the library.
    pub size: u32,
    /// [`PANIC_UNWIND`] or [`PANIC_ABORT`].
    pub panic_strategy: u32,
    /// The compiler, for reports.
    pub rustc: Bytes<'static>,
    /// The target triple.
    pub target: Bytes<'static>,
    /// Writes the [`Description`](crate::Description).
    pub describe: unsafe extern "C" fn(out: *mut Buffer) -> Status,
    /// Takes the host's table, which stays for ever. Called once, before everything below.
    pub install: unsafe extern "C" fn(host: *const HostTable) -> Status,
    /// Checks itself.
    pub self_test: unsafe extern "C" fn(out: *mut Buffer) -> Status,
    /// Frees what a buffer holds, and leaves it empty.
    pub free: unsafe extern "C" fn(buffer: *mut Buffer),
    /// Begins a process: makes an instance from its start, and effects. PENDING (since minor 3): its behaviour is a
    /// loop, which begins when operation 0 is resumed.
    pub create: unsafe extern "C" fn(
        behaviour: u32,
        args: Bytes<'_>,
        info: *const CallInfo,
        instance: *mut *mut RawInstance,
        out: *mut Buffer,
    ) -> Status,
    /// Handles a message: effects, and OK or PENDING. A loop takes one while it is suspended, where it receives.
    pub start: unsafe extern "C" fn(
        instance: *mut RawInstance,
        type_index: u32,
        message: Bytes<'_>,
        info: *const CallInfo,
        out: *mut Buffer,
    ) -> Status,
    /// Goes on with a suspended handler: an operation it awaits has ended. One it gave up meanwhile
    /// does nothing.
    pub resume: unsafe extern "C" fn(
        instance: *mut RawInstance,
        op: u64,
        outcome: Outcome,
        result: Bytes<'_>,
        info: *const CallInfo,
        out: *mut Buffer,
    ) -> Status,
    /// How many bytes the saved state would take; 0 when it cannot be saved now.
    pub instance_size: unsafe extern "C" fn(instance: *mut RawInstance) -> u64,
    /// Writes the state as that version of it; the instance stays.
    pub save: unsafe extern "C" fn(
        instance: *mut RawInstance,
        state_version: u32,
        out: *mut Buffer,
    ) -> Status,
    /// Makes an instance from a state saved as that version. PENDING: as for `create`.
    pub restore: unsafe extern "C" fn(
        behaviour: u32,
        state_version: u32,
        bytes: Bytes<'_>,
        instance: *mut *mut RawInstance,
        out: *mut Buffer,
    ) -> Status,
    /// Drops an instance.
    pub drop: unsafe extern "C" fn(instance: *mut RawInstance),
    /// From the bytes of a value in another form to those of the type that the library reads there:
    /// `reader` and `index` say which ([`reader`]). No instance is touched. None below minor 2.
    pub translate: Option<
        unsafe extern "C" fn(
            behaviour: u32,
            reader: u32,
            index: u32,
            written: *const RawWritten<'_>,
            value: Bytes<'_>,
            out: *mut Buffer,
        ) -> Status,
    >,
    /// Writes what there is to tell of the conversions to the types it reads
    /// ([`ToldConversions`](midflight_message::ToldConversions), in the order of
    /// [`Description::readers`](crate::Description::readers)). None below minor 2.
    pub conversions: Option<unsafe extern "C" fn(out: *mut Buffer) -> Status>,
    /// Asks an instance by its state whether it is well: OK, UNHEALTHY with the reason, UNKNOWN where its author does not
    /// say, BUSY where its state is not there now. The state stays as it is. None below minor 4.
    pub health:
        Option<unsafe extern "C" fn(instance: *mut RawInstance, out: *mut Buffer) -> Status>,
}

/// Which of a behaviour's types is to read something.
pub mod reader {
    /// What its processes start from; the index is 0.
    pub const START: u32 = 0;
    /// A message that it handles; the index is its `type_index`.
    pub const MESSAGE: u32 = 1;
    /// The reply to a call that it makes; the index is the call's.
    pub const REPLY: u32 = 2;
    /// A state that it restores; the index is the state's version.
    pub const STATE: u32 = 3;
}

impl TableV1 {
    /// The size this side knows.
    #[expect(clippy::cast_possible_truncation, reason = "168 bytes")]
    pub const SIZE: u32 = size_of::<Self>() as u32;

    /// The size of a table of that minor, of those this side knows.
    #[must_use]
    pub const fn size_of_minor(minor: u32) -> u32 {
        match minor {
            0 | 1 => Self::SIZE_OF_MINOR_1,
            2 | 3 => Self::SIZE_OF_MINOR_3,
            _ => Self::SIZE,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "144 bytes")]
    const SIZE_OF_MINOR_1: u32 = std::mem::offset_of!(Self, translate) as u32;

    #[expect(clippy::cast_possible_truncation, reason = "160 bytes")]
    const SIZE_OF_MINOR_3: u32 = std::mem::offset_of!(Self, health) as u32;

    /// What a library says its table is: a copy, in which a field that the library lacks is none.
    ///
    /// # Safety
    /// `table` points to a table of this major, of as many bytes as its `size` says, and of at least the size
    /// of its minor.
    #[must_use]
    pub unsafe fn read(table: *const Self) -> Self {
        let mut copy = std::mem::MaybeUninit::<Self>::zeroed();
        // SAFETY: the caller promises the table; its size is among the fields that all of them have.
        let size = unsafe { (&raw const (*table).size).read() }.min(Self::SIZE);
        // SAFETY: both have so many bytes, and the copy is another place.
        unsafe {
            std::ptr::copy_nonoverlapping(
                table.cast::<u8>(),
                copy.as_mut_ptr().cast::<u8>(),
                size as usize,
            );
        }
        // SAFETY: every field up to the minor's size is the library's; what may be missing after them is an
        // `Option` of a function, of which zeroes are `None`.
        unsafe { copy.assume_init() }
    }

    /// The table of a library with the behaviours of `L`.
    #[must_use]
    pub const fn of<L: Behaviours>() -> Self {
        Self {
            magic: MAGIC,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            size: Self::SIZE,
            panic_strategy: if cfg!(panic = "unwind") { PANIC_UNWIND } else { PANIC_ABORT },
            rustc: Bytes::new(env!("MIDFLIGHT_RUSTC").as_bytes()),
            target: Bytes::new(env!("MIDFLIGHT_TARGET").as_bytes()),
            describe: entry::describe::<L>,
            install: entry::install,
            self_test: entry::self_test::<L>,
            free: entry::free,
            create: entry::create::<L>,
            start: entry::start,
            resume: entry::resume,
            instance_size: entry::size,
            save: entry::save,
            restore: entry::restore::<L>,
            drop: entry::drop_instance,
            translate: Some(entry::translate::<L>),
            conversions: Some(entry::conversions::<L>),
            health: Some(entry::health),
        }
    }
}

/// The target this crate was compiled for.
pub const TARGET: &str = env!("MIDFLIGHT_TARGET");

/// The compiler this crate was compiled by.
pub const RUSTC: &str = env!("MIDFLIGHT_RUSTC");

#[cfg(test)]
#[cfg(target_pointer_width = "64")]
mod tests {
    use std::mem::offset_of;

    use super::*;
    use crate::raw::RawPid;

    // These numbers are the ABI. A change that makes one of them fail needs another ABI_MAJOR.
    #[test]
    fn the_table_has_its_fields_where_they_always_were() {
        assert_eq!(
            [
                offset_of!(TableV1, magic),
                offset_of!(TableV1, abi_major),
                offset_of!(TableV1, abi_minor),
                offset_of!(TableV1, size),
                offset_of!(TableV1, panic_strategy),
                offset_of!(TableV1, rustc),
                offset_of!(TableV1, target),
                offset_of!(TableV1, describe),
                offset_of!(TableV1, install),
                offset_of!(TableV1, self_test),
                offset_of!(TableV1, free),
                offset_of!(TableV1, create),
                offset_of!(TableV1, start),
                offset_of!(TableV1, resume),
                offset_of!(TableV1, instance_size),
                offset_of!(TableV1, save),
                offset_of!(TableV1, restore),
                offset_of!(TableV1, drop),
                offset_of!(TableV1, translate),
                offset_of!(TableV1, conversions),
                offset_of!(TableV1, health),
            ],
            [
                0, 8, 12, 16, 20, 24, 40, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144,
                152, 160
            ]
        );
        let of_minors = [1, 2, 3, 4].map(TableV1::size_of_minor);
        assert_eq!((TableV1::SIZE, of_minors), (168, [144, 160, 160, 168]));
    }

    #[test]
    fn the_host_table_has_its_fields_where_they_always_were() {
        assert_eq!(
            [
                offset_of!(HostTable, size),
                offset_of!(HostTable, minor),
                offset_of!(HostTable, log),
                offset_of!(HostTable, now),
                offset_of!(HostTable, unix_time),
                offset_of!(HostTable, random),
                offset_of!(HostTable, whereis),
                offset_of!(HostTable, reserve),
            ],
            [0, 4, 8, 16, 24, 32, 40, 48]
        );
        assert_eq!(HostTable::SIZE, 56);
    }

    #[test]
    fn the_plain_structures_have_their_fields_where_they_always_were() {
        assert_eq!(
            [
                offset_of!(CallInfo, size),
                offset_of!(CallInfo, flags),
                offset_of!(CallInfo, host_data),
                offset_of!(CallInfo, me),
                offset_of!(CallInfo, from),
                offset_of!(CallInfo, call),
            ],
            [0, 4, 8, 16, 32, 48]
        );
        assert_eq!((CallInfo::SIZE, size_of::<RawPid>(), align_of::<RawPid>()), (56, 16, 8));
        assert_eq!((size_of::<Buffer>(), size_of::<Bytes<'_>>()), (24, 16));
        assert_eq!((size_of::<Status>(), size_of::<Outcome>()), (4, 4));
        assert_eq!(
            [
                offset_of!(RawWritten<'_>, name),
                offset_of!(RawWritten<'_>, schema),
                offset_of!(RawWritten<'_>, fingerprint),
                offset_of!(RawWritten<'_>, version),
            ],
            [0, 16, 32, 48]
        );
        assert_eq!(size_of::<RawWritten<'_>>(), 56);
    }
}
