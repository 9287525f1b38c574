//! Finding the table in an ELF file.

use midflight_abi::table::SYMBOL;
use object::{Architecture, BinaryFormat, Object, ObjectKind, ObjectSegment, ObjectSymbol};

use super::CheckError;

/// Where in the file the table lies. Checks on the way that the file is a shared library for
/// `target` and is all there.
pub(crate) fn table_offset(library: &[u8], target: &str) -> Result<u64, CheckError> {
    let not = |why: String| CheckError::NotALibrary { why };
    let file = object::File::parse(library).map_err(|e| not(e.to_string()))?;
    check_target(&file, target)?;
    if file.kind() != ObjectKind::Dynamic {
        return Err(not(format!("it is a file of kind {:?}", file.kind())));
    }
    let size = library.len() as u64;
    for segment in file.segments() {
        let (start, len) = segment.file_range();
        let needed = start.saturating_add(len);
        if needed > size {
            return Err(CheckError::Truncated { size, needed });
        }
    }
    let mut symbols = file.dynamic_symbols();
    let symbol = symbols
        .find(|symbol| symbol.is_definition() && symbol.name_bytes() == Ok(SYMBOL.as_bytes()))
        .ok_or(CheckError::MissingSymbol)?;
    let address = symbol.address();
    for segment in file.segments() {
        let (start, len) = segment.file_range();
        let within = address.checked_sub(segment.address()).filter(|within| *within < len);
        if let Some(within) = within {
            return Ok(start.saturating_add(within));
        }
    }
    Err(not(format!("its symbol `{SYMBOL}` points outside of the file")))
}

/// How many bytes of the address space a library takes, that has been checked.
pub(crate) fn mapped_size(library: &[u8]) -> u64 {
    let Ok(file) = object::File::parse(library) else { return 0 };
    file.segments()
        .map(|segment| segment.address().saturating_add(segment.size()))
        .max()
        .unwrap_or(0)
}

fn check_target(file: &object::File<'_>, target: &str) -> Result<(), CheckError> {
    let ours = target.split('-').next().unwrap_or_default();
    let expected = match ours {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        "riscv64gc" => Architecture::Riscv64,
        _ => Architecture::Unknown,
    };
    let right = file.format() == BinaryFormat::Elf
        && file.architecture() == expected
        && file.is_64()
        && file.is_little_endian();
    if right {
        return Ok(());
    }
    let endian = if file.is_little_endian() { "" } else { " big-endian" };
    let theirs = format!("{:?} {:?}{endian}", file.format(), file.architecture());
    Err(CheckError::WrongTarget { ours: target.to_owned(), theirs })
}
