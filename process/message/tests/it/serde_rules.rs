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
