//! Clauses for messages of any type.

use super::{Clause, Taken, Wanted};
use crate::context::Context;
use crate::mailbox::envelope::Subject;
use crate::node::inner::Inner;
use crate::receive::any::AnyMessage;
use crate::receive::letter::Letter;
use crate::types::TypeNo;

/// A clause for messages of any type that a predicate wants.
pub struct OnAny<P, F> {
    pub(in crate::receive) predicate: P,
    pub(in crate::receive) then: F,
}

/// A clause for messages of any type, as soon as they can be read.
pub(crate) struct OnDecided<P, F> {
    pub(in crate::receive) undecided: P,
    pub(in crate::receive) then: F,
}

impl<P, F> std::fmt::Debug for OnAny<P, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnAny")
    }
}

impl<P, F> std::fmt::Debug for OnDecided<P, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnDecided")
    }
}

impl<T, P: FnMut(&mut AnyMessage) -> bool, F: FnMut(AnyMessage) -> T> Clause<T> for OnAny<P, F> {
    const LOOKS: bool = true;

    fn may_take(&self, _: &Inner, _: Subject<'_>) -> bool {
        true
    }

    fn wanted(&self) -> Option<Wanted> {
        Some(Wanted::Any)
    }

    fn take(&mut self, context: &Context, letter: Letter) -> Taken<T> {
        let mut message = AnyMessage::new(context, letter);
        if (self.predicate)(&mut message) {
            return Taken::Received((self.then)(message));
        }
        Taken::Passed(message.into_letter())
    }
}

impl<T, P, F> Clause<T> for OnDecided<P, F>
where
    P: FnMut(&AnyMessage) -> Option<TypeNo>,
    F: FnMut(AnyMessage) -> T,
{
    const LOOKS: bool = true;

    fn may_take(&self, _: &Inner, _: Subject<'_>) -> bool {
        true
    }

    fn wanted(&self) -> Option<Wanted> {
        Some(Wanted::Any)
    }

    fn take(&mut self, context: &Context, letter: Letter) -> Taken<T> {
        let message = AnyMessage::new(context, letter);
        match (self.undecided)(&message) {
            Some(ty) => Taken::Undecided(message.into_letter(), ty, None),
            None => Taken::Received((self.then)(message)),
        }
    }
}
