//! The plain C types that cross the border. Nothing else does.

use std::ffi::c_void;
use std::marker::PhantomData;

use midflight_message::{NodeId, Pid};

/// Bytes lent for the time of one call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    ptr: *const u8,
    len: usize,
    lent: PhantomData<&'a [u8]>,
}

// SAFETY: it is a shared slice in C's clothes, and `&[u8]` is Send.
unsafe impl Send for Bytes<'_> {}
// SAFETY: as above, and `&[u8]` is Sync.
unsafe impl Sync for Bytes<'_> {}

impl<'a> Bytes<'a> {
    /// Lends `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len(), lent: PhantomData }
    }

    /// The bytes lent.
    ///
    /// # Safety
    /// The value was made by [`Bytes::new`], on either side, and the call it was made for lasts.
    #[must_use]
    pub const unsafe fn as_slice(&self) -> &'a [u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the caller promises that pointer and length come from a slice still lent.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

/// Bytes owned by the side that made them. The host hands one back by the table's `free`, or by
/// passing it in again, to be refilled.
#[repr(C)]
#[derive(Debug)]
pub struct Buffer {
    ptr: *mut u8,
    len: usize,
    capacity: usize,
}

// SAFETY: it owns its bytes, like the `Vec<u8>` it was made of.
unsafe impl Send for Buffer {}

impl Buffer {
    /// No bytes, and nothing to free.
    pub const EMPTY: Self = Self { ptr: std::ptr::null_mut(), len: 0, capacity: 0 };

    /// How many bytes it could hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// The bytes; they stay the maker's.
    ///
    /// # Safety
    /// The buffer was filled by the other side's SDK and not freed since.
    #[must_use]
    pub const unsafe fn as_slice(&self) -> &[u8] {
        if self.ptr.is_null() || self.len == 0 {
            return &[];
        }
        // SAFETY: the caller promises that they are the parts of a living vector.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }

    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        Self { ptr: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity() }
    }

    /// Takes the vector back and leaves [`Buffer::EMPTY`].
    ///
    /// # Safety
    /// The buffer was made by `from_vec` of this very library, or is empty.
    pub(crate) unsafe fn take_vec(&mut self) -> Vec<u8> {
        let Self { ptr, len, capacity } = std::mem::replace(self, Self::EMPTY);
        if ptr.is_null() {
            return Vec::new();
        }
        // SAFETY: the caller promises that these are the parts of a vector of this allocator.
        unsafe { Vec::from_raw_parts(ptr, len, capacity) }
    }
}

/// A pid as C sees it.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RawPid {
    /// The node, incarnation included.
    pub node: u64,
    /// Where in the node's table.
    pub index: u32,
    /// Which of those that lived there.
    pub generation: u32,
}

impl From<Pid> for RawPid {
    fn from(pid: Pid) -> Self {
        Self { node: pid.node.0, index: pid.index, generation: pid.generation }
    }
}

impl From<RawPid> for Pid {
    fn from(raw: RawPid) -> Self {
        Self { node: NodeId(raw.node), index: raw.index, generation: raw.generation }
    }
}

/// What every call carries besides its arguments. Append-only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CallInfo {
    /// Size of the structure as the host knows it.
    pub size: u32,
    /// [`CallInfo::HAS_FROM`], [`CallInfo::HAS_CALL`] and [`CallInfo::IS_WANTED`].
    pub flags: u32,
    /// Handed to every function of the host table, untouched. Valid until the call returns.
    pub host_data: *mut c_void,
    /// The process.
    pub me: RawPid,
    /// Who sent the message, with `HAS_FROM`.
    pub from: RawPid,
    /// Names the reply that is waited for, with `HAS_CALL`.
    pub call: u64,
}

impl CallInfo {
    /// `from` is set.
    pub const HAS_FROM: u32 = 1;
    /// `call` is set: somebody waits for a reply.
    pub const HAS_CALL: u32 = 2;
    /// The host waits for the process to come to rest: a loop stops at its next update point. Since minor 3.
    pub const IS_WANTED: u32 = 4;
    /// The size this side knows.
    #[expect(clippy::cast_possible_truncation, reason = "64 bytes")]
    pub const SIZE: u32 = size_of::<Self>() as u32;

    pub(crate) const fn caller(&self) -> Option<RawPid> {
        if self.flags & Self::HAS_FROM == 0 { None } else { Some(self.from) }
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.flags & Self::IS_WANTED != 0
    }

    pub(crate) const fn reply_id(&self) -> Option<u64> {
        if self.flags & Self::HAS_CALL == 0 { None } else { Some(self.call) }
    }
}

/// The type that a value was written as: a lent [`TypeInfo`](midflight_message::TypeInfo).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct RawWritten<'a> {
    /// Its name.
    pub name: Bytes<'a>,
    /// The canonical text of its schema.
    pub schema: Bytes<'a>,
    /// The text's fingerprint.
    pub fingerprint: [u8; 16],
    /// Its version.
    pub version: u32,
}

/// One living behaviour, as the host holds it: a pointer that only its own table understands.
#[repr(C)]
#[derive(Debug)]
pub struct RawInstance {
    opaque: [u8; 0],
}
