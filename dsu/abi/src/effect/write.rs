//! Writing effects: the bundle's side.

use midflight_message::{Address, Message, NodeId};

use crate::raw::RawPid;
use crate::timer::Timer;

/// A payload could not be encoded, or the list has grown too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unwritable(pub(crate) String);

/// Appends effects to a list. The first effect that cannot be written is remembered, and fails the
/// handler when it ends: a behaviour need not check each send.
#[derive(Debug, Default)]
pub(crate) struct EffectWriter {
    bytes: Vec<u8>,
    failed: Option<Unwritable>,
}

impl EffectWriter {
    /// Writes into `bytes`, whose content is dropped.
    pub(crate) fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, failed: None }
    }

    /// The list so far, leaving an empty one.
    pub(crate) fn take(&mut self) -> Result<Vec<u8>, Unwritable> {
        match self.failed.take() {
            Some(failed) => Err(failed),
            None => Ok(std::mem::take(&mut self.bytes)),
        }
    }

    pub(crate) fn send<M: Message>(&mut self, to: Address<'_>, type_index: u32, message: &M) {
        match to {
            Address::Pid(pid) => {
                self.tag(super::SEND);
                self.pid(pid.into());
            }
            named => {
                self.tag(super::SEND_TO);
                self.receiver(Some(named));
            }
        }
        self.u32(type_index);
        self.payload(message);
    }

    pub(crate) fn reply<M: Message>(&mut self, call: u64, type_index: u32, message: &M) {
        self.tag(super::REPLY);
        self.u64(call);
        self.u32(type_index);
        self.payload(message);
    }

    /// To the process itself, where `to` is `None`.
    pub(crate) fn send_after<M: Message>(
        &mut self,
        timer: Timer,
        to: Option<Address<'_>>,
        millis: u64,
        type_index: u32,
        message: &M,
    ) {
        self.tag(super::SEND_AFTER);
        self.u64(timer.number);
        self.receiver(to);
        self.u64(millis);
        self.u32(type_index);
        self.payload(message);
    }

    pub(crate) fn cancel_timer(&mut self, timer: Timer) {
        self.tag(super::CANCEL_TIMER);
        self.pid(timer.set_by.into());
        self.u64(timer.number);
    }

    pub(crate) fn monitor(&mut self, target: RawPid) {
        self.tag(super::MONITOR);
        self.pid(target);
    }

    pub(crate) fn demonitor(&mut self, target: RawPid) {
        self.tag(super::DEMONITOR);
        self.pid(target);
    }

    pub(crate) fn monitor_node(&mut self, node: NodeId) {
        self.tag(super::MONITOR_NODE);
        self.u64(node.0);
    }

    pub(crate) fn demonitor_node(&mut self, node: NodeId) {
        self.tag(super::DEMONITOR_NODE);
        self.u64(node.0);
    }

    pub(crate) fn link(&mut self, target: RawPid) {
        self.tag(super::LINK);
        self.pid(target);
    }

    pub(crate) fn unlink(&mut self, target: RawPid) {
        self.tag(super::UNLINK);
        self.pid(target);
    }

    pub(crate) fn trap_exits(&mut self, traps: bool) {
        self.tag(super::TRAP_EXITS);
        self.bytes.push(traps.into());
    }

    pub(crate) fn ask_about_losses(&mut self, asks: bool) {
        self.tag(super::ASK_ABOUT_LOSSES);
        self.bytes.push(asks.into());
    }

    pub(crate) fn reconnect(&mut self, node: NodeId) {
        self.tag(super::RECONNECT);
        self.u64(node.0);
    }

    pub(crate) fn spawn<M: Message>(
        &mut self,
        pid: RawPid,
        behaviour: &str,
        type_index: u32,
        start: &M,
    ) {
        self.tag(super::SPAWN);
        self.pid(pid);
        self.text(behaviour);
        self.u32(type_index);
        self.payload(start);
    }

    pub(crate) fn exit(&mut self, reason: &str) {
        self.tag(super::EXIT);
        self.text(reason);
    }

    pub(crate) fn call<M: Message>(
        &mut self,
        op: u64,
        to: Address<'_>,
        type_index: u32,
        timeout_millis: u64,
        message: &M,
    ) {
        match to {
            Address::Pid(pid) => {
                self.tag(super::CALL);
                self.u64(op);
                self.pid(pid.into());
            }
            named => {
                self.tag(super::CALL_TO);
                self.u64(op);
                self.receiver(Some(named));
            }
        }
        self.u32(type_index);
        self.u64(timeout_millis);
        self.payload(message);
    }

    pub(crate) fn sleep(&mut self, op: u64, millis: u64) {
        self.tag(super::SLEEP);
        self.u64(op);
        self.u64(millis);
    }

    pub(crate) fn receive(&mut self) {
        self.tag(super::RECEIVE);
    }

    pub(crate) fn update_point(&mut self, op: u64) {
        self.tag(super::UPDATE_POINT);
        self.u64(op);
    }

    fn tag(&mut self, tag: u8) {
        if self.bytes.len() > super::EFFECT_BYTES_MAX / 2 && self.failed.is_none() {
            self.failed = Some(Unwritable(format!(
                "the handler's effects take more than {} bytes",
                super::EFFECT_BYTES_MAX / 2
            )));
        }
        self.bytes.push(tag);
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn pid(&mut self, pid: RawPid) {
        self.u64(pid.node);
        self.u32(pid.index);
        self.u32(pid.generation);
    }

    fn receiver(&mut self, to: Option<Address<'_>>) {
        match to {
            None => self.bytes.push(super::TO_ITSELF),
            Some(Address::Pid(pid)) => {
                self.bytes.push(super::TO_PID);
                self.pid(pid.into());
            }
            Some(Address::Name(name)) => {
                self.bytes.push(super::TO_NAME);
                self.text(name);
            }
            Some(Address::NameOn(name, node)) => {
                self.bytes.push(super::TO_NAME_ON);
                self.u64(node.0);
                self.text(name);
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.sized(|bytes| {
            bytes.extend_from_slice(text.as_bytes());
            Ok(())
        });
    }

    fn payload<M: Message>(&mut self, message: &M) {
        self.sized(|bytes| {
            midflight_message::encode(message, bytes).map_err(|e| Unwritable(e.to_string()))
        });
    }

    /// Writes what `fill` appends, behind its length.
    fn sized(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Unwritable>) {
        let at = self.bytes.len();
        self.u32(0);
        if let Err(failed) = fill(&mut self.bytes) {
            self.failed.get_or_insert(failed);
            return;
        }
        match u32::try_from(self.bytes.len() - at - 4) {
            Ok(len) => self.bytes[at..at + 4].copy_from_slice(&len.to_le_bytes()),
            Err(_) => {
                let long = || Unwritable("a payload is longer than 4 GiB".into());
                self.failed.get_or_insert_with(long);
            }
        }
    }
}
