//! What the derives refuse, and that they say why.

use quote::quote;
use syn::{DeriveInput, parse_quote};

use crate::{message, schema};

fn schema_error(input: &DeriveInput) -> String {
    schema::implement(input, &quote!(k), &quote!("N"), &quote!(None), None).unwrap_err().to_string()
}

fn message_error(input: &DeriveInput) -> String {
    message::expand(input).unwrap_err().to_string()
}

macro_rules! refused {
    ($($test:ident: $check:ident, $text:literal, { $($input:tt)* })*) => {$(
        #[test]
        fn $test() {
            let error = $check(&parse_quote! { $($input)* });
            assert!(error.contains($text), "{error}");
        }
    )*};
}

refused! {
    untagged: schema_error, "cannot be decoded from postcard", {
        #[serde(untagged)] enum A { B(u8), C(String) }
    }
    inner_tag: schema_error, "`serde(tag)` cannot be part of a message: a tag needs", {
        #[serde(tag = "type", content = "of")] enum A { B(u8) }
    }
    tagged_struct: schema_error, "a tag needs a self-describing format", {
        #[serde(tag = "type")] struct A { b: u8 }
    }
    flatten: schema_error, "flattening needs a self-describing format", {
        struct A { #[serde(flatten)] rest: B }
    }
    with: schema_error, "cannot see what `serde(with)` writes and reads: say which type has the same form", {
        struct A { #[serde(with = "hex")] b: Vec<u8> }
    }
    serialize_with: schema_error, "cannot see what `serde(serialize_with)` writes", {
        struct A(#[serde(serialize_with = "f")] u8);
    }
    deserialize_with: schema_error, "cannot see what `serde(deserialize_with)` writes and reads", {
        enum A { B { #[serde(default, deserialize_with = "f")] c: u8 } }
    }
    with_on_a_variant: schema_error, "cannot see what `serde(with)` writes", {
        enum A { #[serde(with = "m")] B(u8) }
    }
    from: schema_error, "what is written must be what is read", {
        #[serde(from = "B")] struct A { b: u8 }
    }
    try_from: schema_error, "what is written must be what is read", {
        #[serde(try_from = "B")] struct A { b: u8 }
    }
    into: schema_error, "what is written must be what is read", {
        #[serde(into = "B")] struct A { b: u8 }
    }
    into_another: schema_error, "of the same type `T`", {
        #[serde(from = "B", into = "C")] struct A { b: u8 }
    }
    remote: message_error, "is written and read only as a field", {
        #[serde(remote = "B")] struct A { b: u8 }
    }
    stated_on_a_variant: schema_error, "a variant's form is that of its fields", {
        enum A { #[schema(as = "u8")] B(u8) }
    }
    stated_wrongly: schema_error, "only `as = \"Type\"` is known here", {
        struct A { #[schema(form = "u8")] b: u8 }
    }
    skip_serializing_if: schema_error, "postcard has no way to leave a field out", {
        struct A { #[serde(default, skip_serializing_if = "Option::is_none")] b: Option<u8> }
    }
    skipped_on_one_side: schema_error, "a field that only one side skips would shift", {
        struct A { #[serde(skip_serializing)] b: u8, c: u8 }
    }
    skipped_by_the_reader: schema_error, "a field that only one side skips would shift", {
        struct A(u8, #[serde(skip_deserializing)] u8);
    }
    skipped_variant: schema_error, "numbers the variants after a skipped one differently", {
        enum A { #[serde(skip)] B, C }
    }
    variant_skipped_on_one_side: schema_error, "one side would not know a variant", {
        enum A { B, #[serde(skip_serializing)] C }
    }
    only_field_skipped: schema_error, "better a unit struct", {
        struct A(#[serde(skip)] u8);
    }
    two_names: schema_error, "a schema has one name for both ways", {
        struct A { #[serde(rename(serialize = "c", deserialize = "d"))] b: u8 }
    }
    two_rules: schema_error, "a schema has one name for both ways", {
        #[serde(rename_all(serialize = "lowercase"))] struct A { b: u8 }
    }
    unknown_rule: schema_error, "serde has no such rename rule", {
        #[serde(rename_all = "Title Case")] struct A { b: u8 }
    }
    unknown_attribute: schema_error, "`serde(packed)` is not known here", {
        struct A { #[serde(packed)] b: u8 }
    }
    borrowed: schema_error, "use String for &str", {
        struct A<'a> { b: &'a str }
    }
    union: schema_error, "a union cannot be a part of a message", {
        union A { b: u8 }
    }
    transparent_enum: schema_error, "transparent enum", {
        #[serde(transparent)] enum A { B(u8) }
    }
    transparent_pair: schema_error, "one field besides the skipped ones", {
        #[serde(transparent)] struct A(u8, u8);
    }
    generic_message: message_error, "a message is one concrete type", {
        struct A<T> { b: T }
    }
    empty_name: message_error, "a message's name is 1 to 200", {
        #[message(name = "")] struct A;
    }
    odd_name: message_error, "a message's name is 1 to 200", {
        #[message(name = "a b")] struct A;
    }
    version_nought: message_error, "versions start at 1", {
        #[message(version = 0)] struct A;
    }
    no_conversion: message_error, "say from which type", {
        #[message(from())] struct A;
    }
    misspelt: message_error, "`name`, `version`, `from(…)`, `try_from(…)` and `crate` are known here", {
        #[message(vesion = 2)] struct A;
    }
}

#[test]
fn what_changes_nothing_on_the_wire_passes() {
    let input: DeriveInput = parse_quote! {
        #[serde(bound = "T: X", crate = "serde", expecting = "a thing", rename = "B")]
        #[serde(bound(serialize = "T: Y", deserialize = "T: Z"))]
        struct A<T> {
            #[serde(bound(serialize = "T: Y"), borrow, default = "make", alias = "x")]
            b: T,
        }
    };
    let made = schema::implement(&input, &quote!(k), &quote!("N"), &quote!(None), None).unwrap();
    let made = made.to_string();
    assert!(made.contains("impl < T : k :: Schema > k :: Schema for A < T >"), "{made}");
    assert!(made.contains(r#"("b" , true , & ["x"])"#), "{made}");
}
