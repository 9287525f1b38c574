//! The cases of `tests/it` once more, over real sockets in real time: bare TCP and TLS on the
//! loopback. Only what must have the simulator, for its faults, its clock or its seeds, is left out.
#![expect(clippy::unwrap_used, reason = "a test may")]
#![expect(clippy::duplicate_mod, reason = "the same cases, on each transport")]
#![allow(dead_code, unused_imports, reason = "helpers of the cases that are left out")]

/// Cases that only the simulator can run.
macro_rules! simulated {
    ($($item:item)*) => {};
}

mod loopback;
mod tcp;
mod tls;
