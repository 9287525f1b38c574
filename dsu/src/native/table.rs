//! A table of functions, and the library that it lies in.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use midflight_abi::table::TableV1;

use crate::library::Mapping;

/// A table whose code is there for as long as this is.
#[derive(Clone)]
pub(crate) struct Table {
    table: NonNull<TableV1>,
    /// Keeps its library in memory; none where that stays by itself.
    mapping: Option<Arc<Mapping>>,
}

// SAFETY: a table is never written to, its functions may be called from any thread, and a mapping may be dropped on
// any.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    /// The table of what was compiled in.
    pub(crate) const fn compiled(table: &'static TableV1) -> Self {
        Self { table: NonNull::from_ref(table), mapping: None }
    }

    /// # Safety
    /// `table` is one, and stays so for as long as `mapping` is there, or for ever where there is none.
    pub(crate) unsafe fn of_library(table: *const TableV1, mapping: Option<Arc<Mapping>>) -> Self {
        // SAFETY: the caller promises a table, which has an address.
        let table = unsafe { NonNull::new_unchecked(table.cast_mut()) };
        Self { table, mapping }
    }

    /// Whether its library is unloaded once nobody uses it.
    pub(super) const fn comes_and_goes(&self) -> bool {
        self.mapping.is_some()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.table == other.table
    }
}

impl Deref for Table {
    type Target = TableV1;

    fn deref(&self) -> &TableV1 {
        // SAFETY: a table, by the promise to `of_library`; its library is there for as long as `self` is.
        unsafe { self.table.as_ref() }
    }
}
