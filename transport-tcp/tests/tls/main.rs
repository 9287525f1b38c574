//! T11: both sides prove who they are, by what is valid at that moment, and nobody else listens.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../shared/certificates.rs"]
mod certificates;
#[path = "../shared/raw_tls.rs"]
mod raw_tls;
#[path = "../shared/relay.rs"]
mod relay;
#[path = "../shared/speech.rs"]
mod speech;

mod identity;
mod net;
mod refusals;
mod rotation;
mod sessions;
mod wire;
