//! Code that was compiled in: the same behaviours as a bundle's, linked like any crate.

use std::sync::Arc;

use midflight_abi::Behaviours;
use midflight_abi::table::TableV1;

use crate::code::{Code, CodeError};
use crate::hash::CodeId;
use crate::native::{NativeCode, Table};

/// The behaviours of `L`, a tuple such as `(counter_v1::Counter,)`, as code.
///
/// Its id is made of its description, since there is no file to hash. From here on the program's
/// panic hook keeps panics of handlers to itself (the host gets them as errors) and passes all
/// others to the hook that was there.
///
/// # Errors
/// [`CodeError`] when the list does not pass its own test, such as a name that is there twice.
pub fn compiled<L: Behaviours>() -> Result<Arc<dyn Code>, CodeError> {
    let table: &'static TableV1 = const { &TableV1::of::<L>() };
    let table = Table::compiled(table);
    let id = |description: &midflight_abi::Description| {
        CodeId::of(format!("compiled in\0{description:?}").as_bytes())
    };
    // SAFETY: the table is made by `TableV1::of` in this very program, which is never unloaded.
    Ok(Arc::new(unsafe { NativeCode::install(id, table) }?))
}
