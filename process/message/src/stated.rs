//! A field whose form its author states: `#[schema(as = "…")]`.

use std::marker::PhantomData;

use crate::Schema;
use crate::descriptor::Descriptor;
use crate::shape::{Body, Shape};

/// What functions that serde was given write and read, instead of what the field's type would. They may
/// refuse a value; and an absent one is refused, even if it is optional, for serde then asks nobody.
#[doc(hidden)]
#[derive(Debug)]
pub struct Stated<T>(PhantomData<fn() -> T>);

struct Checked<T>(PhantomData<fn() -> T>);

const NAME: &str = "stated";

impl<T: Schema> Schema for Stated<T> {
    fn descriptor() -> Descriptor {
        let body = Body::Plain(Shape::Newtype(Checked::<T>::descriptor as _));
        Descriptor::named::<Self>(NAME, None, body)
    }
}

impl<T: Schema> Schema for Checked<T> {
    fn descriptor() -> Descriptor {
        Descriptor::named::<Self>(NAME, None, Body::Checked(T::descriptor as _))
    }
}
