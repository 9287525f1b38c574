//! Messages, by their own schema and by another's.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::LazyLock;

use midflight_message::{
    DecodeError, Message, Pid, Resolution, decode, decode_resolved, encode, resolve,
};
use serde::{Deserialize, Serialize};

use crate::Trail;

/// A message with a bit of everything.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "fuzz.Sample")]
pub enum Sample {
    /// Nothing.
    Leaf,
    /// Texts.
    Texts(Vec<String>),
    /// What nests.
    Deep {
        /// More of it.
        map: BTreeMap<String, Sample>,
        /// A process.
        pid: Pid,
        /// Numbers of many bytes.
        wide: [u128; 3],
    },
    /// What nests without a count.
    Both(Box<Sample>, Option<Box<Sample>>),
    /// What takes no bytes.
    Nothings(Vec<()>, char, f64, i64, bool),
}

/// The same message as somebody else has it.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "fuzz.Sample")]
pub enum Later {
    /// With a field more, and one less.
    Deep {
        /// One more.
        #[serde(default)]
        new: u8,
        /// More of it.
        map: BTreeMap<String, Later>,
        /// A process.
        pid: Pid,
    },
    /// The other way round.
    Both(Option<Box<Later>>, Box<Later>),
    /// The same.
    Nothings(Vec<()>, char, f64, i64, bool),
    /// The same.
    Leaf,
}

/// What is read can be written, and is read the same again; by another's schema too, what comes is a
/// value or an error.
pub fn message(bytes: &[u8], trail: &mut Trail) {
    static THERE: LazyLock<Resolution> =
        LazyLock::new(|| resolve(Sample::type_info(), Later::type_info()));
    static BACK: LazyLock<Resolution> =
        LazyLock::new(|| resolve(Later::type_info(), Sample::type_info()));
    note(trail, "own", decode::<Sample>(bytes));
    note(trail, "there", decode_resolved::<Later>(bytes, &THERE));
    note(trail, "back", decode_resolved::<Sample>(bytes, &BACK));
}

fn note<M: Message>(trail: &mut Trail, how: &str, read: Result<M, DecodeError>) {
    match read {
        Ok(message) => {
            let written = write(&message);
            let again = decode::<M>(&written).expect("what was written is read");
            assert_eq!(write(&again), written);
            trail.note((how, written.len().checked_ilog2()));
        }
        Err(error) => {
            let depth = error.field_path.matches(['.', '[']).count().min(16);
            trail.note((how, discriminant(&error.reason), depth));
        }
    }
}

fn write(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).expect("what was read can be written");
    bytes
}
