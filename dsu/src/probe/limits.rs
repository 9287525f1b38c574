//! The limits a probing child puts on itself before it loads anything.

use rustix::process::{Resource, Rlimit, setrlimit};

const MEMORY_BYTES_MAX: u64 = 1 << 30;
const PROCESSOR_SECONDS_MAX: u64 = 5;
const OPEN_FILES_MAX: u64 = 64;

/// Bounds memory, processor time and open files, and leaves no core file.
pub(super) fn set() -> std::io::Result<()> {
    for (resource, max) in [
        (Resource::As, MEMORY_BYTES_MAX),
        (Resource::Cpu, PROCESSOR_SECONDS_MAX),
        (Resource::Nofile, OPEN_FILES_MAX),
        (Resource::Core, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(max), maximum: Some(max) })?;
    }
    Ok(())
}
