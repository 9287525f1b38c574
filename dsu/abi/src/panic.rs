//! A panic of the author's code becomes a text with its place, and never crosses the border.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::host::{Host, Level};

thread_local! {
    // Plain cells, nothing with a destructor: a thread-local that has one ties the library to every
    // thread that ever ran a handler.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static CAUGHT: Cell<*mut String> = const { Cell::new(std::ptr::null_mut()) };
}

/// Replaces the panic hook of this library's std, once: panics inside a call are kept for the host
/// instead of printed; others go to the node's log and to the hook that was there.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if DEPTH.get() > 0 {
                keep(describe(info));
            } else {
                Host::NODE.log(Level::Error, &format!("panic outside a call: {}", describe(info)));
                before(info);
            }
        }));
    });
}

/// Runs `work`; a panic in it comes back as its text.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.set(DEPTH.get() + 1);
    // What `work` was doing is given up as a whole: the caller marks the instance as lost.
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    result.map_err(|payload| {
        let text = taken().unwrap_or_else(|| message(&*payload).to_owned());
        discard(payload);
        text
    })
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let text = message(info.payload());
    match info.location() {
        Some(at) => format!("{text} (at {}:{}:{})", at.file(), at.line(), at.column()),
        None => text.to_owned(),
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a panic without a text"
    }
}

fn keep(text: String) {
    drop(taken());
    CAUGHT.set(Box::into_raw(Box::new(text)));
}

fn taken() -> Option<String> {
    let kept = CAUGHT.replace(std::ptr::null_mut());
    if kept.is_null() {
        return None;
    }
    // SAFETY: only `keep` stores a pointer there, from a box, and the cell forgot it just now.
    Some(*unsafe { Box::from_raw(kept) })
}

/// Drops a payload whose destructor may panic in turn.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Enough: a leak is better than a third panic.
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_with_its_place() {
        install_hook();
        let text = catch(|| panic!("number {}", 7)).unwrap_err();
        assert!(text.starts_with("number 7 (at "), "{text}");
        assert!(text.contains("panic.rs"), "{text}");
        assert_eq!(catch(|| 5), Ok(5));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_does_no_harm() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("boom");
            }
        }
        install_hook();
        assert!(catch(|| std::panic::panic_any(Bomb)).is_err());
    }
}
