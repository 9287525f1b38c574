//! Bytes that a message has by reference.
//!
//! serde hands bytes on as a slice. So that nobody has to copy them, who has them lends them to the thread
//! meanwhile: an encoder finds the owner of a slice it is given, and a value that is decoded the owner of the slice it
//! is made of. A slice is known by where it lies, so whoever else is in between gets the bytes as ever.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::Schema;
use crate::descriptor::Descriptor;

/// Bytes from which on a [`Binary`] goes by reference. What is shorter is copied: that costs less.
pub const REFERENCE_MIN: usize = 16 * 1_024;

/// The bytes reserved on a peer's word that so many follow one by one.
const RESERVED_MAX: usize = 4_096;

/// Bytes that are shared, not copied, when they are cloned, when the message that has them is sent to another node,
/// and when it is received there. On the wire and in a schema they are a `Vec<u8>`, and either is read as the other;
/// but serde goes through a `Vec<u8>` byte by byte.
///
/// Of a message that was received it keeps the whole for as long as it is there. What is less than a quarter of its
/// message is copied, so that this is at the most four times as much as it is long.
///
/// ```
/// use midflight_message::{Binary, Message, decode, encode};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Message)]
/// struct Picture {
///     name: String,
///     pixels: Binary,
/// }
///
/// let picture = Picture { name: "sky".into(), pixels: vec![7; 1 << 20].into() };
/// let mut bytes = Vec::new();
/// encode(&picture, &mut bytes).unwrap();
/// assert_eq!(decode::<Picture>(&bytes).unwrap().pixels, picture.pixels);
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binary(Bytes);

thread_local! {
    /// What is being serialised.
    static LENT: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
    /// What is being decoded.
    static SOURCE: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
}

/// The owner of `slice`, if it is what is being serialised on this thread.
pub(crate) fn lent(slice: &[u8]) -> Option<Bytes> {
    LENT.with_borrow(|lent| std::ptr::eq(&**lent, slice).then(|| lent.clone()))
}

/// Runs `decode`, which reads from `source`: what it makes of a part of it may keep that part by reference.
pub fn decoding<T>(source: &Bytes, decode: impl FnOnce() -> T) -> T {
    let _lent = Lent::new(source);
    decode()
}

/// What was lent before is lent again afterwards, also by who panics.
struct Lent(Bytes);

impl Lent {
    fn new(source: &Bytes) -> Self {
        Self(SOURCE.replace(source.clone()))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        SOURCE.set(std::mem::take(&mut self.0));
    }
}

impl Binary {
    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The bytes of a slice that was decoded, by reference where they are long and its owner is known.
    fn of(slice: &[u8]) -> Self {
        let shared = SOURCE.with_borrow(|source| {
            let at = slice.as_ptr().addr().checked_sub(source.as_ptr().addr())?;
            let is_within = at.checked_add(slice.len())? <= source.len();
            let is_most = slice.len() >= REFERENCE_MIN.max(source.len() / 4);
            (is_within && is_most).then(|| source.slice(at..at + slice.len()))
        });
        Self(shared.unwrap_or_else(|| Bytes::copy_from_slice(slice)))
    }
}

impl Schema for Binary {
    fn descriptor() -> Descriptor {
        Vec::<u8>::descriptor()
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.len() < REFERENCE_MIN {
            return serializer.serialize_bytes(self);
        }
        LENT.set(self.0.clone());
        let done = serializer.serialize_bytes(self);
        LENT.take();
        done
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Read)
    }
}

/// Takes bytes, and a list of them.
struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(Binary::of(bytes))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Binary, E> {
        Ok(bytes.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Binary, A::Error> {
        let reserved = list.size_hint().unwrap_or_default().min(RESERVED_MAX);
        let mut bytes = Vec::with_capacity(reserved);
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Binary> for Bytes {
    fn from(binary: Binary) -> Self {
        binary.0
    }
}

impl From<&'static [u8]> for Binary {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Bytes::from_static(bytes))
    }
}

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binary({} bytes)", self.len())
    }
}
