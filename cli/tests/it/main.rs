//! The program from outside: what it prints and how it ends.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bad_input;
mod call;
mod canary;
mod certs;
mod cluster;
mod demo;
mod deploy;
mod hostile;
mod joining;
mod letters;
mod metrics;
mod mid_push;
mod new;
mod nodes;
mod releases;
mod relocate;
mod roles;
mod secrets;
mod shutdown;
mod signing;
mod tls;
mod tools;
mod top;
mod traces;
mod voters;
mod watch;
