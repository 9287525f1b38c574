//! A message that waits for its writer's schema. It stays before all that came after it.

use bytes::Bytes;
use midflight_process::{Caller, Origin, TypeNo, View};

#[derive(Debug)]
pub(super) struct Held {
    pub(super) from: Origin,
    pub(super) caller: Option<Caller>,
    ty: TypeNo,
    bytes: Bytes,
}

impl Held {
    pub(super) fn new(from: Origin, ty: TypeNo, bytes: &[u8], caller: Option<Caller>) -> Self {
        Self { from, caller, ty, bytes: Bytes::copy_from_slice(bytes) }
    }

    pub(super) fn view(&self) -> View<'static> {
        View::Large(self.ty, self.bytes.clone())
    }
}
