//! The types of one behaviour in one version, by their numbers on this node, and what was found out
//! about the types that have come: shared by all its processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use midflight_abi::{BehaviourDescription, Disconnected, Down, Exited, NodeDown, Undelivered};
use midflight_message::{Message, TypeInfo, resolve};
use midflight_process::{Node, Origin, Refusal, Turn, TypeNo, Written};
use parking_lot::RwLock;

use crate::code::Reader;
use crate::convert::{Reading, Reads};
use crate::versions::Version;

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
    known: RwLock<BTreeMap<(Reader, TypeNo), Form>>,
}

/// How a type that has come is read.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// It is the reader's own, or has the very same bytes.
    Own,
    /// It was written as this, and is brought into the reader's form.
    Other(Arc<TypeInfo>),
    /// It cannot be read.
    Refused(Refusal),
}

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Taken {
    /// The handler of this index takes it, in that form.
    By(u32, Form),
    /// Nothing takes it.
    Refused(Refusal),
    /// Its writer's schema is on its way.
    Later,
}

/// What can be said of a type that has come.
enum Found {
    /// It stays so.
    Known(Form),
    /// Another time it may be otherwise.
    Passing(Refusal),
    /// Its writer's schema is on its way; the process is woken when it has come, or cannot be had.
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

    /// Which handler takes a message of type `ty`: the accept set is closed (V3).
    pub(super) fn take(
        &self,
        turn: &mut Turn<'_>,
        version: &Version,
        behaviour: u32,
        (from, ty): (Origin, TypeNo),
    ) -> Taken {
        // Most that come are of the very types.
        if let Some(index) = self.accepts.iter().position(|accept| *accept == Some(ty)) {
            return Taken::By(u32::try_from(index).unwrap_or(u32::MAX), Form::Own);
        }
        let description = &version.code.description().behaviours[behaviour as usize];
        let (name, written_version) = turn.type_name(ty);
        let accepted = (0..).zip(&description.accepts).find(|(_, a)| a.message.name() == &*name);
        let Some((index, accept)) = accepted else {
            return Taken::Refused(Refusal::NotAccepted {
                type_name: name.to_string(),
                version: written_version,
                accepts: description.accepts.iter().map(|a| a.message.name().to_owned()).collect(),
                behaviour: format!("{} version {}", description.name, description.code_version),
            });
        };
        let reads = Reads::of(version.code.description());
        match self.form(turn, (from, ty), Reader::Message(index), (&accept.message, reads)) {
            Some(Form::Refused(refusal)) => Taken::Refused(refusal),
            Some(form) => Taken::By(index, form),
            None => Taken::Later,
        }
    }

    /// How the reply of type `ty` to the call of that index is read. `None`: that cannot be said yet; the process
    /// is woken when it can.
    pub(super) fn reply_form(
        &self,
        turn: &mut Turn<'_>,
        version: &Version,
        behaviour: u32,
        call: u32,
        (from, ty): (Origin, TypeNo),
    ) -> Option<Form> {
        if self.call_replies.get(call as usize) == Some(&Some(ty)) {
            return Some(Form::Own);
        }
        let description = version.code.description();
        let calls = &description.behaviours[behaviour as usize].calls;
        let reader = (&calls.get(call as usize)?.reply, Reads::of(description));
        self.form(turn, (from, ty), Reader::Reply(call), reader)
    }

    fn form(
        &self,
        turn: &mut Turn<'_>,
        (from, ty): (Origin, TypeNo),
        place: Reader,
        (reader, reads): (&TypeInfo, Reads),
    ) -> Option<Form> {
        if let Some(known) = self.known.read().get(&(place, ty)) {
            return Some(known.clone());
        }
        match find(turn, (from, ty), reader, reads) {
            Found::Known(form) => {
                let mut known = self.known.write();
                if known.len() >= Self::KNOWN_MAX {
                    known.clear();
                }
                Some(known.entry((place, ty)).or_insert(form).clone())
            }
            Found::Passing(refusal) => Some(Form::Refused(refusal)),
            Found::Later => None,
        }
    }
}

fn find(
    turn: &mut Turn<'_>,
    (from, ty): (Origin, TypeNo),
    reader: &TypeInfo,
    reads: Reads,
) -> Found {
    let garbled = |detail: &str| Refusal::Garbled {
        type_name: reader.name().to_owned(),
        detail: detail.to_owned(),
    };
    let written = match turn.written(from, ty) {
        Written::Known(written) => written,
        Written::Later => return Found::Later,
        _ => {
            return Found::Passing(garbled(
                "its schema differs from the behaviour's and cannot be had",
            ));
        }
    };
    Found::Known(match reads.reading(&resolve(&written, reader)) {
        Reading::AsTheyAre => Form::Own,
        Reading::Translated => Form::Other(written),
        Reading::Incompatible(mismatch) => {
            Form::Refused(Refusal::Incompatible(Box::new(mismatch.clone())))
        }
        Reading::OwnFormOnly => Form::Refused(garbled(
            "its schema differs from the behaviour's, which was built for an ABI that reads only its own form",
        )),
    })
}
