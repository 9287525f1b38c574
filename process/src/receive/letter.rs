//! A message that was taken out of the inbox to be read, and reading it.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use midflight_message::{
    DecodeError, Message, REFERENCE_MIN, Resolution, decode_resolved, decoding,
};

use crate::mailbox::envelope::{
    CallRef, Content, Envelope, NOTICE_WEIGHT, Parcel, Refusal, Sender, TOLD_WEIGHT, Written,
};
use crate::mailbox::value::{Value, downcast, is};
use crate::node::inner::Inner;
use crate::receive::shelf::Arrival;
use crate::scheduler::turn::Caller;
use crate::types::{Reading, TypeNo};

/// A message that was taken out of the inbox.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) arrival: Arrival,
    pub(crate) from: Sender,
    pub(crate) call: Option<CallRef>,
    pub(crate) content: Content,
    pub(crate) weight: (u32, u32),
    /// As its sender wrote it, when it has been decoded from another form.
    pub(crate) written: Option<Written>,
}

impl Letter {
    /// The letter in a parcel.
    pub(crate) fn of(arrival: Arrival, from: Sender, parcel: Parcel) -> Self {
        let letter = |call, content: Content| {
            let weight = content.weight();
            Self { arrival, from, call, content, weight, written: None }
        };
        match parcel {
            Parcel::Read { call, value, weight, written } => {
                Self { arrival, from, call, content: Content::Value(value), weight, written }
            }
            Parcel::Notice(value) => {
                let (content, weight) = (Content::Value(value), NOTICE_WEIGHT);
                Self { arrival, from, call: None, content, weight, written: None }
            }
            // Handed on to no behaviour: it never moves, and so nobody hands on to it.
            Parcel::Forwarded { origin, parcel, .. } => Self::of(arrival, origin, *parcel),
            Parcel::Large { ty, bytes } => letter(None, Content::Bytes { ty, bytes }),
            Parcel::Call { call, content } => letter(Some(call), content),
            Parcel::Reply { .. } | Parcel::Exit { .. } | Parcel::Port { .. } | Parcel::Mark(_) => {
                unreachable!("what is no message is taken out when it arrives")
            }
        }
    }

    /// The entry for a letter that goes back, of the weight it had.
    pub(crate) fn into_entry(self) -> Envelope {
        let Self { from, call, content, weight, written, .. } = self;
        match content {
            Content::Value(value) if weight == TOLD_WEIGHT => Envelope::Told { from, value },
            Content::Value(value) if written.is_some() || weight != crate::send::MOVED_WEIGHT => {
                let parcel = Box::new(Parcel::Read { call, value, weight, written });
                Envelope::Parcel { from, parcel }
            }
            content => crate::send::entry(from, call, content),
        }
    }

    /// Decodes it as `M`, where that can be done now, so that it can be looked at. Whoever reads
    /// it later finds it decoded.
    pub(crate) fn look<M: Message>(self, inner: &Arc<Inner>) -> Looked {
        let Self { arrival, from, call, content, weight, written } = self;
        let rest = |content, written| Self { arrival, from, call, content, weight, written };
        let before = match &content {
            Content::Value(value) if is::<M>(&**value) => {
                return Looked::At(rest(content, written));
            }
            Content::Value(_) => None,
            Content::Bytes { ty, bytes } => Some((*ty, bytes.clone())),
        };
        match read_written::<M>(inner, content, written) {
            Read::Message(message) => {
                let bridged = before.filter(|(ty, _)| !inner.types.is_same::<M>(*ty));
                Looked::At(rest(Content::Value(Box::new(message)), bridged.map(Box::new)))
            }
            Read::Unreadable(content, refusal) => Looked::Unreadable(rest(content, None), refusal),
            Read::Undecided(content, ty) => Looked::Undecided(rest(content, None), ty),
        }
    }

    /// The message, when it is there as an `M`.
    pub(crate) fn message<M: Message>(&self) -> Option<&M> {
        match &self.content {
            Content::Value(value) => (&**value as &dyn Any).downcast_ref(),
            Content::Bytes { .. } => None,
        }
    }
}

