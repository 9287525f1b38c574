//! More pairs: enums, versions and names.

use midflight_message::{Message, MismatchReason, Resolution, decode_resolved, encode, resolve};
use serde::{Deserialize, Serialize};

use crate::pairs::pair;

pair! { variant_added:
    theirs { pub(super) enum Msg { Get, Add(i64) } }
    ours { pub(super) enum Msg { Reset { hard: bool }, Add(i64), Get } }
    always(&[(r#""Get""#, r#""Get""#), (r#"{"Add":3}"#, r#"{"Add":3}"#)])
}

pair! { variant_removed:
    theirs { pub(super) enum Msg { Get, Reset { hard: bool }, Add(i64) } }
    ours { pub(super) enum Msg { Get, Add(i64) } }
    may_fail(("", "the value is the variant `Reset`, which we lack"),
        &[(r#""Get""#, r#""Get""#), (r#"{"Add":3}"#, r#"{"Add":3}"#)],
        &[r#"{"Reset":{"hard":true}}"#])
}

pair! { variant_renamed_with_alias:
    theirs { pub(super) enum Msg { Get, Add { amount: i64 } } }
    ours { pub(super) enum Msg { #[serde(alias = "Add")] Plus { amount: i64 }, Get } }
    always(&[(r#"{"Add":{"amount":1}}"#, r#"{"Plus":{"amount":1}}"#), (r#""Get""#, r#""Get""#)])
}

pair! { variant_renamed_without_alias:
    theirs { pub(super) enum Msg { Get, Add(i64) } }
    ours { pub(super) enum Msg { Get, Plus(i64) } }
    may_fail(("", "the value is the variant `Add`, which we lack"),
        &[(r#""Get""#, r#""Get""#)],
        &[r#"{"Add":3}"#])
}

pair! { no_variant_in_common:
    theirs { pub(super) enum Msg { Get, Add(i64) } }
    ours { pub(super) enum Msg { Read, Plus(i64) } }
    never(MismatchReason::Variants, "theirs is one of [Get, Add], ours is one of [Read, Plus]",
        r#""Get""#)
}

pair! { field_of_a_variant_of_another_kind:
    theirs { pub(super) enum Msg { Get, Add { amount: i64 } } }
    ours { pub(super) enum Msg { Get, Add { amount: String } } }
    never(MismatchReason::Kind, "field `Add.amount`: theirs is i64, ours is string",
        r#"{"Add":{"amount":1}}"#)
}

pair! { field_of_a_variant_with_default:
    theirs { pub(super) enum Msg { Set { to: i64 }, Pair(u8, u8) } }
    ours { pub(super) enum Msg { Pair(u16, u8), Set { #[serde(default)] by: String, to: i64 } } }
    always(&[
        (r#"{"Set":{"to":1}}"#, r#"{"Set":{"to":1,"by":""}}"#),
        (r#"{"Pair":[1,2]}"#, r#"{"Pair":[1,2]}"#),
    ])
}

pair! { variant_of_another_shape:
    theirs { pub(super) enum Msg { Get, Add(i64) } }
    ours { pub(super) enum Msg { Get, Add { amount: i64 } } }
    never(MismatchReason::Kind,
        "field `Add`: theirs is a variant of one unnamed field, ours is a variant with named fields",
        r#"{"Add":3}"#)
}

pair! { variant_with_more_unnamed_fields:
    theirs { pub(super) enum Msg { Get, Add(i64, i64) } }
    ours { pub(super) enum Msg { Get, Add(i64, i64, i64) } }
    never(MismatchReason::Length,
        "field `Add`: theirs is a variant of 2 unnamed fields, ours is a variant of 3 unnamed fields",
        r#"{"Add":[3,4]}"#)
}

pair! { nested_variant_removed:
    theirs {
        pub(super) struct Msg { ops: Vec<Op> }
        enum Op { Push(u8), Pop, Peek }
    }
    ours {
        pub(super) struct Msg { ops: Vec<Op> }
        enum Op { Pop, Push(u8) }
    }
    may_fail(("ops[]", "the value is the variant `Peek`, which we lack"),
        &[(r#"{"ops":["Pop",{"Push":1}]}"#, r#"{"ops":["Pop",{"Push":1}]}"#)],
        &[r#"{"ops":["Pop","Peek"]}"#])
}

pair! { enum_for_a_struct:
    theirs { pub(super) enum Msg { Add { amount: i64 } } }
    ours { pub(super) struct Msg { amount: i64 } }
    never(MismatchReason::Kind, "theirs is t.Msg@1, ours is t.Msg@1", r#"{"Add":{"amount":3}}"#)
}

pair! { recursive_enum:
    theirs { pub(super) enum Msg { Leaf(u8), Node(Box<Msg>, Box<Msg>) } }
    ours { pub(super) enum Msg { Node(Box<Msg>, Box<Msg>), Leaf(u16) } }
    always(&[(r#"{"Node":[{"Leaf":1},{"Leaf":2}]}"#, r#"{"Node":[{"Leaf":1},{"Leaf":2}]}"#)])
}

mod old {
    use super::{Deserialize, Message, Serialize};

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "t.Add", version = 1)]
    pub(super) struct Add {
        pub(super) amount: i64,
    }

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "t.Batch")]
    pub(super) struct Batch {
        pub(super) adds: Vec<Add>,
    }
}

mod new {
    use super::{Deserialize, Message, Serialize};

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "t.Add", version = 2)]
    pub(super) struct Add {
        pub(super) amount: i64,
    }

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "t.Batch")]
    pub(super) struct Batch {
        pub(super) adds: Vec<Add>,
    }
}

fn why<W: Message, R: Message>() -> String {
    match resolve(W::type_info(), R::type_info()) {
        Resolution::Incompatible(mismatch) => mismatch.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_version_needs_a_conversion_even_where_nothing_else_changed() {
    assert_eq!(why::<old::Add, new::Add>(), "t.Add: theirs is version 1, ours is version 2");
}

#[test]
fn a_nested_types_version_counts_at_its_path() {
    assert_eq!(
        why::<new::Batch, old::Batch>(),
        "t.Batch: field `adds[]`: theirs is t.Add@2, ours is t.Add@1"
    );
}

#[test]
fn another_name_is_another_thing() {
    assert_eq!(why::<old::Add, old::Batch>(), "t.Batch: theirs is t.Add, ours is t.Batch");
    assert_eq!(why::<u32, u64>(), "u64: theirs is u32, ours is u64");
}

#[test]
fn a_plan_serves_only_the_types_it_was_made_for() {
    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "t.Add", version = 1)]
    struct Add {
        #[serde(default)]
        times: u8,
        amount: i64,
    }

    let plan = resolve(old::Add::type_info(), Add::type_info());
    let mut bytes = Vec::new();
    encode(&old::Add { amount: 7 }, &mut bytes).unwrap();
    assert_eq!(decode_resolved::<Add>(&bytes, &plan).unwrap(), Add { times: 0, amount: 7 });
    let error = decode_resolved::<old::Add>(&bytes, &plan).unwrap_err();
    assert!(error.to_string().contains("the plan is for another type"), "{error}");
}

#[test]
fn equal_bytes_are_not_translated() {
    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "t.Add", version = 1)]
    struct Add {
        #[serde(default, alias = "sum")]
        amount: i64,
    }

    let Resolution::Structural(plan) = resolve(old::Add::type_info(), Add::type_info()) else {
        panic!()
    };
    assert!(plan.is_verbatim());
    assert!(plan.risks().is_empty());
}
