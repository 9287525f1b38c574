//! The promises of `midflight-message`, from outside.

mod codec;
mod golden;
mod hostile;
mod pairs;
mod pairs_enums;
mod sensitivity;
mod serde_rules;
