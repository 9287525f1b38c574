//! The bounds that keep hostile schemas and hostile bytes cheap.

/// The longest name of a message type, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// The longest canonical schema text, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// The most named types (structs and enums) in one schema.
pub const MAX_DEFINITIONS: usize = 2048;

/// How deep unnamed types may nest in a schema, as in `option<seq<tuple(…)>>`.
pub const MAX_TYPE_DEPTH: usize = 32;

/// How deep a value may nest, counting every struct, enum, option, list, map and tuple on the way, and
/// every conversion that is run.
///
/// Encoding refuses deeper values of recursive types, so that no reader's stack is at risk.
pub const MAX_VALUE_DEPTH: usize = 256;

/// How many values a message may hold beyond [`VALUES_PER_BYTE`] of its size.
///
/// It bounds what takes no bytes at all, such as the elements of a `Vec<()>`: nothing that follows
/// their number could prove it wrong.
pub const MAX_FREE_VALUES: u64 = 131_072;

/// How many values, parts included, each byte of a message may stand for.
pub const VALUES_PER_BYTE: u64 = 64;
