//! What a handler did, in a form that two versions can be compared by.

use std::fmt;

use midflight_abi::BehaviourDescription;
use midflight_abi::effect::{Effect, UNIT_REPLY};
use midflight_message::{Address, Message, TypeInfo, decode};

/// One thing that a handler did besides changing its state. It went nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What it is: `reply counter.Total`, `send till.Receipt to 3.5.1`, `exit: normal`.
    pub what: String,
    /// The message that goes with it, by its form and bytes.
    pub carries: Option<(TypeInfo, Vec<u8>)>,
}

impl Output {
    /// The message that goes with it, where it is an `M` in its own form.
    #[must_use]
    pub fn message<M: Message>(&self) -> Option<M> {
        let (form, bytes) = self.carries.as_ref()?;
        if form != M::type_info() {
            return None;
        }
        decode(bytes).ok()
    }

    /// `None`: nothing that others see.
    pub(super) fn of(effect: &Effect<'_>, behaviour: &BehaviourDescription) -> Option<Self> {
        let at = |index: &u32| *index as usize;
        let (what, form, payload) = match effect {
            Effect::Reply { type_index: UNIT_REPLY, .. } => ("reply".to_owned(), None, &[][..]),
            Effect::Reply { type_index, payload, .. } => {
                let reply = behaviour.accepts.get(at(type_index)).and_then(|a| a.reply.as_ref());
                ("reply".to_owned(), reply, *payload)
            }
            Effect::Send { to, type_index, payload } => {
                (format!("send to {}", address(*to)), behaviour.sends.get(at(type_index)), *payload)
            }
            Effect::SendAfter { to, millis, type_index, payload, .. } => {
                let to = to.map_or_else(|| "itself".to_owned(), address);
                let form = match to {
                    _ if to == "itself" => {
                        behaviour.accepts.get(at(type_index)).map(|a| &a.message)
                    }
                    _ => behaviour.sends.get(at(type_index)),
                };
                (format!("send after {millis} ms to {to}"), form, *payload)
            }
            Effect::Spawn { behaviour: name, type_index, payload, .. } => {
                (format!("spawn {name}"), behaviour.sends.get(at(type_index)), *payload)
            }
            Effect::Call { to, type_index, payload, .. } => {
                let form = behaviour.calls.get(at(type_index)).map(|call| &call.message);
                (format!("call {}", address(*to)), form, *payload)
            }
            Effect::Exit { reason } => (format!("exit: {reason}"), None, &[][..]),
            // When it sleeps, receives or rests is its own affair; and a timer's number is chance.
            Effect::Sleep { .. }
            | Effect::Receive
            | Effect::UpdatePoint { .. }
            | Effect::CancelTimer { .. } => return None,
            other => (format!("{other:?}"), None, &[][..]),
        };
        let Some(form) = form else { return Some(Self { what, carries: None }) };
        let what = match what.split_once(' ') {
            Some((verb, rest)) => format!("{verb} {} {rest}", form.name()),
            None => format!("{what} {}", form.name()),
        };
        Some(Self { what, carries: Some((form.clone(), payload.to_vec())) })
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

pub(super) fn address(to: Address<'_>) -> String {
    match to {
        Address::Pid(pid) => pid.to_string(),
        Address::Name(name) => format!("`{name}`"),
        Address::NameOn(name, node) => format!("`{name}` on {node:?}"),
    }
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// It was handled, and the handler did this.
    Well(Vec<Output>),
    /// The code takes no such message, or not in this form, or the process has ended: the sender is told, as on a node.
    Refused(String),
    /// The handler panicked or said no: what it did goes nowhere.
    Failed(String),
}

impl Handled {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Well(_) => "handled",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// What was done.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        match self {
            Self::Well(outputs) => outputs,
            _ => &[],
        }
    }

    /// The reply, where it is an `M`.
    #[must_use]
    pub fn reply<M: Message>(&self) -> Option<M> {
        let replies = self.outputs().iter().filter(|output| output.what.starts_with("reply"));
        replies.filter_map(Output::message).next()
    }
}

impl fmt::Display for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well(_) => f.write_str("handled"),
            Self::Refused(why) => write!(f, "refused ({why})"),
            Self::Failed(why) => write!(f, "failed ({why})"),
        }
    }
}
