//! Running what users have written where nobody of theirs is on the stack, such as the destructor of a
//! message that nobody received: one that panics must end no runner, and keep no other value from being
//! dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::scheduler::runner::panic_text;

/// Runs `work`; a panic in it is logged, and goes no further.
pub(crate) fn contain(work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        let text = panic_text(&*panic);
        tracing::error!(panic = text, "what a user has written panicked outside its process");
    }
}

/// Drops a user's value. Many are dropped one by one: of two destructors of a row that panic, the second
/// would end the program.
pub(crate) fn discard<T>(value: T) {
    contain(|| drop(value));
}
