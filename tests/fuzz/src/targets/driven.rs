//! Values by the schemas of others: both come from outside.

use std::mem::discriminant;

use midflight_message::{Message, TypeInfo, decode_resolved, encode, resolve};
use serde::{Deserialize, Serialize};

use crate::Trail;
use crate::targets::message::{Later, Sample};

/// A message that was another once, and whose parts were, too.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "fuzz.Tree", version = 2, from(TreeV1 = Tree::sum))]
pub struct Tree {
    /// All below it, and its own.
    pub sum: i64,
    /// Those below it.
    pub kids: Vec<Tree>,
    /// One of another kind.
    #[serde(default)]
    pub sample: Option<Box<Later>>,
}

/// What it was.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "fuzz.Tree", version = 1)]
pub struct TreeV1 {
    /// A number, if there is one.
    pub value: Option<i16>,
    /// Those below it, as they are now.
    pub kids: Vec<Tree>,
}

impl Tree {
    fn sum(old: TreeV1) -> Self {
        let below = old.kids.iter().map(|kid| kid.sum);
        let sum = below.fold(old.value.unwrap_or_default().into(), i64::saturating_add);
        Self { sum, kids: old.kids, sample: None }
    }
}

/// A schema, a zero byte and a value. Whatever they are, what comes is a value or an error; a value can be
/// written again.
pub fn driven(bytes: &[u8], trail: &mut Trail) {
    let cut = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(cut);
    let value = rest.get(1..).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(text) else { return };
    for version in [1, 2] {
        if let Ok(theirs) = TypeInfo::parse(Tree::NAME, version, text) {
            as_json(&theirs, value, trail);
            read::<Tree>(&theirs, value, trail);
            read::<TreeV1>(&theirs, value, trail);
        }
    }
    if let Ok(theirs) = TypeInfo::parse(Sample::NAME, 1, text) {
        read::<Sample>(&theirs, value, trail);
        read::<Later>(&theirs, value, trail);
    }
}

/// What is shown as JSON can be written again. It may be shorter then: keys that are there twice are one in an object.
fn as_json(theirs: &TypeInfo, value: &[u8], trail: &mut Trail) {
    if let Ok(shown) = theirs.decode_json(value) {
        let written = theirs.encode_json(&shown).expect("what was shown can be written");
        trail.note(("json", written.len().checked_ilog2()));
    }
}

fn read<M: Message>(theirs: &TypeInfo, value: &[u8], trail: &mut Trail) {
    let resolution = resolve(theirs, M::type_info());
    trail.note((M::VERSION, discriminant(&resolution)));
    match decode_resolved::<M>(value, &resolution) {
        Ok(message) => {
            let mut written = Vec::new();
            encode(&message, &mut written).expect("what was read can be written");
            trail.note((M::NAME, written.len().checked_ilog2()));
        }
        Err(error) => {
            let depth = error.field_path.matches(['.', '[']).count().min(16);
            trail.note((M::NAME, discriminant(&error.reason), depth));
        }
    }
}
