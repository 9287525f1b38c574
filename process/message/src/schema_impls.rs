//! Schemas of the standard library's types, as serde writes them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::descriptor::Descriptor;
use crate::shape::{Body, Field, Shape, Variant};
use crate::{Fingerprint, Scalar, Schema};

macro_rules! scalars {
    ($($ty:ty => $scalar:ident),* $(,)?) => {$(
        impl Schema for $ty {
            fn descriptor() -> Descriptor {
                Descriptor::Scalar(Scalar::$scalar)
            }
        }
    )*};
}

scalars! {
    () => Unit, bool => Bool, char => Char, str => String, String => String,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64, i128 => I128, isize => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, u128 => U128, usize => U64,
    f32 => F32, f64 => F64,
}

impl<T: ?Sized + 'static> Schema for PhantomData<T> {
    fn descriptor() -> Descriptor {
        Descriptor::Scalar(Scalar::Unit)
    }
}

macro_rules! same_as_inside {
    ($($ty:ty),* $(,)?) => {$(
        impl<T: Schema + ?Sized> Schema for $ty {
            fn descriptor() -> Descriptor {
                T::descriptor()
            }
        }
    )*};
}

same_as_inside!(Box<T>, Rc<T>, Arc<T>);

impl<T: Schema + ToOwned + ?Sized> Schema for Cow<'static, T> {
    fn descriptor() -> Descriptor {
        T::descriptor()
    }
}

impl<T: Schema> Schema for Option<T> {
    fn descriptor() -> Descriptor {
        Descriptor::Option(T::descriptor)
    }
}

impl<T: Schema> Schema for [T] {
    fn descriptor() -> Descriptor {
        Descriptor::Seq(T::descriptor)
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn descriptor() -> Descriptor {
        Descriptor::Seq(T::descriptor)
    }
}

impl<T: Schema> Schema for VecDeque<T> {
    fn descriptor() -> Descriptor {
        Descriptor::Seq(T::descriptor)
    }
}

impl<T: Schema> Schema for BTreeSet<T> {
    fn descriptor() -> Descriptor {
        Descriptor::Set(T::descriptor)
    }
}

impl<T: Schema, S: 'static> Schema for HashSet<T, S> {
    fn descriptor() -> Descriptor {
        Descriptor::Set(T::descriptor)
    }
}

impl<K: Schema, V: Schema> Schema for BTreeMap<K, V> {
    fn descriptor() -> Descriptor {
        Descriptor::Map(K::descriptor, V::descriptor)
    }
}

impl<K: Schema, V: Schema, S: 'static> Schema for HashMap<K, V, S> {
    fn descriptor() -> Descriptor {
        Descriptor::Map(K::descriptor, V::descriptor)
    }
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    fn descriptor() -> Descriptor {
        Descriptor::Array(T::descriptor, N)
    }
}

macro_rules! tuples {
    ($(($($name:ident),+))*) => {$(
        impl<$($name: Schema),+> Schema for ($($name,)+) {
            fn descriptor() -> Descriptor {
                Descriptor::Tuple(vec![$($name::descriptor),+])
            }
        }
    )*};
}

tuples! {
    (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F)
    (A, B, C, D, E, F, G) (A, B, C, D, E, F, G, H)
}

impl<T: Schema, E: Schema> Schema for Result<T, E> {
    fn descriptor() -> Descriptor {
        let variants = vec![
            Variant::new("Ok", &[], Shape::Newtype(T::descriptor)),
            Variant::new("Err", &[], Shape::Newtype(E::descriptor)),
        ];
        Descriptor::named::<Self>("Result", None, Body::Enum(variants))
    }
}

impl Schema for Duration {
    fn descriptor() -> Descriptor {
        let fields =
            vec![Field::new::<u64>("secs", false, &[]), Field::new::<u32>("nanos", false, &[])];
        let shape = Shape::Struct { closed: true, fields };
        Descriptor::named::<Self>("Duration", None, Body::Plain(shape))
    }
}

impl Schema for SystemTime {
    fn descriptor() -> Descriptor {
        let fields = vec![
            Field::new::<u64>("secs_since_epoch", false, &[]),
            Field::new::<u32>("nanos_since_epoch", false, &[]),
        ];
        let shape = Shape::Struct { closed: true, fields };
        Descriptor::named::<Self>("SystemTime", None, Body::Plain(shape))
    }
}

impl Schema for Fingerprint {
    fn descriptor() -> Descriptor {
        Descriptor::Array(u8::descriptor, 16)
    }
}
