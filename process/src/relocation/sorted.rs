//! What has come to a cell that a process has left, sorted by what becomes of it.

use std::any::Any;

use bytes::Bytes;

use super::word::{Behalf, Notice, Word};
use crate::mailbox::came::Came;
use crate::mailbox::envelope::{CallRef, Content, Envelope, Parcel, Refusal, Sender};
use crate::mailbox::value::Value;
use crate::scheduler::turn::Turn;
use crate::send::Kind;
use crate::types::TypeNo;
use crate::{Disconnected, Down, Exited, NodeDown, Undelivered};

/// Something to be handed on.
pub(super) struct Item {
    /// Who is to have a reply: the cell from which it came.
    pub(super) from: Sender,
    pub(super) behalf: Behalf,
    pub(super) kind: Kind,
    pub(super) content: Content,
}

/// Something that has come, sorted by what becomes of it.
pub(super) enum Entry {
    Message(Item),
    Word(Word),
    Reply(CallRef, Sender, Result<Content, Refusal>),
}

impl Entry {
    /// Who has sent it here, in which form, where that is of another node's.
    pub(super) const fn written(&self) -> Option<(Sender, TypeNo)> {
        match self {
            Self::Message(Item { from, content: Content::Bytes { ty, .. }, .. })
            | Self::Reply(_, from, Ok(Content::Bytes { ty, .. })) => Some((*from, *ty)),
            _ => None,
        }
    }
}

/// What an entry is to a cell that hands on; `None`: nothing.
pub(super) fn sorted(turn: &Turn<'_>, entry: Envelope, came: &Came) -> Option<Entry> {
    let inner = &turn.node.inner;
    let from = entry.from();
    let item = |kind: Kind, content: Content| {
        let behalf = Behalf { origin: inner.pid(from), hops: 1 };
        Some(Entry::Message(Item { from, behalf, kind, content }))
    };
    match entry {
        Envelope::Value { value, .. } => item(Kind::Message, Content::Value(value)),
        Envelope::Told { value, .. } => told(&*value),
        Envelope::Small { port, ty, start, len, .. } => {
            let bytes = Bytes::copy_from_slice(came.small(start, len));
            let kind = if port == 0 { Kind::Message } else { Kind::Port(port) };
            item(kind, Content::Bytes { ty, bytes })
        }
        Envelope::Port { value, .. } => {
            item(Kind::Port(value.port().unwrap_or_default()), Content::Value(value))
        }
        Envelope::Parcel { parcel, .. } => match *parcel {
            Parcel::Forwarded { origin, hops, parcel } => {
                let behalf = Behalf { origin: inner.pid(origin), hops: hops.saturating_add(1) };
                let (kind, content) = parcel_item(*parcel)?;
                Some(Entry::Message(Item { from, behalf, kind, content }))
            }
            Parcel::Reply { call, result } => Some(Entry::Reply(call, from, result)),
            Parcel::Exit { reason, .. } => Some(Entry::Word(Word::End { reason })),
            Parcel::Notice(value) => told(&*value),
            other => {
                let (kind, content) = parcel_item(other)?;
                item(kind, content)
            }
        },
    }
}

fn parcel_item(parcel: Parcel) -> Option<(Kind, Content)> {
    match parcel {
        Parcel::Large { ty, bytes } => Some((Kind::Message, Content::Bytes { ty, bytes })),
        Parcel::Port { port, ty, bytes } => Some((Kind::Port(port), Content::Bytes { ty, bytes })),
        Parcel::Call { call, content } => Some((Kind::Call(call), content)),
        _ => None,
    }
}

/// What the node tells the process.
fn told(value: &dyn Value) -> Option<Entry> {
    let any: &dyn Any = value;
    let notice = if let Some(down) = any.downcast_ref::<Down>() {
        Notice::Down(down.clone())
    } else if let Some(exited) = any.downcast_ref::<Exited>() {
        Notice::Exited(exited.clone())
    } else if let Some(down) = any.downcast_ref::<NodeDown>() {
        Notice::NodeDown(down.clone())
    } else if let Some(notice) = any.downcast_ref::<Undelivered>() {
        Notice::Undelivered(notice.clone())
    } else if let Some(lost) = any.downcast_ref::<Disconnected>() {
        Notice::Disconnected(lost.clone())
    } else {
        tracing::warn!(
            what = value.type_info().name(),
            "news for a process that has moved is lost"
        );
        return None;
    };
    Some(Entry::Word(Word::Told { notice }))
}
