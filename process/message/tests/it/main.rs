//! The promises of `midflight-message`, from outside.
#![expect(missing_docs, reason = "a test program")]

mod codec;
mod golden;
mod hostile;
mod pairs;
mod pairs_enums;
mod sensitivity;
mod serde_rules;