/// What looking into a letter came to.
pub(crate) enum Looked {
    /// [`Letter::message`] has it.
    At(Letter),
    Unreadable(Letter, Refusal),
    Undecided(Letter, TypeNo),
}

/// What reading a content as a type came to.
pub(crate) enum Read<M> {
    Message(M),
    Unreadable(Content, Refusal),
    Undecided(Content, TypeNo),
}

/// Reads a content as a message of type `M`.
pub(crate) fn read<M: Message>(inner: &Arc<Inner>, content: Content) -> Read<M> {
    read_written(inner, content, None)
}

/// As [`read`]; from what its sender wrote, when it was decoded as another type.
pub(crate) fn read_written<M: Message>(
    inner: &Arc<Inner>,
    content: Content,
    written: Option<Written>,
) -> Read<M> {
    let content = match content {
        Content::Value(value) => match (downcast::<M>(value), written) {
            (Ok(message), _) => return Read::Message(*message),
            (Err(_), Some(written)) => Content::Bytes { ty: written.0, bytes: written.1 },
            (Err(value), None) => match encoded(inner, &*value) {
                Some(content) => content,
                None => return unreadable(Content::Value(value), "it does not encode".into()),
            },
        },
        content @ Content::Bytes { .. } => content,
    };
    let Content::Bytes { ty, bytes } = &content else { unreachable!("encoded above") };
    if inner.types.of::<M>().is_err() {
        return unreadable(content, "the node knows too many types".into());
    }
    match inner.types.reading_as::<M>(*ty) {
        Reading::Resolved(resolution) => match decode_shared::<M>(bytes, &resolution) {
            Ok(message) => {
                if matches!(*resolution, Resolution::Same) {
                    inner.types.learn_same::<M>(*ty);
                }
                Read::Message(message)
            }
            Err(error) => match &*resolution {
                Resolution::Incompatible(mismatch) => {
                    let refusal = Refusal::Incompatible(Box::new(mismatch.clone()));
                    Read::Unreadable(content, refusal)
                }
                _ => unreadable(content, error.to_string()),
            },
        },
        Reading::SchemaUnknown => {
            let ty = *ty;
            Read::Undecided(content, ty)
        }
    }
}

/// Decodes a message; its long parts may stay where they are.
fn decode_shared<M: Message>(bytes: &Bytes, how: &Resolution) -> Result<M, DecodeError> {
    if bytes.len() < REFERENCE_MIN {
        return decode_resolved(bytes, how);
    }
    decoding(bytes, || decode_resolved(bytes, how))
}

fn unreadable<M: Message>(content: Content, detail: String) -> Read<M> {
    Read::Unreadable(content, Refusal::Garbled { type_name: M::NAME.into(), detail })
}

/// Why a message is refused whose writer's schema cannot be had.
pub(crate) fn schema_missing(inner: &Inner, ty: TypeNo) -> Refusal {
    let type_name = inner.types.entry(ty).name.to_string();
    Refusal::Garbled { type_name, detail: "its schema differs from ours and cannot be had".into() }
}

/// A value of another Rust type with the same name, as bytes.
pub(crate) fn encoded(inner: &Inner, value: &dyn Value) -> Option<Content> {
    let ty = inner.types.intern_static(value.type_info()).ok()?;
    let mut bytes = Vec::new();
    value.encode(&mut bytes).ok()?;
    Some(Content::Bytes { ty, bytes: bytes.into() })
}

/// What is left of a letter that nobody can read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) from: Sender,
    /// Who wants a reply: not the sender, where a cell that a process has left has handed the call on.
    pub(crate) caller: Option<Caller>,
    pub(crate) content: Content,
    /// The version of the type that the receiver has, where it has the type.
    pub(crate) reader: Option<u32>,
}

impl Unread {
    /// What its sender itself has sent: a call's caller is nobody else.
    pub(crate) fn new(
        from: Sender,
        call: Option<CallRef>,
        content: Content,
        reader: Option<u32>,
    ) -> Self {
        Self { from, caller: call.map(|call| Caller { from, call }), content, reader }
    }
}
