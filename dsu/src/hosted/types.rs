//! The types of one behaviour in one version, by their numbers on this node, and what was found out
//! about the types that have come: shared by all its processes.

use std::collections::BTreeMap;

use midflight_abi::{BehaviourDescription, Disconnected, Down, Exited, NodeDown, Undelivered};
use midflight_message::{Message, Mismatch, TypeInfo};
use midflight_process::{Node, Origin, Readable, Refusal, Turn, TypeNo};
use parking_lot::RwLock;

/// The types of a behaviour. A number is missing when the node knows as many types as it may.
#[derive(Debug)]
pub(crate) struct BehaviourTypes {
    accepts: Vec<Option<TypeNo>>,
    replies: Vec<Option<TypeNo>>,
    sends: Vec<Option<TypeNo>>,
    calls: Vec<Option<TypeNo>>,
    call_replies: Vec<Option<TypeNo>>,
    unit: Option<TypeNo>,
    pub(super) down: Option<TypeNo>,
    pub(super) node_down: Option<TypeNo>,
    pub(super) exited: Option<TypeNo>,
    /// Of the notice about a lost link, if the behaviour wants it.
    pub(super) disconnected: Option<TypeNo>,
    /// Of the notice about a message that was not taken, if the behaviour wants it.
    pub(super) undelivered: Option<TypeNo>,
    known: RwLock<BTreeMap<TypeNo, Known>>,
}

#[derive(Debug)]
enum Known {
    Index(u32),
    Refused(Refusal),
}

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Taken {
    /// The handler of this index takes it as it is.
    Index(u32),
    Refused(Refusal),
    /// Its writer's schema is on its way.
    Later,
}

impl BehaviourTypes {
    /// Types remembered; a sender of more is only slower.
    const KNOWN_MAX: usize = 1_024;

    pub(crate) fn new(node: &Node, behaviour: &BehaviourDescription) -> Self {
        let number = |info: &TypeInfo| node.type_no(info);
        let accepts = &behaviour.accepts;
        let wanted = |notice: &TypeInfo| {
            let mut accepts = accepts.iter();
            let wants = accepts.any(|accept| accept.message.name() == notice.name());
            wants.then(|| number(notice)).flatten()
        };
        Self {
            accepts: accepts.iter().map(|accept| number(&accept.message)).collect(),
            replies: accepts.iter().map(|a| a.reply.as_ref().and_then(number)).collect(),
            sends: behaviour.sends.iter().map(number).collect(),
            calls: behaviour.calls.iter().map(|call| number(&call.message)).collect(),
            call_replies: behaviour.calls.iter().map(|call| number(&call.reply)).collect(),
            unit: number(<()>::type_info()),
            down: number(Down::type_info()),
            node_down: number(NodeDown::type_info()),
            exited: number(Exited::type_info()),
            disconnected: wanted(Disconnected::type_info()),
            undelivered: wanted(Undelivered::type_info()),
            known: RwLock::default(),
        }
    }

    pub(super) fn accept(&self, index: u32) -> Option<TypeNo> {
        *self.accepts.get(index as usize)?
    }

    pub(super) fn reply(&self, index: u32) -> Option<TypeNo> {
        *self.replies.get(index as usize)?
    }

    pub(super) const fn unit_reply(&self) -> Option<TypeNo> {
        self.unit
    }

    pub(super) fn send(&self, index: u32) -> Option<TypeNo> {
        *self.sends.get(index as usize)?
    }

    pub(super) fn call(&self, index: u32) -> Option<TypeNo> {
        *self.calls.get(index as usize)?
    }

    /// The type as which the reply to a call is read.
    pub(super) fn call_reply(&self, index: u32) -> Option<TypeNo> {
        *self.call_replies.get(index as usize)?
    }

    /// Which handler takes a message of type `ty`: the accept set is closed (V3).
    pub(super) fn take(
        &self,
        turn: &mut Turn<'_>,
        behaviour: &BehaviourDescription,
        from: Origin,
        ty: TypeNo,
    ) -> Taken {
        match self.known.read().get(&ty) {
            Some(Known::Index(index)) => return Taken::Index(*index),
            Some(Known::Refused(refusal)) => return Taken::Refused(refusal.clone()),
            None => {}
        }
        match self.find(turn, behaviour, from, ty) {
            Found::Known(known) => self.remember(ty, known),
            Found::Passing(refusal) => Taken::Refused(refusal),
            Found::Later => Taken::Later,
        }
    }

    fn remember(&self, ty: TypeNo, known: Known) -> Taken {
        let mut remembered = self.known.write();
        if remembered.len() >= Self::KNOWN_MAX {
            remembered.clear();
        }
        match remembered.entry(ty).or_insert(known) {
            Known::Index(index) => Taken::Index(*index),
            Known::Refused(refusal) => Taken::Refused(refusal.clone()),
        }
    }

    fn find(
        &self,
        turn: &mut Turn<'_>,
        behaviour: &BehaviourDescription,
        from: Origin,
        ty: TypeNo,
    ) -> Found {
        let (name, version) = turn.type_name(ty);
        let accepted = (0..).zip(&behaviour.accepts).find(|(_, a)| a.message.name() == &*name);
        let Some((index, _)) = accepted else {
            return Found::Known(Known::Refused(Refusal::NotAccepted {
                type_name: name.to_string(),
                version,
                accepts: behaviour.accepts.iter().map(|a| a.message.name().to_owned()).collect(),
                behaviour: format!("{} version {}", behaviour.name, behaviour.code_version),
            }));
        };
        let garbled = |detail: &str| Refusal::Garbled {
            type_name: name.to_string(),
            detail: detail.to_owned(),
        };
        let Some(reader) = self.accept(index) else {
            return Found::Known(Known::Refused(garbled("the node knows as many types as it may")));
        };
        match form(turn.readable(from, ty, reader)) {
            Form::Own => Found::Known(Known::Index(index)),
            Form::Incompatible(mismatch) => {
                Found::Known(Known::Refused(Refusal::Incompatible(mismatch)))
            }
            Form::Other(why) => Found::Known(Known::Refused(garbled(why))),
            Form::Unknown(why) => Found::Passing(garbled(why)),
            Form::Later => Found::Later,
        }
    }
}

/// What can be said of a type that has come.
enum Found {
    /// It stays so.
    Known(Known),
    /// Another time it may be otherwise.
    Passing(Refusal),
    /// Its writer's schema is on its way.
    Later,
}

/// How what has come stands to the form that a behaviour reads, which is its own only.
pub(super) enum Form {
    Own,
    Incompatible(Box<Mismatch>),
    /// It could be read by serde's rules, which behaviours do not do.
    Other(&'static str),
    /// The writer's schema cannot be had: now, that is.
    Unknown(&'static str),
    /// The writer's schema is on its way; the process is woken when it has come, or cannot be had.
    Later,
}

pub(super) fn form(readable: Readable) -> Form {
    match readable {
        Readable::Same => Form::Own,
        // The same bytes under another schema's text, such as a renamed type within it.
        Readable::Structural(plan) if plan.is_verbatim() => Form::Own,
        Readable::Structural(_) => {
            Form::Other("its schema differs from the behaviour's, which reads only its own form")
        }
        Readable::Incompatible(mismatch) => Form::Incompatible(mismatch),
        Readable::SchemaUnavailable => {
            Form::Unknown("its schema differs from the behaviour's and cannot be had")
        }
        Readable::Later => Form::Later,
        _ => Form::Unknown("nothing is known of how it could be read"),
    }
}
