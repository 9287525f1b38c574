//! Which trace a message belongs to, and how that travels between nodes.

use std::fmt;

use midflight_message::{NodeId, Schema};
use midflight_transport_api::frame;
use serde::{Deserialize, Serialize};

use crate::node::inner::Inner;

/// The extension of a message's frame that carries a context. Not critical: who does not know it takes the
/// message without.
const EXTENSION: u8 = 1;
/// Its value: the trace's node and number, and the hops.
const VALUE_LEN: usize = 17;
/// How often a context is handed on: two processes that answer each other for ever are not followed for
/// ever.
const HOPS_MAX: u8 = 32;

/// The number of a trace: which node it began on, and its number there. As text, 32 hexadecimal digits.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Schema,
)]
pub struct TraceId {
    /// Where it began.
    pub node: NodeId,
    /// Its number there.
    pub number: u64,
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", self.node, self.number)
    }
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace: TraceId,
    /// How many messages there were up to here; 0: it has begun here.
    pub(crate) hops: u8,
}

impl TraceContext {
    /// The beginning of a trace.
    pub(crate) fn begin(inner: &Inner) -> Self {
        Self { trace: TraceId { node: inner.id, number: inner.next() }, hops: 0 }
    }

    /// Of a message that is sent under this one. `None`: it has been handed on often enough.
    pub(crate) const fn next(self) -> Option<Self> {
        if self.hops >= HOPS_MAX { None } else { Some(Self { hops: self.hops + 1, ..self }) }
    }

    /// Whether it came with a message.
    pub(crate) const fn has_come(self) -> bool {
        self.hops > 0
    }

    /// As an extension of a frame.
    pub(crate) fn put(self, extensions: &mut Vec<u8>) {
        let mut value = [0; VALUE_LEN];
        value[..8].copy_from_slice(&self.trace.node.0.to_le_bytes());
        value[8..16].copy_from_slice(&self.trace.number.to_le_bytes());
        value[16] = self.hops;
        frame::push_extension(extensions, EXTENSION, &value);
    }

    /// The context among a frame's extensions. One of another form is none: it is only news.
    #[cold]
    pub(crate) fn find(extensions: &[u8]) -> Option<Self> {
        let found = frame::extensions(extensions).find(|entry| entry.kind == EXTENSION)?;
        let (node, rest) = found.value.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let &[hops] = rest else { return None };
        let trace = TraceId {
            node: NodeId(u64::from_le_bytes(*node)),
            number: u64::from_le_bytes(*number),
        };
        (1..=HOPS_MAX).contains(&hops).then_some(Self { trace, hops })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: TraceContext =
        TraceContext { trace: TraceId { node: NodeId(0x0102), number: 3 }, hops: 4 };

    #[test]
    fn an_extension_has_these_bytes() {
        let mut bytes = Vec::new();
        CONTEXT.put(&mut bytes);
        assert_eq!(bytes, b"\x01\x11\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04");
        assert_eq!(TraceContext::find(&bytes), Some(CONTEXT));
        assert_eq!(CONTEXT.trace.to_string(), "00000000000001020000000000000003");
    }

    #[test]
    fn what_is_no_context_is_none() {
        let mut bytes = Vec::new();
        frame::push_extension(&mut bytes, 2, b"another");
        assert_eq!(TraceContext::find(&bytes), None);
        for value in [&[][..], &[7; VALUE_LEN - 1], &[7; VALUE_LEN + 1], &[255; VALUE_LEN]] {
            let mut bytes = Vec::new();
            frame::push_extension(&mut bytes, EXTENSION, value);
            assert_eq!(TraceContext::find(&bytes), None, "{value:?}");
        }
        CONTEXT.put(&mut bytes);
        assert_eq!(TraceContext::find(&bytes), Some(CONTEXT), "behind another");
    }

    #[test]
    fn a_trace_ends_somewhere() {
        let mut context = TraceContext { hops: 0, ..CONTEXT };
        let mut hops = 0;
        while let Some(next) = context.next() {
            (context, hops) = (next, hops + 1);
        }
        assert_eq!(hops, HOPS_MAX);
    }
}
