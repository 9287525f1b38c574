//! The schema's names are those that serde uses, whichever attributes say so.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use midflight_message::{Body, Message, Schema, SchemaTree, Shape, decode, encode};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Schema, Default)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE", default)]
struct Fields {
    plain_name: u8,
    r#type: u8,
    #[serde(rename = "other")]
    renamed: u8,
    #[serde(skip)]
    hidden: u8,
}

#[derive(Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Variants {
    PlainFirst,
    NextInLine {
        some_field: u8,
    },
    #[serde(rename_all = "UPPERCASE")]
    AfterThat {
        some_field: u8,
    },
    #[serde(rename = "4")]
    LastOfAll(u8),
}

fn json_keys(value: &impl Serialize) -> Vec<String> {
    let json = serde_json::to_value(value).unwrap();
    json.as_object().unwrap().keys().cloned().collect()
}

fn names(shape: &Shape<midflight_message::Type>) -> Vec<String> {
    let Shape::Struct { fields, .. } = shape else { panic!("no struct: {shape:?}") };
    let mut names: Vec<_> = fields.iter().map(|field| field.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn field_names_are_serdes() {
    let tree = SchemaTree::of::<Fields>().unwrap();
    let Body::Plain(shape) = &tree.definitions()[0].body else { panic!("{tree}") };
    assert_eq!(names(shape), json_keys(&Fields::default()));
    let Shape::Struct { fields, .. } = shape else { panic!("{tree}") };
    assert!(fields.iter().all(|field| field.default));
}

#[test]
fn variant_names_are_serdes() {
    let tree = SchemaTree::of::<Variants>().unwrap();
    let Body::Enum(variants) = &tree.definitions()[0].body else { panic!("{tree}") };
    let first = serde_json::to_value(Variants::PlainFirst).unwrap();
    assert_eq!(first, variants[0].name.as_str());
    let values = [
        Variants::NextInLine { some_field: 0 },
        Variants::AfterThat { some_field: 0 },
        Variants::LastOfAll(0),
    ];
    for (value, variant) in values.iter().zip(&variants[1..]) {
        assert_eq!(json_keys(value), std::slice::from_ref(&variant.name));
        if let Shape::Struct { .. } = variant.shape {
            let json = serde_json::to_value(value).unwrap();
            assert_eq!(names(&variant.shape), json_keys(&json[&variant.name]));
        }
    }
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[serde(transparent)]
struct Inside {
    it: BTreeMap<String, u32>,
    #[serde(skip)]
    cache: Option<String>,
    marker: PhantomData<fn()>,
}

#[test]
fn a_transparent_struct_is_what_is_inside() {
    let tree = Inside::type_info().tree();
    assert_eq!(
        tree.to_string(),
        "#0\n#0 = midflight-message.Inside@1: transparent(map<string, u32>)\n"
    );
    let it = BTreeMap::from([("a".to_owned(), 1)]);
    let inside = Inside { it, cache: None, marker: PhantomData };
    let mut bytes = Vec::new();
    encode(&inside, &mut bytes).unwrap();
    assert_eq!(bytes, postcard::to_stdvec(&inside.it).unwrap());
    assert_eq!(decode::<Inside>(&bytes).unwrap(), inside);
}

#[derive(Serialize, Deserialize, Schema)]
struct Mixed(#[serde(skip)] (), u16);

#[derive(Serialize, Deserialize, Schema)]
enum Hiding {
    Alone(#[serde(skip)] u8),
    Beside(u8, #[serde(skip)] u8),
}

#[test]
fn skipped_parts_without_names_leave_the_shape_that_serde_writes() {
    let text = |tree: Result<SchemaTree, _>| tree.unwrap().to_string();
    assert_eq!(text(SchemaTree::of::<Mixed>()), "#0\n#0 = Mixed: tuple(u16)\n");
    assert_eq!(
        text(SchemaTree::of::<Hiding>()),
        "#0\n#0 = Hiding: enum { Alone: unit, Beside: tuple(u8) }\n"
    );
    assert_eq!(postcard::to_stdvec(&Hiding::Alone(7)).unwrap(), [0]);
    assert_eq!(postcard::to_stdvec(&Hiding::Beside(7, 8)).unwrap(), [1, 7]);
    assert_eq!(postcard::to_stdvec(&Mixed((), 8)).unwrap(), [8]);
}

/// What is written in a type's place is its schema.
mod in_anothers_place {
    use super::*;
    use midflight_message::{Certainty, Resolution, decode_resolved, resolve};

    #[derive(Serialize, Deserialize, Schema, Clone, Copy, PartialEq, Debug)]
    #[serde(from = "u64", into = "u64")]
    struct Ticks {
        seconds: u32,
        rest: u32,
    }

    impl From<u64> for Ticks {
        fn from(of: u64) -> Self {
            Self { seconds: (of / 1000) as u32, rest: (of % 1000) as u32 }
        }
    }

    impl From<Ticks> for u64 {
        fn from(of: Ticks) -> Self {
            Self::from(of.seconds) * 1000 + Self::from(of.rest)
        }
    }

    #[derive(Serialize, Deserialize, Schema, Clone, Copy, PartialEq, Debug)]
    #[serde(try_from = "u8", into = "u8")]
    struct Percent(u8);

    impl TryFrom<u8> for Percent {
        type Error = String;

        fn try_from(of: u8) -> Result<Self, String> {
            if of <= 100 { Ok(Self(of)) } else { Err(format!("{of} of a hundred")) }
        }
    }

    impl From<Percent> for u8 {
        fn from(of: Percent) -> Self {
            of.0
        }
    }

    mod as_text {
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub(super) fn serialize<S: Serializer>(of: &[u8], to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(&String::from_utf8_lossy(of))
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
            let text = String::deserialize(from)?;
            if text.is_ascii() { Ok(text.into_bytes()) } else { Err(D::Error::custom("not ASCII")) }
        }
    }

    /// A type of another crate, and how it is written.
    #[derive(PartialEq, Debug)]
    struct Foreign {
        at: u16,
    }

    #[derive(Serialize, Deserialize, Schema)]
    #[serde(remote = "Foreign")]
    struct ForeignForm {
        at: u16,
    }

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "s.Whole")]
    struct Whole {
        ticks: Ticks,
        percent: Percent,
        #[serde(with = "as_text")]
        #[schema(as = "String")]
        text: Vec<u8>,
        #[serde(with = "ForeignForm")]
        #[schema(as = "ForeignForm")]
        foreign: Foreign,
    }

    /// What others have written.
    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "s.Whole")]
    struct Plain {
        foreign: ForeignPart,
        ticks: u64,
        percent: u8,
        text: String,
    }

    #[derive(Serialize, Deserialize, Schema)]
    struct ForeignPart {
        at: u8,
    }

    fn whole() -> Whole {
        let ticks = Ticks { seconds: 2, rest: 5 };
        Whole { ticks, percent: Percent(7), text: b"abc".to_vec(), foreign: Foreign { at: 9 } }
    }

    #[test]
    fn the_schema_is_what_is_on_the_wire() {
        assert_eq!(
            Whole::type_info().tree().to_string(),
            "#0\n#0 = s.Whole@1: struct { ticks: #1, percent: #2, text: #3, foreign: #4 }\n\
             #1 = Ticks: transparent(u64)\n#2 = Percent: checked(u8)\n\
             #3 = stated: newtype(#5)\n#4 = stated: newtype(#6)\n#5 = stated: checked(string)\n\
             #6 = stated: checked(#7)\n#7 = ForeignForm: struct { at: u16 }\n"
        );
        let mut bytes = Vec::new();
        encode(&whole(), &mut bytes).unwrap();
        assert_eq!(bytes, postcard::to_stdvec(&(2005_u64, 7_u8, "abc", 9_u16)).unwrap());
        assert_eq!(decode::<Whole>(&bytes).unwrap(), whole());
    }

    #[test]
    fn what_a_type_may_refuse_is_predicted() {
        let resolution = resolve(Plain::type_info(), Whole::type_info());
        let Resolution::Structural(plan) = &resolution else { panic!("{resolution:?}") };
        let paths: Vec<_> = plan.risks().iter().map(|risk| risk.path.as_str()).collect();
        assert_eq!(paths, ["foreign", "percent", "text"]);
        assert!(matches!(plan.certainty(), Certainty::MayFail(_)));
        let read = |percent, text: &str| {
            let foreign = ForeignPart { at: 9 };
            let plain = Plain { foreign, ticks: 2005, percent, text: text.to_owned() };
            let mut bytes = Vec::new();
            encode(&plain, &mut bytes).unwrap();
            decode_resolved::<Whole>(&bytes, &resolution)
        };
        assert_eq!(read(7, "abc").unwrap(), whole());
        for (percent, text, path) in [(101, "abc", "percent"), (7, "ä", "text")] {
            assert_eq!(read(percent, text).unwrap_err().field_path, path);
        }
    }
}

/// A reader's catch-all, and variants that are never sent.
mod variants {
    use super::*;
    use midflight_message::{Resolution, decode_resolved, resolve};

    #[derive(Serialize, Deserialize, Message, Debug)]
    #[message(name = "s.Kind")]
    enum Theirs {
        New,
        Old,
        Full(u8),
    }

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "s.Kind")]
    enum Ours {
        Old,
        #[serde(other)]
        Unknown,
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "s.Sent")]
    enum Sent {
        There(u8),
        #[serde(skip)]
        Local(#[allow(dead_code, reason = "never read")] std::sync::Weak<u8>),
    }

    #[test]
    fn what_is_not_known_is_caught_where_it_is_empty() {
        assert_eq!(
            Ours::type_info().tree().to_string(),
            "#0\n#0 = s.Kind@1: enum { Old: unit, Unknown: unit other }\n"
        );
        let resolution = resolve(Theirs::type_info(), Ours::type_info());
        let Resolution::Structural(plan) = &resolution else { panic!("{resolution:?}") };
        assert_eq!(
            plan.risks()[0].to_string(),
            "field `Full`: the value is this variant, which we lack, and not empty"
        );
        let read = |theirs: &Theirs| {
            let mut bytes = Vec::new();
            encode(theirs, &mut bytes).unwrap();
            decode_resolved::<Ours>(&bytes, &resolution)
        };
        assert_eq!(read(&Theirs::Old).unwrap(), Ours::Old);
        assert_eq!(read(&Theirs::New).unwrap(), Ours::Unknown);
        assert_eq!(read(&Theirs::Full(1)).unwrap_err().field_path, "Full");
        // As serde does with text.
        assert_eq!(serde_json::from_str::<Ours>("\"New\"").unwrap(), Ours::Unknown);
        assert!(serde_json::from_str::<Ours>(r#"{"Full":1}"#).is_err());
    }

    #[test]
    fn what_is_skipped_is_not_there() {
        let text = Sent::type_info().tree().to_string();
        assert_eq!(text, "#0\n#0 = s.Sent@1: enum { There: newtype(u8) }\n");
        encode(&Sent::There(1), &mut Vec::new()).unwrap();
        let error = encode(&Sent::Local(std::sync::Weak::new()), &mut Vec::new()).unwrap_err();
        assert_eq!(error.type_name, "s.Sent@1");
    }

    /// Bounds of one's own where the usual ones ask too much.
    #[derive(Schema)]
    #[schema(bound = "T: Kept, T::Of: Schema")]
    struct Bounded<T: Kept> {
        _of: T::Of,
        _by: PhantomData<T>,
    }

    trait Kept: 'static {
        type Of;
    }

    struct NoSchema;

    impl Kept for NoSchema {
        type Of = u8;
    }

    #[test]
    fn bounds_may_be_stated() {
        let tree = SchemaTree::of::<Bounded<NoSchema>>().unwrap();
        assert_eq!(tree.to_string(), "#0\n#0 = Bounded: struct { _of: u8, _by: unit }\n");
    }
}
