//! Pairs of Rust types, what is predicted of them, and what decoding does.
//!
//! Values are written as JSON, which is also the judge: where decoding succeeds, it gives what serde
//! makes of the writer's JSON; where it fails, that fails, too.

use std::fmt::Debug;

use midflight_message::{
    Certainty, DecodeReason, Message, MismatchReason, Resolution, decode_resolved, encode, resolve,
};

/// Both types are called `t.Msg` and derive what they need.
macro_rules! pair {
    ($test:ident:
        theirs { $their:item $($their_part:item)* }
        ours { $our:item $($our_part:item)* }
        $check:ident($($args:tt)*)
    ) => {
        #[test]
        fn $test() {
            $crate::pairs::pair!(@side theirs $their $($their_part)*);
            $crate::pairs::pair!(@side ours $our $($our_part)*);
            $crate::pairs::$check::<theirs::Msg, ours::Msg>($($args)*);
        }
    };
    (@side $side:ident $message:item $($part:item)*) => {
        #[allow(dead_code, unused_imports, private_interfaces, reason = "values come from JSON")]
        mod $side {
            use midflight_message::{Message, Pid, ProcessRef, Schema};
            use serde::{Deserialize, Serialize};
            use std::collections::{BTreeMap, BTreeSet};

            #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
            #[message(name = "t.Msg")]
            $message
            $(
                #[derive(Serialize, Deserialize, Schema, PartialEq, Eq, PartialOrd, Ord, Debug)]
                $part
            )*
        }
    };
}
pub(crate) use pair;

fn written<W: Message>(json: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&serde_json::from_str::<W>(json).unwrap(), &mut bytes).unwrap();
    bytes
}

fn resolution<W: Message, R: Message>() -> Resolution {
    resolve(W::type_info(), R::type_info())
}

fn reads<W: Message, R: Message + PartialEq + Debug>(theirs: &str, ours: &str) {
    let read: R = decode_resolved(&written::<W>(theirs), &resolution::<W, R>()).unwrap();
    assert_eq!(read, serde_json::from_str(ours).unwrap());
    let again = serde_json::to_string(&serde_json::from_str::<W>(theirs).unwrap()).unwrap();
    assert_eq!(read, serde_json::from_str(&again).unwrap(), "serde's own rules");
}

/// Reading always succeeds, with these results.
pub(crate) fn always<W: Message, R: Message + PartialEq + Debug>(values: &[(&str, &str)]) {
    let resolution = resolution::<W, R>();
    assert_eq!(resolution.certainty(), Certainty::Always, "{resolution:?}");
    for (theirs, ours) in values {
        reads::<W, R>(theirs, ours);
    }
}

/// Reading fails where a condition holds: these succeed, those fail.
pub(crate) fn may_fail<W: Message, R: Message + PartialEq + Debug>(
    risk: (&str, &str),
    good: &[(&str, &str)],
    bad: &[&str],
) {
    let resolution = resolution::<W, R>();
    let Certainty::MayFail(predicted) = resolution.certainty() else { panic!("{resolution:?}") };
    assert_eq!((predicted.path.as_str(), predicted.condition.as_str()), risk);
    for (theirs, ours) in good {
        reads::<W, R>(theirs, ours);
    }
    for theirs in bad {
        let error = decode_resolved::<R>(&written::<W>(theirs), &resolution).unwrap_err();
        assert_eq!(error.field_path, risk.0, "{error}");
        assert!(serde_json::from_str::<R>(theirs).is_err(), "serde's own rules");
    }
}

/// Reading never succeeds, and the reason reads like this.
pub(crate) fn never<W: Message, R: Message + Debug>(
    reason: MismatchReason,
    text: &str,
    theirs: &str,
) {
    let resolution = resolution::<W, R>();
    assert_eq!(resolution.certainty(), Certainty::Never);
    let Resolution::Incompatible(mismatch) = &resolution else { panic!("{resolution:?}") };
    assert_eq!(mismatch.to_string(), format!("t.Msg: {text}"));
    assert_eq!(mismatch.why, reason);
    let error = decode_resolved::<R>(&written::<W>(theirs), &resolution).unwrap_err();
    assert_eq!(error.reason, DecodeReason::Incompatible(Box::new(mismatch.clone())));
}

