//! Messages as JSON, by their schema alone: what operators type, and what they are shown.
//!
//! The JSON is what serde_json makes of the same types: structs are objects, enums are told by their variant's name,
//! absent values are `null`. Beyond that, pids are their text (`"<1f.7.2>"`), numbers that JSON has no room for are text, and
//! maps whose keys are no text are lists of pairs.

mod read;
mod write;

use std::error::Error;
use std::fmt;

use serde_json::Value;

use crate::path::Path;
use crate::shape::{Body, Definition};
use crate::tree::{SchemaTree, Type};
use crate::{DecodeError, TypeInfo};

/// A JSON value is not one of a message's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// The message's type, as `name@version`.
    pub type_name: String,
    /// Where in the value; empty for the whole.
    pub field_path: String,
    /// What is wrong, in words.
    pub reason: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is no {}: ", self.type_name)?;
        if !self.field_path.is_empty() {
            write!(f, "field `{}`: ", self.field_path)?;
        }
        f.write_str(&self.reason)
    }
}

impl Error for JsonError {}

impl TypeInfo {
    /// Encodes a JSON value as a message of this type. A field that is not there is taken for `null`, which is good for
    /// optional ones alone: a schema says that a field has a default, and not which.
    ///
    /// ```
    /// use midflight_message::{Message, decode};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    /// #[message(name = "counter.Add", version = 1)]
    /// struct Add {
    ///     amount: i64,
    ///     note: Option<String>,
    /// }
    ///
    /// let value = serde_json::json!({ "amount": 3 });
    /// let bytes = Add::type_info().encode_json(&value)?;
    /// assert_eq!(decode::<Add>(&bytes)?, Add { amount: 3, note: None });
    ///
    /// let wrong = Add::type_info().encode_json(&serde_json::json!({ "amount": "3" }));
    /// let said = "this is no counter.Add@1: field `amount`: an i64 is wanted, not \"3\"";
    /// assert_eq!(wrong.unwrap_err().to_string(), said);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JsonError`], with the field. What a type refuses by itself (`#[serde(try_from = "…")]`) is not known here.
    pub fn encode_json(&self, value: &Value) -> Result<Vec<u8>, JsonError> {
        let mut writer = write::Writer::new(self.tree());
        writer.value(&self.tree().root, value, 0).map_err(|reason| JsonError {
            type_name: self.to_string(),
            field_path: Path(&writer.path).text(),
            reason,
        })?;
        Ok(writer.bytes)
    }

    /// What a message of this type says, as JSON.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not what the schema says, or claim to hold more than 16,384 values beyond eight for
    /// each byte.
    pub fn decode_json(&self, bytes: &[u8]) -> Result<Value, DecodeError> {
        let mut reader = read::Reader::new(self.tree(), bytes);
        let value = reader.value(&self.tree().root, 0);
        let whole = value.and_then(|value| reader.cursor.finish().map(|()| value));
        whole.map_err(|reason| DecodeError {
            type_name: self.to_string(),
            field_path: String::new(),
            reason,
        })
    }
}

/// Whether a named type is a pid, which people know by its text.
fn is_pid(definition: &Definition<Type>) -> bool {
    definition.name == "midflight.Pid" && matches!(definition.body, Body::Plain(_))
}

