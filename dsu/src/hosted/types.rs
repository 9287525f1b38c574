//! The types of one behaviour in one version, by their numbers on this node, and what was found out
//! about the types that have come: shared by all its processes.

use std::collections::BTreeMap;

use midflight_abi::{BehaviourDescription, Down};
use midflight_message::{Message, TypeInfo};
use midflight_process::{Node, Origin, Readable, Refusal, Turn, TypeNo};
use parking_lot::RwLock;

/// The types of a behaviour. A number is missing when the node knows as many types as it may.
#[derive(Debug)]
pub(crate) struct BehaviourTypes {
    accepts: Vec<Option<TypeNo>>,
    replies: Vec<Option<TypeNo>>,
    sends: Vec<Option<TypeNo>>,
    calls: Vec<Option<TypeNo>>,
    unit: Option<TypeNo>,
    pub(super) down: Option<TypeNo>,
    known: RwLock<BTreeMap<TypeNo, Known>>,
}

#[derive(Debug, Clone)]
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
        Self {
            accepts: accepts.iter().map(|accept| number(&accept.message)).collect(),
            replies: accepts.iter().map(|a| a.reply.as_ref().and_then(number)).collect(),
            sends: behaviour.sends.iter().map(number).collect(),
            calls: behaviour.calls.iter().map(|call| number(&call.message)).collect(),
            unit: number(<()>::type_info()),
            down: number(Down::type_info()),
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

    /// Which handler takes a message of type `ty`: the accept set is closed (V3).
    pub(super) fn take(
        &self,
        turn: &mut Turn<'_>,
        behaviour: &BehaviourDescription,
        from: Origin,
        ty: TypeNo,
    ) -> Taken {
        let known = match self.known.read().get(&ty) {
            Some(Known::Index(index)) => return Taken::Index(*index),
            Some(known) => Some(known.clone()),
            None => None,
        };
        let Some(known) = known.or_else(|| self.find(turn, behaviour, from, ty)) else {
            return Taken::Later;
        };
        let mut remembered = self.known.write();
        if remembered.len() >= Self::KNOWN_MAX {
            remembered.clear();
        }
        match remembered.entry(ty).or_insert(known) {
            Known::Index(index) => Taken::Index(*index),
            Known::Refused(refusal) => Taken::Refused(refusal.clone()),
        }
    }

    /// `None`: it cannot be said yet.
    fn find(
        &self,
        turn: &mut Turn<'_>,
        behaviour: &BehaviourDescription,
        from: Origin,
        ty: TypeNo,
    ) -> Option<Known> {
        let (name, version) = turn.type_name(ty);
        let accepted = (0..).zip(&behaviour.accepts).find(|(_, a)| a.message.name() == &*name);
        let Some((index, _)) = accepted else {
            return Some(Known::Refused(Refusal::NotAccepted {
                type_name: name.to_string(),
                version,
                accepts: behaviour.accepts.iter().map(|a| a.message.name().to_owned()).collect(),
                behaviour: format!("{} version {}", behaviour.name, behaviour.code_version),
            }));
        };
        let garbled = |detail: &str| {
            let (type_name, detail) = (name.to_string(), detail.to_owned());
            Some(Known::Refused(Refusal::Garbled { type_name, detail }))
        };
        let Some(reader) = self.accept(index) else {
            return garbled("the node knows as many types as it may");
        };
        match turn.readable(from, ty, reader) {
            Readable::Same => Some(Known::Index(index)),
            // The same bytes under another schema's text, such as a renamed type within it.
            Readable::Structural(plan) if plan.is_verbatim() => Some(Known::Index(index)),
            Readable::Structural(_) => {
                garbled("its schema differs from the behaviour's, which reads only its own form")
            }
            Readable::Incompatible(mismatch) => {
                Some(Known::Refused(Refusal::Incompatible(mismatch)))
            }
            Readable::SchemaUnavailable => {
                garbled("its schema differs from the behaviour's and cannot be had")
            }
            _ => None,
        }
    }
}
