//! Calling code through its C table, be it of a loaded library or compiled in.

mod buffer;
mod host;
mod table;

use std::fmt;
use std::ptr::NonNull;

use midflight_abi::raw::{Buffer, Bytes, CallInfo, RawInstance, RawPid, RawWritten};
use midflight_abi::table::reader;
use midflight_abi::{Description, Outcome, Status};
use midflight_message::TypeInfo;
use serde::de::DeserializeOwned;

use crate::code::{Call, Code, CodeError, Instance, OpEnd, Progress, Reader};
use crate::hash::CodeId;
use buffer::Filled;
use host::Borrowed;
pub(crate) use table::Table;

/// Code behind a table.
pub(crate) struct NativeCode {
    id: CodeId,
    table: Table,
    description: Description,
}

impl NativeCode {
    /// Installs the host, has the code test itself and describe itself.
    ///
    /// # Safety
    /// The table is one: its fields were checked, and its functions keep the contract of [`TableV1`](midflight_abi::table::TableV1).
    pub(crate) unsafe fn install(
        id: impl FnOnce(&Description) -> CodeId,
        table: Table,
    ) -> Result<Self, CodeError> {
        // SAFETY: the caller promises the contract; the host's table is a static.
        let status = unsafe { (table.install)(&raw const host::TABLE) };
        if !status.is_ok() {
            let text = format!("it does not take the host's table (status {})", status.0);
            return Err(CodeError::Contract(text));
        }
        // SAFETY: the caller promises the contract.
        Filled::by(&table, |out| unsafe { (table.self_test)(out) })?;
        // SAFETY: the caller promises the contract.
        let behaviours = told(&table, |out| unsafe { (table.describe)(out) })?;
        let conversions = match (table.translate, table.conversions) {
            // SAFETY: the caller promises the contract.
            (Some(_), Some(conversions)) => Some(told(&table, |out| unsafe { conversions(out) })?),
            _ => None,
        };
        let description = Description::new(behaviours, conversions);
        Ok(Self { id: id(&description), table, description })
    }

    /// Has it test itself once more.
    pub(crate) fn test(&self) -> Result<(), CodeError> {
        // SAFETY: `install`'s caller promised the contract.
        Filled::by(&self.table, |out| unsafe { (self.table.self_test)(out) }).map(drop)
    }

    /// The compiler that made it.
    pub(crate) fn rustc(&self) -> String {
        // SAFETY: `install`'s caller promised a table; its texts live as long as its library.
        String::from_utf8_lossy(unsafe { self.table.rustc.as_slice() }).into_owned()
    }

    fn instance(
        &self,
        raw: *mut RawInstance,
        status: Status,
    ) -> Result<Box<dyn Instance>, CodeError> {
        let raw = NonNull::new(raw)
            .ok_or_else(|| CodeError::Contract("no instance came with a good status".into()))?;
        let is_loop = status == Status::PENDING;
        Ok(Box::new(NativeInstance { table: self.table.clone(), raw, is_loop }))
    }
}

/// What the code behind a table says of itself.
fn told<T: DeserializeOwned>(
    table: &Table,
    tell: impl FnOnce(*mut Buffer) -> Status,
) -> Result<T, CodeError> {
    let (_, described) = Filled::by(table, tell)?;
    let told = postcard::from_bytes(described.bytes())
        .map_err(|e| CodeError::Contract(format!("its description cannot be read: {e}")))?;
    described.keep();
    Ok(told)
}

