//! Trying to unload a library, in a child process: whether this machine can, and this library.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::{load, mapped};
use crate::native::NativeCode;
use crate::store::StoredLibrary;

/// How often it is loaded and unloaded.
const ROUNDS: u32 = 8;

/// Code that another thread is to run, and whom to tell that it has.
type Errand = (Arc<NativeCode>, SyncSender<Result<(), String>>);

/// Loads, runs and unloads a library again and again, and looks each time whether it has gone. Another thread runs it
/// too, in some rounds, and ends after it has gone for the last time: what it has of the library then would end this
/// program, as would thread-locals that the system's loader mixes up when their place is used again.
pub(crate) fn try_unloading(library: &StoredLibrary) -> Result<(), String> {
    let (ask, asked) = sync_channel::<Errand>(1);
    #[expect(clippy::disallowed_methods, reason = "a probe's child has no runtime")]
    let other = std::thread::spawn(move || {
        for (code, tell) in asked {
            let tested = code.test().map_err(|error| error.to_string());
            drop(code);
            // It is waited for.
            let _ = tell.send(tested);
        }
    });
    for round in 0..ROUNDS {
        let code = Arc::new(load(library, None).map_err(|error| error.to_string())?);
        code.test().map_err(|error| error.to_string())?;
        if round % 2 == 1 {
            let (tell, told) = sync_channel(1);
            let gone = |_| String::from("the other thread has ended");
            ask.send((code.clone(), tell)).map_err(|e| gone(e.to_string()))?;
            told.recv().map_err(|e| gone(e.to_string()))??;
        }
        drop(code);
        if !mapped().is_empty() {
            return Err(format!("it is still in memory after it was closed, in round {round}"));
        }
    }
    drop(ask);
    other.join().map_err(|_panic| String::from("the other thread has panicked"))
}
