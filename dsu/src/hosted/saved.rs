//! The state of a process, as others than its own code see it.

use midflight_message::TypeInfo;

use super::Hosted;
use crate::code::CodeError;

/// A state that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState {
    /// What it was saved as.
    pub form: TypeInfo,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Hosted {
    /// The state in its own version: the copy that a conversion works on.
    ///
    /// # Errors
    /// [`CodeError`].
    pub fn save(&self) -> Result<SavedState, CodeError> {
        let form = self.description().state.clone();
        let bytes = self.instance.save(form.version())?;
        Ok(SavedState { form, bytes })
    }

    /// The state in another version of it, which its code must be able to save.
    ///
    /// # Errors
    /// [`CodeError`].
    pub(crate) fn save_as(&self, version: u32) -> Result<SavedState, CodeError> {
        let description = self.description();
        let form = description.saves(version).unwrap_or(&description.state).clone();
        let bytes = self.instance.save(form.version())?;
        Ok(SavedState { form, bytes })
    }

    /// How many bytes the saved state would take.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.instance.size()
    }
}
