//! The functions behind the table: every call of the host arrives here, and no panic leaves.

use crate::cell::{Cell, OpEnd};
use crate::error::Failure;
use crate::host::HostTable;
use crate::list::sealed::List;
use crate::panic;
use crate::raw::{Buffer, Bytes, CallInfo, RawInstance, RawWritten};
use crate::status::{Outcome, Status};
use crate::translate::{self, Asked, Written};

/// What a `RawInstance` points to.
struct Instance {
    cell: Box<dyn Cell>,
}

/// Runs `work` with the vector in `out` to be refilled; what it makes, or the text of its failure,
/// goes back into `out`.
///
/// # Safety
/// `out` points to a buffer that is empty or of this library, and nobody else uses it meanwhile.
unsafe fn guard(
    out: *mut Buffer,
    work: impl FnOnce(Vec<u8>) -> Result<(Status, Vec<u8>), Failure>,
) -> Status {
    // SAFETY: the caller promises a buffer of its own.
    let out = unsafe { &mut *out };
    // SAFETY: the caller promises that it is empty or of this library.
    let spare = unsafe { out.take_vec() };
    let (status, bytes) = match panic::catch(|| work(spare)) {
        Ok(Ok(done)) => done,
        Ok(Err(failure)) => (failure.status, failure.text.into_bytes()),
        Err(text) => (Status::PANIC, text.into_bytes()),
    };
    *out = Buffer::from_vec(bytes);
    status
}

/// # Safety
/// `info` is null or points to a `CallInfo` of `size` bytes.
unsafe fn read_info(info: *const CallInfo) -> Result<CallInfo, Failure> {
    // SAFETY: the caller promises null, or what may be read up to `size`, its first field.
    let known = !info.is_null() && unsafe { (*info).size } >= CallInfo::SIZE;
    if !known {
        return Err(Failure::new(Status::REFUSED, "the call's information is too short"));
    }
    // SAFETY: it is at least as long as this side's structure.
    Ok(unsafe { *info })
}

/// # Safety
/// `instance` was made by this table, is not dropped, and nobody else uses it meanwhile.
unsafe fn cell<'a>(instance: *mut RawInstance) -> &'a mut dyn Cell {
    // SAFETY: `into_raw` made the pointer of a box of this type.
    unsafe { &mut *(*instance.cast::<Instance>()).cell }
}

fn into_raw(cell: Box<dyn Cell>) -> *mut RawInstance {
    Box::into_raw(Box::new(Instance { cell })).cast()
}

/// Whether there is a loop to begin.
fn begun(cell: &dyn Cell) -> Status {
    if cell.is_loop() { Status::PENDING } else { Status::OK }
}

pub(crate) unsafe extern "C" fn describe<L: List>(out: *mut Buffer) -> Status {
    // SAFETY: the table's contract.
    unsafe {
        guard(out, |spare| {
            // A description of minor 0: the conversions are told apart.
            Ok((Status::OK, crate::codec::write_state(&L::describe()?, spare)?))
        })
    }
}

pub(crate) unsafe extern "C" fn install(host: *const HostTable) -> Status {
    // SAFETY: the table's contract: null, or a table that stays; its size is its first field.
    if host.is_null() || unsafe { (*host).size } < HostTable::SIZE {
        return Status::REFUSED;
    }
    // SAFETY: as above.
    unsafe { crate::host::install(host) };
    match panic::catch(panic::install_hook) {
        Ok(()) => Status::OK,
        Err(_) => Status::PANIC,
    }
}

pub(crate) unsafe extern "C" fn self_test<L: List>(out: *mut Buffer) -> Status {
    // SAFETY: the table's contract.
    unsafe {
        guard(out, |spare| {
            let description = crate::Description { behaviours: L::describe()?, conversions: None };
            description.check().map_err(Failure::refused)?;
            // That a panic is caught here is what every later call relies on.
            if panic::catch(|| std::panic::panic_any("self-test")).is_ok() {
                return Err(Failure::refused("a panic was not caught"));
            }
            Ok((Status::OK, spare))
        })
    }
}

pub(crate) unsafe extern "C" fn free(buffer: *mut Buffer) {
    // SAFETY: the table's contract: a buffer of this library.
    drop(unsafe { (*buffer).take_vec() });
}

