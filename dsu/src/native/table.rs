//! A table of functions, and the library that it lies in.

use std::ops::Deref;
use std::sync::Arc;

use midflight_abi::table::TableV1;

use crate::library::Mapping;

/// A table whose code is there for as long as this is.
#[derive(Clone)]
pub(crate) enum Table {
    Compiled(&'static TableV1),
    Library(Arc<OfLibrary>),
}

/// A library's table, as this program reads it: the library's own may be shorter.
pub(crate) struct OfLibrary {
    table: TableV1,
    /// Keeps the library in memory; none where that stays by itself.
    mapping: Option<Arc<Mapping>>,
}

impl Table {
    /// The table of what was compiled in.
    pub(crate) const fn compiled(table: &'static TableV1) -> Self {
        Self::Compiled(table)
    }

    /// # Safety
    /// `table` is one, of at least its minor's size, and its code is there for as long as `mapping` is, or for ever
    /// where there is none.
    pub(crate) unsafe fn of_library(table: *const TableV1, mapping: Option<Arc<Mapping>>) -> Self {
        // SAFETY: the caller promises a table.
        let table = unsafe { TableV1::read(table) };
        Self::Library(Arc::new(OfLibrary { table, mapping }))
    }

    /// Whether its library is unloaded once nobody uses it.
    pub(super) fn comes_and_goes(&self) -> bool {
        matches!(self, Self::Library(library) if library.mapping.is_some())
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(&raw const **self, &raw const **other)
    }
}

impl Deref for Table {
    type Target = TableV1;

    fn deref(&self) -> &TableV1 {
        match self {
            Self::Compiled(table) => table,
            Self::Library(library) => &library.table,
        }
    }
}
