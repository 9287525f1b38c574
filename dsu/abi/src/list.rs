//! The behaviours of one bundle, as a tuple of their types.

use crate::behaviour::Behaviour;
use crate::cell::{self, Cell};
use crate::description::BehaviourDescription;
use crate::error::Failure;
use crate::raw::CallInfo;
use crate::status::Status;
use crate::translate::{Asked, Reader, reader_of};

/// The behaviours of a bundle: a tuple of one to eight of them, counted from 0.
pub trait Behaviours: sealed::List {}

impl<L: sealed::List> Behaviours for L {}

pub(crate) mod sealed {
    use super::{Asked, BehaviourDescription, CallInfo, Cell, Failure, Reader};

    /// What the table's functions need of the list.
    pub trait List: 'static {
        #[doc(hidden)]
        fn describe() -> Result<Vec<BehaviourDescription>, Failure>;
        #[doc(hidden)]
        fn create(behaviour: u32, args: &[u8], info: &CallInfo, spare: Vec<u8>) -> Created;
        #[doc(hidden)]
        fn restore(behaviour: u32, state_version: u32, bytes: &[u8]) -> Restored;
        #[doc(hidden)]
        fn reader(asked: Asked) -> Result<Reader, Failure>;
    }

    pub(crate) type Created = Result<(Box<dyn Cell>, Vec<u8>), Failure>;
    pub(crate) type Restored = Result<Box<dyn Cell>, Failure>;
}

macro_rules! list {
    ($($index:literal $behaviour:ident),+) => {
        impl<$($behaviour: Behaviour),+> sealed::List for ($($behaviour,)+) {
            fn describe() -> Result<Vec<BehaviourDescription>, Failure> {
                Ok(vec![$(BehaviourDescription::of::<$behaviour>()?),+])
            }

            fn create(
                behaviour: u32,
                args: &[u8],
                info: &CallInfo,
                spare: Vec<u8>,
            ) -> sealed::Created {
                match behaviour {
                    $($index => cell::create::<$behaviour>(args, info, spare),)+
                    _ => Err(unknown(behaviour)),
                }
            }

            fn restore(behaviour: u32, state_version: u32, bytes: &[u8]) -> sealed::Restored {
                match behaviour {
                    $($index => cell::restore::<$behaviour>(state_version, bytes),)+
                    _ => Err(unknown(behaviour)),
                }
            }

            fn reader(Asked { behaviour, reader, index }: Asked) -> Result<Reader, Failure> {
                match behaviour {
                    $($index => reader_of::<$behaviour>(reader, index),)+
                    _ => Err(unknown(behaviour)),
                }
            }
        }
    };
}

list!(0 A);
list!(0 A, 1 B);
list!(0 A, 1 B, 2 C);
list!(0 A, 1 B, 2 C, 3 D);
list!(0 A, 1 B, 2 C, 3 D, 4 E);
list!(0 A, 1 B, 2 C, 3 D, 4 E, 5 F);
list!(0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G);
list!(0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H);

fn unknown(behaviour: u32) -> Failure {
    Failure::new(Status::UNKNOWN, format!("there is no behaviour of index {behaviour}"))
}
