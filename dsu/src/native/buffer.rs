//! Buffers that the other side fills, owns and frees; one is kept per thread to be filled again, unless its owner may be
//! unloaded: a thread that has nothing more to do would keep it.

use std::cell::Cell;

use midflight_abi::Status;
use midflight_abi::raw::Buffer;

use super::Table;
use crate::code::CodeError;

/// A larger one goes back to its owner at once.
const KEPT_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static SPARE: Cell<Option<Filled>> = const { Cell::new(None) };
}

/// A buffer of the code behind `table`. Dropping it has that side free it.
pub(super) struct Filled {
    table: Table,
    buffer: Buffer,
}

impl Filled {
    /// Has `call` fill a buffer. A status below zero becomes the error it means.
    pub(super) fn by(
        table: &Table,
        call: impl FnOnce(*mut Buffer) -> Status,
    ) -> Result<(Status, Self), CodeError> {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let mut filled = spare
            .filter(|spare| spare.table.is(table))
            .unwrap_or_else(|| Self { table: table.clone(), buffer: Buffer::EMPTY });
        let status = call(&raw mut filled.buffer);
        if status.is_ok() { Ok((status, filled)) } else { Err(filled.into_error(status)) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is empty or was filled by its table, and is not freed before `drop`.
        unsafe { self.buffer.as_slice() }
    }

    /// Keeps it for this thread's next call.
    pub(super) fn keep(self) {
        if self.buffer.capacity() <= KEPT_BYTES_MAX && !self.table.comes_and_goes() {
            // While the thread ends there is nowhere to keep it: then it is dropped.
            let _ = SPARE.try_with(|spare| spare.set(Some(self)));
        }
    }

    fn into_error(self, status: Status) -> CodeError {
        let text = String::from_utf8_lossy(self.bytes()).into_owned();
        match status {
            Status::DECODE => CodeError::Decode(text),
            Status::PANIC => CodeError::Panicked(text),
            Status::REFUSED => CodeError::Refused(text),
            Status::UNKNOWN => CodeError::Unknown(text),
            Status::BUSY => CodeError::Busy,
            Status::CONVERT => CodeError::Convert(text),
            Status::STUCK => CodeError::Stuck(text),
            Status::LOST => CodeError::Lost,
            Status::UNHEALTHY => CodeError::Unhealthy(text),
            Status(other) => CodeError::Contract(format!("it answers with status {other}: {text}")),
        }
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        if self.buffer.capacity() > 0 {
            // SAFETY: filled by this table, whose code stays loaded, and freed only here.
            unsafe { (self.table.free)(&raw mut self.buffer) }
        }
    }
}
