//! Canonical texts and fingerprints that must never change: peers and stored bundles know them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use midflight_message::{Message, Mismatch, Pid, ProcessRef, Schema, SchemaTree, TypeInfo};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message)]
#[message(name = "counter.Add", version = 3)]
struct Add {
    amount: i64,
    #[serde(default, alias = "text", alias = "comment")]
    note: Option<String>,
    reply_to: ProcessRef<Added>,
}

#[derive(Serialize, Deserialize, Message)]
struct Added(u64);

#[derive(Serialize, Deserialize, Message)]
#[message(name = "tree/Tree")]
#[serde(rename_all = "snake_case")]
enum Tree {
    Leaf,
    Branch(Box<Tree>, Box<Tree>),
    #[serde(alias = "tagged")]
    WithTag {
        tag: String,
        child: Box<Tree>,
    },
    Wrapped(Wrapper<Tree>),
}

#[derive(Serialize, Deserialize, Schema)]
struct Wrapper<T>(Vec<T>);

#[derive(Serialize, Deserialize, Schema)]
struct Generic<T> {
    of: Vec<T>,
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "all.Kinds")]
#[serde(deny_unknown_fields)]
struct Kinds {
    scalars: (bool, i8, i16, i32, i64, i128),
    more: (u8, u16, u32, u64, u128, char),
    floats: (f32, f64),
    text: Cow<'static, str>,
    nothing: (),
    list: Vec<[u8; 4]>,
    set: BTreeSet<u16>,
    map: BTreeMap<String, HashMap<u8, Pid>>,
    span: Duration,
    result: Result<(), String>,
    generics: (Generic<u8>, Generic<u16>, Generic<u8>),
    #[serde(rename = "odd \"name\"\n{:\\")]
    odd: bool,
    #[serde(skip)]
    _skipped: Vec<u8>,
}

fn check<M: Message>(fingerprint: &str, schema: &str) {
    let info = M::type_info();
    assert_eq!(&**info.schema(), schema);
    assert_eq!(info.fingerprint().to_string(), fingerprint);
    assert_eq!(SchemaTree::parse(schema).unwrap(), **info.tree());
    let again = TypeInfo::parse(info.name(), info.version(), schema).unwrap();
    assert_eq!(again, *info);
}

#[test]
fn a_struct() {
    check::<Add>(
        "92c445f464f0ee3d1fa4762e1836ddd3",
        "#0\n\
         #0 = counter.Add@3: struct { amount: i64, note: option<string> default alias comment \
         alias text, reply_to: #1 }\n\
         #1 = ProcessRef: reference(midflight-message.Added@1, #2)\n\
         #2 = midflight.Pid@1: closed struct { node: #3, index: u32, generation: u32 }\n\
         #3 = NodeId: newtype(u64)\n",
    );
}

#[test]
fn a_recursive_enum() {
    check::<Tree>(
        "b3b9e77f7ff19dff075400751ae7d8e1",
        "#0\n\
         #0 = \"tree/Tree\"@1: enum { leaf: unit, branch: tuple(#0, #0), with_tag: struct { tag: \
         string, child: #0 } alias tagged, wrapped: newtype(#1) }\n\
         #1 = Wrapper: newtype(seq<#0>)\n",
    );
}

#[test]
fn every_kind() {
    check::<Kinds>(
        "1783f9b0bf31eff4cc5f19c3882a0de1",
        "#0\n\
         #0 = all.Kinds@1: closed struct { scalars: tuple(bool, i8, i16, i32, i64, i128), more: \
         tuple(u8, u16, u32, u64, u128, char), floats: tuple(f32, f64), text: string, nothing: \
         unit, list: seq<array<u8, 4>>, set: set<u16>, map: map<string, map<u8, #1>>, span: #2, \
         result: #3, generics: tuple(#4, #5, #4), \"odd \\\"name\\\"\\n{:\\\\\": bool }\n\
         #1 = midflight.Pid@1: closed struct { node: #6, index: u32, generation: u32 }\n\
         #2 = Duration: closed struct { secs: u64, nanos: u32 }\n\
         #3 = Result: enum { Ok: newtype(unit), Err: newtype(string) }\n\
         #4 = Generic: struct { of: seq<u8> }\n\
         #5 = Generic: struct { of: seq<u16> }\n\
         #6 = NodeId: newtype(u64)\n",
    );
}

#[test]
fn plain_types() {
    check::<()>("9c42401e589a26516b7e41da4703daca", "unit\n");
    check::<u64>("521ee7c0709735ee0e68c055ac98f7a2", "u64\n");
    check::<Vec<u8>>("0114240209faf754b58cf89968b45f1b", "seq<u8>\n");
}

#[test]
fn names_and_versions() {
    assert_eq!((Add::NAME, Add::VERSION), ("counter.Add", 3));
    assert_eq!((Added::NAME, Added::VERSION), ("midflight-message.Added", 1));
    assert_eq!(Add::type_info().to_string(), "counter.Add@3");
    assert!(std::ptr::eq(Add::type_info(), Add::type_info()));
}

#[test]
fn a_mismatch_has_a_schema_that_fits_its_encoding() {
    let text = SchemaTree::of::<Mismatch>().unwrap().to_string();
    assert!(text.contains("field_path: string, theirs: string"), "{text}");
}