/// Whether a JSON object can have such keys: text, and what has one.
fn is_key(tree: &SchemaTree, ty: &Type) -> bool {
    matches!(tree.unwrapped(ty), Type::Scalar(_))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use crate::{Message, NodeId, Pid, Schema, decode, encode};

    #[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
    enum Kind {
        Plain,
        One(u8),
        Pair(u8, bool),
        Priced { cents: u64, tax: Option<f32> },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
    struct Metres(f64);

    #[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
    #[message(name = "shop.Order", version = 1)]
    struct Order {
        id: u64,
        #[serde(alias = "remark")]
        note: Option<String>,
        kinds: Vec<Kind>,
        long: Metres,
        pair: (char, i8),
        counts: BTreeMap<u16, i32>,
        odd: BTreeMap<(u8, u8), ()>,
        large: u128,
        three: [bool; 3],
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
    #[message(name = "shop.Who", version = 1)]
    struct Who {
        pid: Pid,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
    #[message(name = "shop.Nothing", version = 1)]
    struct Nothing;

    fn order() -> Order {
        Order {
            id: u64::MAX,
            note: None,
            kinds: vec![
                Kind::Plain,
                Kind::One(1),
                Kind::Pair(2, true),
                Kind::Priced { cents: 12, tax: Some(0.5) },
            ],
            long: Metres(1.25),
            pair: ('x', -1),
            counts: BTreeMap::from([(7, -1)]),
            odd: BTreeMap::from([((1, 2), ())]),
            large: u128::MAX,
            three: [true, false, true],
        }
    }

    fn as_json() -> serde_json::Value {
        json!({
            "id": u64::MAX,
            "note": null,
            "kinds": ["Plain", { "One": 1 }, { "Pair": [2, true] }, { "Priced": { "cents": 12, "tax": 0.5 } }],
            "long": 1.25,
            "pair": ["x", -1],
            "counts": { "7": -1 },
            "odd": [[[1, 2], null]],
            "large": u128::MAX.to_string(),
            "three": [true, false, true],
        })
    }

    #[test]
    fn there_and_back() {
        let mut bytes = Vec::new();
        encode(&order(), &mut bytes).unwrap();
        let info = Order::type_info();
        assert_eq!(info.decode_json(&bytes).unwrap(), as_json());
        assert_eq!(info.encode_json(&as_json()).unwrap(), bytes);
    }

    #[test]
    fn what_serde_leaves_open_is_open() {
        let mut value = as_json();
        let fields = value.as_object_mut().unwrap();
        fields.remove("note");
        fields.insert("remark".into(), json!("fragile"));
        fields.insert("large".into(), json!(5));
        let read: Order = decode(&Order::type_info().encode_json(&value).unwrap()).unwrap();
        assert_eq!((read.note.as_deref(), read.large), (Some("fragile"), 5));
        for nothing in [json!(null), json!({})] {
            assert_eq!(Nothing::type_info().encode_json(&nothing).unwrap(), b"");
        }
    }

    #[test]
    fn a_pid_is_its_text() {
        let who = Who { pid: Pid { node: NodeId(0xab), index: 7, generation: 2 } };
        let bytes = Who::type_info().encode_json(&json!({ "pid": "<ab.7.2>" })).unwrap();
        assert_eq!(decode::<Who>(&bytes).unwrap(), who);
        let shown = Who::type_info().decode_json(&bytes).unwrap();
        assert_eq!(shown, json!({ "pid": "<00000000000000ab.7.2>" }));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        let cases = [
            (json!({ "id": 7 }), "kinds", "it is missing"),
            (json!({ "idd": 7 }), "", "there is no field `idd`: it has id, note"),
            (json!([]), "", "an object is wanted, not []"),
            (json!({ "id": -1 }), "id", "a u64 is wanted, not -1"),
            (
                json!({ "id": 1, "kinds": ["Plane"] }),
                "kinds.0",
                "no variant `Plane`: it has Plain, One",
            ),
            (
                json!({ "id": 1, "kinds": [{ "One": 256 }] }),
                "kinds.0.One",
                "a u8 is wanted, not 256",
            ),
            (
                json!({ "id": 1, "kinds": [{ "Pair": [1] }] }),
                "kinds.0.Pair",
                "2 values are wanted, not 1",
            ),
        ];
        for (value, path, reason) in cases {
            let error = Order::type_info().encode_json(&value).unwrap_err();
            assert_eq!(error.field_path, path, "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0_u8.., 0..256)) {
            if let Ok(value) = Order::type_info().decode_json(&bytes) {
                let again = Order::type_info().encode_json(&value).unwrap();
                let (read, twice) = (decode::<Order>(&bytes), decode::<Order>(&again));
                // NaN is unlike itself.
                let alike = format!("{read:?}") == format!("{twice:?}");
                proptest::prop_assert!(read.is_err() || alike);
            }
        }
    }
}
