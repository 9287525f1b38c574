//! The promises of `midflight-message`, from outside.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod binary;
mod by_hand;
mod chains;
mod codec;
mod golden;
mod hostile;
mod pairs;
mod pairs_enums;
mod pairs_parts;
mod sensitivity;
mod serde_rules;
mod tidy;
