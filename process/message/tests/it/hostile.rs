//! Whatever arrives: an error at most.

use std::collections::BTreeMap;

use midflight_message::{
    Message, Pid, Resolution, SchemaError, SchemaTree, TypeInfo, decode, decode_resolved, resolve,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[message(name = "h.Msg")]
enum Msg {
    Leaf,
    Texts(Vec<String>),
    Deep { map: BTreeMap<String, Msg>, pid: Pid, wide: [u128; 3] },
    Both(Box<Msg>, Option<Box<Msg>>),
    Nothings(Vec<()>, char, f64),
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[message(name = "h.Msg")]
enum Other {
    Deep {
        #[serde(default)]
        new: u8,
        map: BTreeMap<String, Other>,
        pid: Pid,
    },
    Both(Option<Box<Other>>, Box<Other>),
    Nothings(Vec<()>, char, f64),
    Leaf,
}

fn resolution() -> Resolution {
    let resolution = resolve(Msg::type_info(), Other::type_info());
    assert!(matches!(resolution, Resolution::Structural(_)), "{resolution:?}");
    resolution
}

/// Texts that resemble schemas closely enough to get far.
fn schema_like() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "#0",
        "#1",
        "#2",
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
        "array<",
        "option<",
        "seq<",
        "map<",
        ">",
        ")",
        "u8",
        "unit",
        "string",
        "\"",
        "\\",
        "A",
        "é",
        " default",
        " alias ",
        "18446744073709551615",
    ]);
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(0_u8..6, 0..200), raw: Vec<u8>) {
        let resolution = resolution();
        for bytes in [&bytes, &raw] {
            let _ = decode::<Msg>(bytes);
            let _ = decode_resolved::<Other>(bytes, &resolution);
            let _ = postcard::from_bytes::<TypeInfo>(bytes);
        }
    }

    #[test]
    fn what_is_walked_over_is_what_is_decoded(bytes in prop::collection::vec(0_u8..6, 0..40)) {
        // `Both` puts the whole of it where a reader of nothing walks over it.
        #[derive(Serialize, Deserialize, Message)]
        #[message(name = "h.Whole")]
        struct Theirs { all: Msg }
        #[derive(Serialize, Deserialize, Message)]
        #[message(name = "h.Whole")]
        struct Ours {}
        let resolution = resolve(Theirs::type_info(), Ours::type_info());
        let skipped = decode_resolved::<Ours>(&bytes, &resolution).is_ok();
        prop_assert_eq!(skipped, decode::<Msg>(&bytes).is_ok());
    }

    #[test]
    fn random_schemas_never_panic(text in schema_like(), raw in ".{0,80}") {
        for text in [&text, &raw] {
            if let Ok(tree) = SchemaTree::parse(text) {
                prop_assert_eq!(&tree.to_string(), text);
            }
        }
    }

    #[test]
    fn damaged_schemas_never_panic(at in 0_usize..2000, byte in 32_u8..127, cut: bool) {
        let mut text = Msg::type_info().schema().to_string().into_bytes();
        let at = at % text.len();
        if cut { text.truncate(at) } else { text[at] = byte }
        let text = String::from_utf8_lossy(&text).into_owned();
        if let Ok(info) = TypeInfo::parse("h.Msg", 1, &text) {
            let resolution = resolve(&info, Msg::type_info());
            for bytes in [&[1, 1, 1, 65][..], &[3; 600], &[2, 1, 1, 65, 0, 1, 1, 1, 0, 0, 0]] {
                let _ = decode_resolved::<Msg>(bytes, &resolution);
            }
            let _ = resolve(Msg::type_info(), &info);
        }
    }
}

#[test]
fn hostile_schemas_are_refused_cheaply() {
    let parse = |text: &str| SchemaTree::parse(text).unwrap_err();
    assert_eq!(parse(&"x".repeat(65_537)), SchemaError::TooLarge);
    assert_eq!(parse(&"option<".repeat(9000)), SchemaError::TooDeep);
    assert_eq!(parse("#0\n#0 = A: newtype(#0)\n"), SchemaError::Endless("A".to_owned()));
    assert_eq!(
        parse("#0\n#0 = A: newtype(#1)\n#1 = B: transparent(#0)\n"),
        SchemaError::Endless("A".to_owned())
    );
    for odd in
        ["#1\n", "#0\n", "u8\n#0 = A: unit\n", "#0\n#0 = \"A\": unit\n", "#00\n#0 = A: unit\n"]
    {
        assert_eq!(parse(odd), SchemaError::NotCanonical, "{odd}");
    }
    assert!(matches!(parse("u8"), SchemaError::Syntax { at: 2, .. }));
    let many: String = (1..=2048).map(|n| format!("#{n} = A: tuple(#{})\n", n + 1)).collect();
    let many = parse(&format!("#0\n#0 = A: tuple(#1)\n{many}"));
    assert!(matches!(many, SchemaError::TooManyDefinitions | SchemaError::NotCanonical), "{many}");
}

#[test]
fn a_writers_schema_without_end_or_bytes_is_bounded() {
    let read = |schema: &str, bytes: &[u8]| {
        #[derive(Serialize, Deserialize, Message, Debug)]
        #[message(name = "h.Small")]
        struct Small {
            #[serde(default)]
            kept: Vec<()>,
        }
        let info = TypeInfo::parse("h.Small", 1, schema).unwrap();
        let resolution = resolve(&info, Small::type_info());
        assert!(matches!(resolution, Resolution::Structural(_)), "{resolution:?}");
        decode_resolved::<Small>(bytes, &resolution).unwrap_err().to_string()
    };
    // A struct that holds itself takes no bytes and never ends.
    let error = read("#0\n#0 = A: struct { gone: #0 }\n", &[]);
    assert!(error.contains("nests deeper"), "{error}");
    // Arrays of arrays of nothing take no bytes and nearly never end.
    let huge = (0..8).fold("unit".to_owned(), |inner, _| format!("array<{inner}, 4294967296>"));
    for field in ["gone", "kept"] {
        let ty = if field == "kept" { "array<unit, 18446744073709551615>" } else { &huge };
        let error = read(&format!("#0\n#0 = A: struct {{ {field}: {ty} }}\n"), &[]);
        assert!(error.contains("more values than its size allows"), "{error}");
    }
}

#[test]
fn comparing_hostile_schemas_ends() {
    // Every definition refers to many: without memory, comparing would double at each step.
    let body = |n: usize| {
        let next = (n + 1).min(299);
        format!("#{n} = A: struct {{ a: #{next}, b: option<#{next}>, c: seq<#{next}> }}\n")
    };
    let text = format!("#0\n{}", (0..300).map(body).collect::<String>());
    let theirs = TypeInfo::parse("h.Wide", 1, &text).unwrap();
    let ours = TypeInfo::parse("h.Wide", 1, &text.replace("b: option", "d: option")).unwrap();
    let _ = resolve(&theirs, &ours);
}