/// The types are the same.
fn same<W: Message, R: Message + PartialEq + Debug>(values: &[&str]) {
    assert!(matches!(resolution::<W, R>(), Resolution::Same));
    for value in values {
        reads::<W, R>(value, value);
    }
}

pair! { nothing_changed:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours { pub(super) struct Msg { amount: i64 } }
    same(&[r#"{"amount":3}"#])
}

pair! { field_added_with_default:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours { pub(super) struct Msg { #[serde(default)] times: u8, amount: i64 } }
    always(&[(r#"{"amount":3}"#, r#"{"amount":3,"times":0}"#)])
}

pair! { field_added_without_default:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours { pub(super) struct Msg { amount: i64, times: u8 } }
    never(MismatchReason::FieldMissing,
        "field `times`: theirs is absent, ours is u8 without a default", r#"{"amount":3}"#)
}

pair! { optional_field_added:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours { pub(super) struct Msg { note: Option<String>, amount: i64 } }
    always(&[(r#"{"amount":3}"#, r#"{"amount":3,"note":null}"#)])
}

pair! { transparent_optional_field_added:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours {
        pub(super) struct Msg { note: Note, amount: i64 }
        #[serde(transparent)]
        struct Note { text: Option<String> }
    }
    always(&[(r#"{"amount":3}"#, r#"{"amount":3,"note":null}"#)])
}

pair! { wrapped_optional_field_added:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours {
        pub(super) struct Msg { note: Note, amount: i64 }
        struct Note(Option<String>);
    }
    never(MismatchReason::FieldMissing,
        "field `note`: theirs is absent, ours is Note without a default", r#"{"amount":3}"#)
}

pair! { container_default:
    theirs { pub(super) struct Msg {} }
    ours {
        #[derive(Default)]
        #[serde(default)]
        pub(super) struct Msg { amount: i64, note: String }
    }
    always(&[("{}", r#"{"amount":0,"note":""}"#)])
}

pair! { field_removed:
    theirs { pub(super) struct Msg { a: Vec<String>, amount: i64, tail: (u8, Option<f32>) } }
    ours { pub(super) struct Msg { amount: i64 } }
    always(&[(r#"{"a":["x","y"],"amount":-7,"tail":[1,0.5]}"#, r#"{"amount":-7}"#)])
}

pair! { field_removed_but_reader_is_strict:
    theirs { pub(super) struct Msg { amount: i64, note: String } }
    ours { #[serde(deny_unknown_fields)] pub(super) struct Msg { amount: i64 } }
    never(MismatchReason::FieldUnknown,
        "field `note`: theirs is string, ours is absent, and refuses unknown fields",
        r#"{"amount":1,"note":""}"#)
}

pair! { field_renamed_with_alias:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours { pub(super) struct Msg { #[serde(alias = "amount")] sum: i64 } }
    always(&[(r#"{"amount":3}"#, r#"{"sum":3}"#)])
}

pair! { field_renamed_without_alias:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours { pub(super) struct Msg { sum: i64 } }
    never(MismatchReason::FieldMissing,
        "field `sum`: theirs is absent, ours is i64 without a default", r#"{"amount":3}"#)
}

pair! { field_renamed_by_rule:
    theirs { pub(super) struct Msg { unit_price: i64 } }
    ours { #[serde(rename_all = "camelCase")] pub(super) struct Msg {
        #[serde(alias = "unit_price")] unit_price: i64
    } }
    always(&[(r#"{"unit_price":3}"#, r#"{"unitPrice":3}"#)])
}

pair! { two_fields_become_one:
    theirs { pub(super) struct Msg { old: i64, new: i64 } }
    ours { pub(super) struct Msg { #[serde(alias = "old")] new: i64 } }
    never(MismatchReason::FieldTwice,
        "field `new`: theirs is both `old` and `new`, ours is the one field `new`",
        r#"{"old":1,"new":2}"#)
}

pair! { fields_reordered:
    theirs { pub(super) struct Msg { a: i64, b: String, c: bool } }
    ours { pub(super) struct Msg { c: bool, a: i64, b: String } }
    always(&[(r#"{"a":1,"b":"x","c":true}"#, r#"{"a":1,"b":"x","c":true}"#)])
}

pair! { swapped_fields_of_one_type:
    theirs { pub(super) struct Msg { from: u64, to: u64 } }
    ours { pub(super) struct Msg { to: u64, from: u64 } }
    always(&[(r#"{"from":1,"to":2}"#, r#"{"from":1,"to":2}"#)])
}

pair! { integers_widened:
    theirs { pub(super) struct Msg { a: u8, b: i16, c: u32, d: i64, e: u64 } }
    ours { pub(super) struct Msg { a: i32, b: i64, c: i64, d: i128, e: u128 } }
    always(&[(
        r#"{"a":255,"b":-32768,"c":4294967295,"d":-9223372036854775808,"e":18446744073709551615}"#,
        r#"{"a":255,"b":-32768,"c":4294967295,"d":-9223372036854775808,"e":18446744073709551615}"#,
    )])
}

pair! { integer_narrowed:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours { pub(super) struct Msg { amount: u8 } }
    may_fail(("amount", "the number does not fit into u8"),
        &[(r#"{"amount":255}"#, r#"{"amount":255}"#)],
        &[r#"{"amount":256}"#, r#"{"amount":-1}"#])
}

pair! { text_for_a_number:
    theirs { pub(super) struct Msg { amount: String } }
    ours { pub(super) struct Msg { amount: i64 } }
    never(MismatchReason::Kind, "field `amount`: theirs is string, ours is i64",
        r#"{"amount":"3"}"#)
}

pair! { number_for_a_text:
    theirs { pub(super) struct Msg { id: u8, amount: i64 } }
    ours { pub(super) struct Msg { id: u8, amount: String } }
    never(MismatchReason::Kind, "field `amount`: theirs is i64, ours is string",
        r#"{"id":1,"amount":3}"#)
}

pair! { float_widened:
    theirs { pub(super) struct Msg { x: f32 } }
    ours { pub(super) struct Msg { x: f64 } }
    always(&[(r#"{"x":0.5}"#, r#"{"x":0.5}"#)])
}

pair! { float_narrowed:
    theirs { pub(super) struct Msg { x: f64 } }
    ours { pub(super) struct Msg { x: f32 } }
    never(MismatchReason::Kind, "field `x`: theirs is f64, ours is f32", r#"{"x":0.1}"#)
}

pair! { integer_for_a_float:
    theirs { pub(super) struct Msg { x: u64 } }
    ours { pub(super) struct Msg { x: f64 } }
    never(MismatchReason::Kind, "field `x`: theirs is u64, ours is f64", r#"{"x":1}"#)
}

pair! { value_became_optional:
    theirs { pub(super) struct Msg { amount: i64 } }
    ours { pub(super) struct Msg { amount: Option<i64> } }
    always(&[(r#"{"amount":3}"#, r#"{"amount":3}"#)])
}

pair! { optional_became_required:
    theirs { pub(super) struct Msg { amount: Option<i64>, next: u8 } }
    ours { pub(super) struct Msg { amount: i64, next: u8 } }
    may_fail(("amount", "the value is absent"),
        &[(r#"{"amount":3,"next":1}"#, r#"{"amount":3,"next":1}"#)],
        &[r#"{"amount":null,"next":1}"#])
}
