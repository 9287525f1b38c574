//! A moved message: the value itself, with its encoder.

use std::any::Any;
use std::fmt;

use midflight_message::{EncodeError, Encoding, Message, TypeInfo, encode};

/// A message that has not been encoded. Between processes of one code image it is moved as it is;
/// it is encoded only when it leaves the image.
pub trait Value: Any + Send {
    /// The type's name, version and schema.
    fn type_info(&self) -> &'static TypeInfo;

    /// Appends the encoded message.
    ///
    /// # Errors
    /// When the value's own `Serialize` refuses.
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// As [`encode`](Self::encode); what is long goes by reference where it can.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    fn encode_shared(&self, into: &mut Encoding) -> Result<(), EncodeError>;

    /// The port it is for, when it is for one.
    fn port(&self) -> Option<u32> {
        None
    }
}

/// Whether the value is an `M`.
#[inline]
pub(crate) fn is<M: Any>(value: &dyn Value) -> bool {
    let value: &dyn Any = value;
    value.is::<M>()
}

/// The value as an `M`, if it is one; else it is given back.
#[inline]
pub(crate) fn downcast<M: Any>(value: Box<dyn Value>) -> Result<Box<M>, Box<dyn Value>> {
    if !is::<M>(&*value) {
        return Err(value);
    }
    let any: Box<dyn Any> = value;
    match any.downcast() {
        Ok(message) => Ok(message),
        Err(_) => unreachable!("its type has just been asked for"),
    }
}

impl<M: Message> Value for M {
    fn type_info(&self) -> &'static TypeInfo {
        M::type_info()
    }

    fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, into)
    }

    fn encode_shared(&self, into: &mut Encoding) -> Result<(), EncodeError> {
        into.encode(self)
    }
}

/// A value on its way to a port.
pub(crate) struct Ported<M> {
    pub(crate) port: u32,
    pub(crate) value: M,
}

impl<M: Message> Value for Ported<M> {
    fn type_info(&self) -> &'static TypeInfo {
        M::type_info()
    }

    fn encode(&self, into: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(&self.value, into)
    }

    fn encode_shared(&self, into: &mut Encoding) -> Result<(), EncodeError> {
        into.encode(&self.value)
    }

    fn port(&self) -> Option<u32> {
        Some(self.port)
    }
}

impl fmt::Debug for dyn Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.type_info().name())
    }
}