pub(crate) unsafe extern "C" fn create<L: List>(
    behaviour: u32,
    args: Bytes<'_>,
    info: *const CallInfo,
    instance: *mut *mut RawInstance,
    out: *mut Buffer,
) -> Status {
    // SAFETY: the table's contract, for all that is used in here.
    unsafe {
        guard(out, |spare| {
            let info = read_info(info)?;
            let (cell, effects) = L::create(behaviour, args.as_slice(), &info, spare)?;
            let status = begun(&*cell);
            *instance = into_raw(cell);
            Ok((status, effects))
        })
    }
}

pub(crate) unsafe extern "C" fn start(
    instance: *mut RawInstance,
    type_index: u32,
    message: Bytes<'_>,
    info: *const CallInfo,
    out: *mut Buffer,
) -> Status {
    // SAFETY: the table's contract, for all that is used in here.
    unsafe {
        guard(out, |spare| {
            let info = read_info(info)?;
            cell(instance).start(type_index, message.as_slice(), &info, spare)
        })
    }
}

pub(crate) unsafe extern "C" fn resume(
    instance: *mut RawInstance,
    op: u64,
    outcome: Outcome,
    result: Bytes<'_>,
    info: *const CallInfo,
    out: *mut Buffer,
) -> Status {
    // SAFETY: the table's contract, for all that is used in here.
    unsafe {
        guard(out, |spare| {
            let info = read_info(info)?;
            let end = OpEnd { op, outcome, result: result.as_slice() };
            cell(instance).resume(end, &info, spare)
        })
    }
}

pub(crate) unsafe extern "C" fn size(instance: *mut RawInstance) -> u64 {
    // SAFETY: the table's contract.
    panic::catch(|| unsafe { cell(instance) }.size()).unwrap_or(u64::MAX)
}

pub(crate) unsafe extern "C" fn save(
    instance: *mut RawInstance,
    state_version: u32,
    out: *mut Buffer,
) -> Status {
    // SAFETY: the table's contract, for all that is used in here.
    unsafe { guard(out, |spare| Ok((Status::OK, cell(instance).save(state_version, spare)?))) }
}

pub(crate) unsafe extern "C" fn restore<L: List>(
    behaviour: u32,
    state_version: u32,
    bytes: Bytes<'_>,
    instance: *mut *mut RawInstance,
    out: *mut Buffer,
) -> Status {
    // SAFETY: the table's contract, for all that is used in here.
    unsafe {
        guard(out, |spare| {
            let cell = L::restore(behaviour, state_version, bytes.as_slice())?;
            let status = begun(&*cell);
            *instance = into_raw(cell);
            Ok((status, spare))
        })
    }
}

pub(crate) unsafe extern "C" fn health(instance: *mut RawInstance, out: *mut Buffer) -> Status {
    // SAFETY: the table's contract, for all that is used in here.
    unsafe { guard(out, |spare| cell(instance).health().map(|()| (Status::OK, spare))) }
}

pub(crate) unsafe extern "C" fn drop_instance(instance: *mut RawInstance) {
    // SAFETY: the table's contract: made by `into_raw`, and given up by the host with this call.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance>()) };
    // A destructor of the author's that panics: the text has nowhere to go but the log.
    if let Err(text) = panic::catch(|| drop(instance)) {
        crate::host::Host::NODE.log(crate::Level::Error, &format!("panic in a destructor: {text}"));
    }
}

pub(crate) unsafe extern "C" fn translate<L: List>(
    behaviour: u32,
    reader: u32,
    index: u32,
    written: *const RawWritten<'_>,
    value: Bytes<'_>,
    out: *mut Buffer,
) -> Status {
    // SAFETY: the table's contract, for all that is used in here.
    unsafe {
        guard(out, |spare| {
            if written.is_null() {
                return Err(Failure::new(Status::REFUSED, "the writer's type is missing"));
            }
            let written = Written::of(&*written)?;
            let asked = Asked { behaviour, reader, index };
            Ok((Status::OK, translate::translate::<L>(asked, &written, value.as_slice(), spare)?))
        })
    }
}

pub(crate) unsafe extern "C" fn conversions<L: List>(out: *mut Buffer) -> Status {
    // SAFETY: the table's contract.
    unsafe {
        guard(out, |spare| {
            let description = crate::Description { behaviours: L::describe()?, conversions: None };
            let told = midflight_message::ToldConversions::of(description.readers());
            let told = told.map_err(Failure::refused)?;
            Ok((Status::OK, crate::codec::write_state(&told, spare)?))
        })
    }
}
