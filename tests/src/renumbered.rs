//! Compiled-in code that says it is of another version: any number of versions without as many crates.

use std::sync::Arc;

use midflight_abi::Description;
use midflight_dsu::code::{Call, Code, CodeError, Instance};
use midflight_dsu::hash::CodeId;

/// `code`, its behaviours as of version `number`.
pub(crate) fn renumbered(code: Arc<dyn Code>, number: u32) -> Arc<dyn Code> {
    let mut description = code.description().clone();
    for behaviour in &mut description.behaviours {
        behaviour.code_version = number;
    }
    let id = CodeId::of(format!("{} as {number}", code.id()).as_bytes());
    Arc::new(Renumbered { code, description, id })
}

#[derive(Debug)]
struct Renumbered {
    code: Arc<dyn Code>,
    description: Description,
    id: CodeId,
}

impl Code for Renumbered {
    fn id(&self) -> CodeId {
        self.id
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn create(
        &self,
        behaviour: u32,
        start: &[u8],
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Box<dyn Instance>, CodeError> {
        self.code.create(behaviour, start, call, effects)
    }

    fn restore(
        &self,
        behaviour: u32,
        state_version: u32,
        state: &[u8],
    ) -> Result<Box<dyn Instance>, CodeError> {
        self.code.restore(behaviour, state_version, state)
    }
}
