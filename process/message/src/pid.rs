//! The name of a process, good everywhere and never used twice.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Schema;
use crate::descriptor::Descriptor;
use crate::shape::{Body, Field, Shape};

/// One incarnation of a node: a restarted node is a different node.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Schema,
)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A process: its node, its place in the node's table, and how often that place was used before.
///
/// Its text is `<node.index.generation>`, the node in hexadecimal:
///
/// ```
/// use midflight_message::{NodeId, Pid};
///
/// let pid = Pid { node: NodeId(0xab), index: 7, generation: 2 };
/// assert_eq!(pid.to_string(), "<00000000000000ab.7.2>");
/// assert_eq!("<ab.7.2>".parse(), Ok(pid));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pid {
    /// The node, in one of its lives.
    pub node: NodeId,
    /// The place in the node's table.
    pub index: u32,
    /// Which of the place's users this is.
    pub generation: u32,
}

impl From<Pid> for NodeId {
    fn from(pid: Pid) -> Self {
        pid.node
    }
}

impl Schema for Pid {
    fn descriptor() -> Descriptor {
        let fields = vec![
            Field::new::<NodeId>("node", false, &[]),
            Field::new::<u32>("index", false, &[]),
            Field::new::<u32>("generation", false, &[]),
        ];
        let shape = Shape::Struct { closed: true, fields };
        Descriptor::named::<Self>("midflight.Pid", Some(1), Body::Plain(shape))
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}.{}>", self.node, self.index, self.generation)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsePidError(&'static str);

impl fmt::Display for ParsePidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; a pid looks like <1f.7.2>: node (hexadecimal), index, generation", self.0)
    }
}

impl Error for ParsePidError {}

impl FromStr for Pid {
    type Err = ParsePidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inside = text
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'))
            .ok_or(ParsePidError("the angle brackets are missing"))?;
        let mut parts = inside.split('.');
        let (Some(node), Some(index), Some(generation), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParsePidError("there are not three parts"));
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !(digits(node) && digits(index) && digits(generation)) {
            return Err(ParsePidError("a part is not a number"));
        }
        let number = |part: &str, error| part.parse().ok().ok_or(ParsePidError(error));
        Ok(Self {
            node: u64::from_str_radix(node, 16)
                .ok()
                .map(NodeId)
                .ok_or(ParsePidError("the node is not a 64-bit hexadecimal number"))?,
            index: number(index, "the index is not a 32-bit number")?,
            generation: number(generation, "the generation is not a 32-bit number")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeId, Pid};

    #[test]
    fn sixteen_bytes_of_memory() {
        assert_eq!(size_of::<Pid>(), 16);
    }

    #[test]
    fn text_and_back() {
        let pid = Pid { node: NodeId(u64::MAX), index: u32::MAX, generation: 0 };
        assert_eq!(pid.to_string().parse(), Ok(pid));
    }

    #[test]
    fn what_is_not_a_pid_says_why() {
        for (text, why) in [
            ("ab.7.2", "the angle brackets are missing"),
            ("<ab.7>", "there are not three parts"),
            ("<ab.7.2.1>", "there are not three parts"),
            ("<xy.7.2>", "a part is not a number"),
            ("<+1.7.2>", "a part is not a number"),
            ("<.7.2>", "the node is not a 64-bit hexadecimal number"),
            ("<ab.4294967296.2>", "the index is not a 32-bit number"),
            ("<ab.7.f>", "the generation is not a 32-bit number"),
        ] {
            let error = text.parse::<Pid>().unwrap_err().to_string();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }
}
