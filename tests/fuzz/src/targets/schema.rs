//! The schemas of others' types.

use std::mem::discriminant;

use midflight_message::{
    Message, Resolution, SchemaError, SchemaTree, TypeInfo, decode_resolved, resolve,
};

use crate::Trail;
use crate::targets::message::{Later, Sample};

/// What schemas are made of.
pub const WORDS: &[&str] = &[
    "#0",
    "#1",
    "#2",
    "\n#1 = ",
    "\n",
    " = ",
    ": ",
    ", ",
    "@1",
    "enum",
    "struct",
    "closed ",
    " { ",
    " }",
    " {}",
    "newtype(",
    "tuple(",
    "transparent(",
    "reference(",
    "checked(",
    "array<",
    "option<",
    "seq<",
    "map<",
    ">",
    ")",
    "bool",
    "u8",
    "i64",
    "u128",
    "f64",
    "char",
    "unit",
    "string",
    "bytes",
    "\"",
    "\\",
    "A",
    "é",
    " default",
    " alias ",
    " other",
    "fuzz.Tree@1",
    "value",
    "kids",
    "fuzz.Sample@1",
    "18446744073709551615",
    "unit\n",
    "#0\n#0 = A: unit\n",
];

/// A schema that is taken is in its one form; whatever it is, comparing it with ours ends, and what is
/// read by it is a value or an error.
pub fn schema(bytes: &[u8], trail: &mut Trail) {
    let text = String::from_utf8_lossy(bytes);
    let tree = match SchemaTree::parse(&text) {
        Ok(tree) => tree,
        Err(SchemaError::Syntax { at, .. }) => return trail.note(("syntax", at.min(1000))),
        Err(error) => return trail.note(discriminant(&error)),
    };
    assert_eq!(tree.to_string(), text);
    trail.note(("a tree", tree.definitions().len()));
    let Ok(theirs) = TypeInfo::parse(Sample::NAME, Sample::VERSION, &text) else { return };
    for ours in [Sample::type_info(), Later::type_info()] {
        let _ = resolve(ours, &theirs);
        let resolution = resolve(&theirs, ours);
        trail.note(discriminant(&resolution));
        if matches!(resolution, Resolution::Structural(_)) {
            for bytes in [&[1; 40][..], &[0, 1, 2, 3, 1, 65, 0, 0, 0, 0], &[3; 600], &[]] {
                let read = decode_resolved::<Sample>(bytes, &resolution).is_ok();
                trail.note(read);
            }
        }
    }
}
