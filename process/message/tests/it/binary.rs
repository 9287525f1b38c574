//! Bytes that a message has by reference.

use bytes::Bytes;
use midflight_message::{
    Binary, Encoding, Message, REFERENCE_MIN, Resolution, decode, decode_resolved, decoding,
    encode, resolve,
};
use serde::{Deserialize, Serialize, Serializer};

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[message(name = "test.Picture", version = 1)]
struct Picture {
    name: String,
    pixels: Binary,
    width: u32,
}

mod plain {
    use super::*;

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "test.Picture", version = 1)]
    pub(super) struct Picture {
        pub(super) name: String,
        pub(super) pixels: Vec<u8>,
        pub(super) width: u32,
    }
}

mod later {
    use super::*;

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "test.Picture", version = 1)]
    pub(super) struct Picture {
        #[serde(default)]
        pub(super) height: u32,
        pub(super) pixels: Binary,
    }
}

fn picture(len: usize) -> Picture {
    Picture { name: "sky".into(), pixels: vec![7; len].into(), width: 300 }
}

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).unwrap();
    bytes
}

/// All of it, put together.
fn whole(mut encoding: Encoding) -> Vec<u8> {
    let (mut all, mut at, parts) = (Vec::new(), 0, encoding.take_parts());
    let buffer = encoding.into_buffer();
    for (place, part) in parts {
        all.extend_from_slice(&buffer[at..place]);
        all.extend_from_slice(&part);
        at = place;
    }
    all.extend_from_slice(&buffer[at..]);
    all
}

fn lies_in(part: &[u8], whole: &[u8]) -> bool {
    whole.as_ptr_range().contains(&part.as_ptr())
}

#[test]
fn it_is_a_vector_to_everybody_else() {
    for len in [0, 1, 127, 128, REFERENCE_MIN - 1, REFERENCE_MIN, 1 << 20] {
        let ours = picture(len);
        let theirs = plain::Picture { name: "sky".into(), pixels: vec![7; len], width: 300 };
        assert_eq!(Picture::type_info().fingerprint(), plain::Picture::type_info().fingerprint());
        let bytes = encoded(&ours);
        assert_eq!(bytes, encoded(&theirs));
        assert_eq!(decode::<Picture>(&bytes).unwrap(), ours);
        assert_eq!(decode::<plain::Picture>(&bytes).unwrap(), theirs);
        let mut encoding = Encoding::new(b"head".to_vec());
        encoding.encode(&ours).unwrap();
        assert_eq!(encoding.len(), 4 + bytes.len());
        assert_eq!(whole(encoding), [b"head", &bytes[..]].concat());
    }
    let json = serde_json::to_string(&picture(3)).unwrap();
    assert_eq!(json, r#"{"name":"sky","pixels":[7,7,7],"width":300}"#);
    assert_eq!(serde_json::from_str::<Picture>(&json).unwrap(), picture(3));
}

#[test]
fn what_is_long_is_not_copied_when_it_is_encoded() {
    for (len, is_shared) in [(REFERENCE_MIN - 1, false), (REFERENCE_MIN, true)] {
        let message = picture(len);
        let mut encoding = Encoding::default();
        encoding.encode(&message).unwrap();
        let parts = encoding.take_parts();
        assert_eq!(parts.len(), usize::from(is_shared));
        assert!(parts.iter().all(|(_, part)| std::ptr::eq(&**part, &*message.pixels)));
    }
}

#[test]
fn what_is_long_is_not_copied_when_it_is_decoded() {
    let read = |bytes: &Bytes| decoding(bytes, || decode::<Picture>(bytes)).unwrap();
    let source = Bytes::from(encoded(&picture(REFERENCE_MIN)));
    let message = read(&source);
    assert_eq!(message, picture(REFERENCE_MIN));
    assert!(lies_in(&message.pixels, &source));
    let short = Bytes::from(encoded(&picture(REFERENCE_MIN - 1)));
    assert!(!lies_in(&read(&short).pixels, &short));
    // A small part does not keep a large message.
    let name = "x".repeat(4 * REFERENCE_MIN);
    let large = Bytes::from(encoded(&Picture { name, ..picture(REFERENCE_MIN) }));
    assert!(!lies_in(&read(&large).pixels, &large));
    // Of another source than is said, and of none.
    let message = decoding(&short, || decode::<Picture>(&source)).unwrap();
    assert!(!lies_in(&message.pixels, &source));
    assert!(!lies_in(&decode::<Picture>(&source).unwrap().pixels, &source));
    // Within another, and after somebody has panicked.
    let (inner, outer) = decoding(&source, || {
        let panics = || decoding(&short, || panic!("while it decodes"));
        std::panic::catch_unwind(panics).unwrap_err();
        (read(&short), decode::<Picture>(&source).unwrap())
    });
    assert!(!lies_in(&inner.pixels, &short) && lies_in(&outer.pixels, &source));
}

#[test]
fn it_is_read_by_the_writers_schema_as_well() {
    let source = Bytes::from(encoded(&picture(REFERENCE_MIN)));
    let how = resolve(Picture::type_info(), later::Picture::type_info());
    assert!(matches!(how, Resolution::Structural(_)), "{how:?}");
    let read = decoding(&source, || decode_resolved::<later::Picture>(&source, &how)).unwrap();
    assert_eq!(read, later::Picture { height: 0, pixels: vec![7; REFERENCE_MIN].into() });
    assert!(lies_in(&read.pixels, &source));
}

/// Has its own encoding in it as one part, and may refuse to be encoded.
#[derive(Deserialize, Message, PartialEq, Debug)]
#[message(name = "test.Wrapped", version = 1)]
struct Wrapped {
    before: Binary,
    inside: Vec<u8>,
}

impl Serialize for Wrapped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.inside.is_empty() {
            return (&self.before, Refuses).serialize(serializer);
        }
        // Another message is encoded meanwhile.
        (&self.before, encoded(&picture(REFERENCE_MIN))).serialize(serializer)
    }
}

struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[test]
fn what_is_encoded_within_it_is_apart() {
    let inside = encoded(&picture(REFERENCE_MIN));
    let message = Wrapped { before: vec![1; REFERENCE_MIN].into(), inside };
    let mut encoding = Encoding::default();
    encoding.encode(&message).unwrap();
    assert_eq!(decode::<Wrapped>(&whole(encoding)).unwrap(), message);
}

#[test]
fn one_that_fails_leaves_nothing() {
    let mut encoding = Encoding::default();
    encoding.encode(&picture(REFERENCE_MIN)).unwrap();
    let len = encoding.len();
    let refused = Wrapped { before: vec![1; REFERENCE_MIN].into(), inside: Vec::new() };
    encoding.encode(&refused).unwrap_err();
    assert_eq!((encoding.len(), encoding.take_parts().len()), (len, 1));
}

/// What may nest is walked once more when it is encoded.
#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
struct Chain(Binary, Option<Box<Chain>>);

#[test]
fn a_value_that_may_nest_is_encoded_as_a_whole() {
    let message = Chain(vec![1; REFERENCE_MIN].into(), Some(Chain(Binary::default(), None).into()));
    let mut encoding = Encoding::default();
    encoding.encode(&message).unwrap();
    assert!(encoding.take_parts().is_empty());
    assert_eq!(decode::<Chain>(&encoding.into_buffer()).unwrap(), message);
}