impl Code for NativeCode {
    fn id(&self) -> CodeId {
        self.id
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn create(
        &self,
        behaviour: u32,
        start: &[u8],
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Box<dyn Instance>, CodeError> {
        effects.clear();
        let host = Borrowed(call.host);
        let info = info(call, &host);
        let mut raw = std::ptr::null_mut();
        // SAFETY: the table keeps its contract (`install`); all pointers are good for the call.
        let (status, filled) = Filled::by(&self.table, |out| unsafe {
            (self.table.create)(behaviour, Bytes::new(start), &raw const info, &raw mut raw, out)
        })?;
        effects.extend_from_slice(filled.bytes());
        filled.keep();
        self.instance(raw, status)
    }

    fn restore(
        &self,
        behaviour: u32,
        state_version: u32,
        state: &[u8],
    ) -> Result<Box<dyn Instance>, CodeError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the table keeps its contract (`install`); all pointers are good for the call.
        let (status, filled) = Filled::by(&self.table, |out| unsafe {
            (self.table.restore)(behaviour, state_version, Bytes::new(state), &raw mut raw, out)
        })?;
        filled.keep();
        self.instance(raw, status)
    }

    fn translate(
        &self,
        behaviour: u32,
        reader: Reader,
        written: &TypeInfo,
        value: &[u8],
    ) -> Result<Vec<u8>, CodeError> {
        let translate = self.table.translate.ok_or(CodeError::OwnFormOnly)?;
        let raw = RawWritten {
            name: Bytes::new(written.name().as_bytes()),
            schema: Bytes::new(written.schema().as_bytes()),
            fingerprint: *written.fingerprint().as_bytes(),
            version: written.version(),
        };
        let (reader, index) = match reader {
            Reader::Start => (reader::START, 0),
            Reader::Message(index) => (reader::MESSAGE, index),
            Reader::Reply(index) => (reader::REPLY, index),
            Reader::State(version) => (reader::STATE, version),
        };
        // SAFETY: the table keeps its contract (`install`); all pointers are good for the call.
        let (_, filled) = Filled::by(&self.table, |out| unsafe {
            translate(behaviour, reader, index, &raw const raw, Bytes::new(value), out)
        })?;
        let ours = filled.bytes().to_vec();
        filled.keep();
        Ok(ours)
    }
}

impl fmt::Debug for NativeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeCode").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One process' behaviour, on the other side of the table.
struct NativeInstance {
    table: Table,
    raw: NonNull<RawInstance>,
    is_loop: bool,
}

// SAFETY: the table lets any thread call, one at a time, and this type is not Sync.
unsafe impl Send for NativeInstance {}

impl NativeInstance {
    fn run(
        &self,
        effects: &mut Vec<u8>,
        call: impl FnOnce(*mut Buffer) -> Status,
    ) -> Result<Progress, CodeError> {
        effects.clear();
        let (status, filled) = Filled::by(&self.table, call)?;
        effects.extend_from_slice(filled.bytes());
        filled.keep();
        match status {
            Status::OK => Ok(Progress::Done),
            Status::PENDING => Ok(Progress::Suspended),
            Status(other) => Err(CodeError::Contract(format!("it answers with status {other}"))),
        }
    }
}

impl Instance for NativeInstance {
    fn start(
        &mut self,
        type_index: u32,
        message: &[u8],
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Progress, CodeError> {
        let host = Borrowed(call.host);
        let info = info(call, &host);
        // SAFETY: the table keeps its contract; `&mut self` makes this the only call.
        self.run(effects, |out| unsafe {
            let message = Bytes::new(message);
            (self.table.start)(self.raw.as_ptr(), type_index, message, &raw const info, out)
        })
    }

    fn resume(
        &mut self,
        op: u64,
        end: OpEnd<'_>,
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Progress, CodeError> {
        let (outcome, result) = match end {
            OpEnd::Done(reply) => (Outcome::DONE, reply),
            OpEnd::Timeout => (Outcome::TIMEOUT, [].as_slice()),
            OpEnd::Gone => (Outcome::GONE, [].as_slice()),
            OpEnd::Refused(why) => (Outcome::REFUSED, why.as_bytes()),
        };
        let host = Borrowed(call.host);
        let info = info(call, &host);
        // SAFETY: the table keeps its contract; `&mut self` makes this the only call.
        self.run(effects, |out| unsafe {
            let result = Bytes::new(result);
            (self.table.resume)(self.raw.as_ptr(), op, outcome, result, &raw const info, out)
        })
    }

    fn is_loop(&self) -> bool {
        self.is_loop
    }

    fn size(&self) -> u64 {
        // SAFETY: the table keeps its contract; this type is not Sync, so this is the only call.
        unsafe { (self.table.instance_size)(self.raw.as_ptr()) }
    }

    fn save(&self, state_version: u32) -> Result<Vec<u8>, CodeError> {
        // SAFETY: the table keeps its contract; this type is not Sync, so this is the only call.
        let (_, filled) = Filled::by(&self.table, |out| unsafe {
            (self.table.save)(self.raw.as_ptr(), state_version, out)
        })?;
        let state = filled.bytes().to_vec();
        filled.keep();
        Ok(state)
    }

    fn health(&self) -> Result<(), CodeError> {
        let none = || CodeError::Unknown("it was built for an ABI without health functions".into());
        let health = self.table.health.ok_or_else(none)?;
        // SAFETY: the table keeps its contract; this type is not Sync, so this is the only call.
        let (_, filled) = Filled::by(&self.table, |out| unsafe { health(self.raw.as_ptr(), out) })?;
        filled.keep();
        Ok(())
    }
}

impl Drop for NativeInstance {
    fn drop(&mut self) {
        // SAFETY: made by this table, and never used after this.
        unsafe { (self.table.drop)(self.raw.as_ptr()) }
    }
}

fn info(call: &Call<'_>, host: &Borrowed<'_>) -> CallInfo {
    let mut flags = 0;
    if call.from.is_some() {
        flags |= CallInfo::HAS_FROM;
    }
    if call.reply_to.is_some() {
        flags |= CallInfo::HAS_CALL;
    }
    if call.is_wanted {
        flags |= CallInfo::IS_WANTED;
    }
    CallInfo {
        size: CallInfo::SIZE,
        flags,
        host_data: host.as_data(),
        me: call.me.into(),
        from: call.from.map(RawPid::from).unwrap_or_default(),
        call: call.reply_to.unwrap_or_default(),
    }
}
