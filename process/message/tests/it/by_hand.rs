//! Types that implement serde by hand: what they leave unread is passed over or refused.

use std::fmt;

use midflight_message::{
    DecodeReason, Descriptor, Message, Schema, decode_resolved, encode, resolve,
};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize, Message)]
#[message(name = "b.Msg")]
struct Theirs {
    first: First,
    list: Vec<u8>,
    last: u8,
}

#[derive(Serialize, Deserialize, Schema)]
struct First {
    a: u8,
    b: String,
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[message(name = "b.Msg")]
struct Ours {
    last: u8,
    first: OneField,
    list: OneElement,
}

/// Reads one field and loses interest.
#[derive(PartialEq, Debug)]
struct OneField(u8);

/// Reads one element and loses interest.
#[derive(PartialEq, Debug)]
struct OneElement(u8);

impl Schema for OneField {
    fn descriptor() -> Descriptor {
        First::descriptor()
    }
}

impl Schema for OneElement {
    fn descriptor() -> Descriptor {
        Vec::<u8>::descriptor()
    }
}

impl Serialize for OneField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        First { a: self.0, b: String::new() }.serialize(serializer)
    }
}

impl Serialize for OneElement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        vec![self.0].serialize(serializer)
    }
}

struct Lazy;

impl<'de> Visitor<'de> for Lazy {
    type Value = u8;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number somewhere in front")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<u8, A::Error> {
        Ok(from.next_entry::<String, u8>()?.unwrap_or_default().1)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<u8, A::Error> {
        Ok(from.next_element()?.unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for OneField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("First", &["a", "b"], Lazy).map(Self)
    }
}

impl<'de> Deserialize<'de> for OneElement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Lazy).map(Self)
    }
}

fn read(list: Vec<u8>) -> Result<Ours, midflight_message::DecodeError> {
    let first = First { a: 7, b: "passed over".to_owned() };
    let mut bytes = Vec::new();
    encode(&Theirs { first, list, last: 9 }, &mut bytes).unwrap();
    decode_resolved(&bytes, &resolve(Theirs::type_info(), Ours::type_info()))
}

#[test]
fn unread_fields_are_passed_over() {
    let expected = Ours { last: 9, first: OneField(7), list: OneElement(1) };
    assert_eq!(read(vec![1]).unwrap(), expected);
}

#[test]
fn unread_elements_are_an_error_at_their_path() {
    let error = read(vec![1, 2, 3]).unwrap_err();
    assert_eq!(error.field_path, "list");
    assert_eq!(error.reason, DecodeReason::Length { theirs: 3, ours: 1 });
    assert_eq!(
        error.to_string(),
        "b.Msg@1 cannot be decoded: field `list`: theirs has 3 elements, ours has 1"
    );
}
