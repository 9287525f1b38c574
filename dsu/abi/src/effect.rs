//! The effects of a handler: what it did besides changing its state, as one list of bytes.
//!
//! The bundle writes the list, the host reads it with [`Effects`] when the handler has returned or
//! suspended well. Numbers are little-endian and of fixed width, texts and payloads carry their
//! length (u32). A tag is never given a second meaning; new ones count in
//! [`ABI_MINOR`](crate::table::ABI_MINOR).

mod read;
mod write;

use midflight_message::{Address, NodeId, Pid};

pub use read::{EffectError, Effects};
pub(crate) use write::{EffectWriter, Unwritable};

/// The longest list of effects a host reads, in bytes.
pub const EFFECT_BYTES_MAX: usize = 64 << 20;

/// The most effects a host reads from one list.
pub const EFFECTS_MAX: usize = 1 << 20;

/// The type index of a reply that carries no value: the handler is done, that is all.
pub const UNIT_REPLY: u32 = u32::MAX;

/// One thing a handler wants done. Payloads are messages as `midflight-message` encodes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect<'a> {
    /// Send a message.
    Send {
        /// To whom.
        to: Address<'a>,
        /// Which of the behaviour's `sends`.
        type_index: u32,
        /// The message.
        payload: &'a [u8],
    },
    /// Answer a call.
    Reply {
        /// The `call` of the message answered.
        call: u64,
        /// Whose reply it is: an index into the behaviour's `accepts`, or [`UNIT_REPLY`].
        type_index: u32,
        /// The reply.
        payload: &'a [u8],
    },
    /// Send a message later.
    SendAfter {
        /// By what the timer can be cancelled; 0: by nothing.
        timer: u64,
        /// To whom; `None`: to the process itself.
        to: Option<Address<'a>>,
        /// How much later.
        millis: u64,
        /// Which of the behaviour's `sends`; of its `accepts`, when it is to itself.
        type_index: u32,
        /// The message.
        payload: &'a [u8],
    },
    /// Cancel a timer.
    CancelTimer {
        /// Who has set it.
        set_by: Pid,
        /// What it was called there.
        timer: u64,
    },
    /// Tell the process when `target` is dead, by the message `midflight.Down`.
    Monitor {
        /// Whom to watch.
        target: Pid,
    },
    /// Take back whatever the process watches `target` by.
    Demonitor {
        /// Whom to watch no longer.
        target: Pid,
    },
    /// Tell the process when the link to a node is lost, by the message `midflight.NodeDown`.
    MonitorNode {
        /// Which node to watch.
        node: NodeId,
    },
    /// Take back whatever the process watches a node by.
    DemonitorNode {
        /// Which node to watch no longer.
        node: NodeId,
    },
    /// Link the process and `target`: when one ends, the other gets an exit signal.
    Link {
        /// With whom.
        target: Pid,
    },
    /// End the link of the process and `target`.
    Unlink {
        /// With whom.
        target: Pid,
    },
    /// Say whether exit signals become messages `midflight.Exited`.
    TrapExits {
        /// Whether they do.
        traps: bool,
    },
    /// Say whether the process is told of lost links that it had sent on, by the message
    /// `midflight.Disconnected`, and then sends no more there until it reconnects.
    AskAboutLosses {
        /// Whether it is.
        asks: bool,
    },
    /// Accept that what was sent to a node may be lost.
    Reconnect {
        /// Which node.
        node: NodeId,
    },
    /// Start a process under a pid that was reserved for it.
    Spawn {
        /// The pid reserved.
        pid: Pid,
        /// The name of the behaviour.
        behaviour: &'a str,
        /// Which of the behaviour's `sends` its start is.
        type_index: u32,
        /// Its start.
        payload: &'a [u8],
    },
    /// End the process, once the handler is done.
    Exit {
        /// Why.
        reason: &'a str,
    },
    /// A suspended handler awaits a reply.
    Call {
        /// Names it for `resume`.
        op: u64,
        /// Whom it called.
        to: Address<'a>,
        /// Which of the behaviour's `calls`.
        type_index: u32,
        /// After how long to resume it with a time-out.
        timeout_millis: u64,
        /// The message.
        payload: &'a [u8],
    },
    /// A suspended handler sleeps.
    Sleep {
        /// Names it for `resume`.
        op: u64,
        /// For how long.
        millis: u64,
    },
    /// A suspended loop takes the next message: the host hands it over by `start`. It holds until the next call.
    Receive,
    /// A suspended loop is at an update point: its state can be saved, and it need not go on. It holds until the next
    /// call.
    UpdatePoint {
        /// Names it for `resume`, by which the loop goes on.
        op: u64,
    },
}

const SEND: u8 = 1;
const REPLY: u8 = 2;
/// Without a number, to itself: no SDK writes it any more.
const SEND_AFTER_OLD: u8 = 3;
const MONITOR: u8 = 4;
const SPAWN: u8 = 5;
const EXIT: u8 = 6;
const CALL: u8 = 7;
const SLEEP: u8 = 8;
// From here on since minor 1.
const SEND_AFTER: u8 = 9;
const CANCEL_TIMER: u8 = 10;
const DEMONITOR: u8 = 11;
const MONITOR_NODE: u8 = 12;
const DEMONITOR_NODE: u8 = 13;
const LINK: u8 = 14;
const UNLINK: u8 = 15;
const TRAP_EXITS: u8 = 16;
const SEND_TO: u8 = 17;
const CALL_TO: u8 = 18;
const ASK_ABOUT_LOSSES: u8 = 19;
const RECONNECT: u8 = 20;
// From here on since minor 3.
const RECEIVE: u8 = 21;
const UPDATE_POINT: u8 = 22;

/// Kinds of receivers.
const TO_ITSELF: u8 = 0;
const TO_PID: u8 = 1;
const TO_NAME: u8 = 2;
const TO_NAME_ON: u8 = 3;

#[cfg(test)]
mod tests;
