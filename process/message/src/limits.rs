//! The bounds that keep hostile schemas and hostile bytes cheap.

/// The longest name of a message type, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// The longest canonical schema text, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// The most named types (structs and enums) in one schema.
pub const MAX_DEFINITIONS: usize = 2048;

/// How deep unnamed types may nest in a schema, as in `option<seq<tuple(…)>>`.
pub const MAX_TYPE_DEPTH: usize = 32;

/// How deep a value may nest, counting every struct, enum, option, list, map and tuple on the way.
///
/// Encoding refuses deeper values of recursive types, so that no reader's stack is at risk.
pub const MAX_VALUE_DEPTH: usize = 256;

/// The longest list whose elements take no bytes at all, such as `Vec<()>`.
///
/// Nothing else bounds such a list: its length is not checked by the bytes that follow.
pub const MAX_WIDTHLESS_ELEMENTS: u64 = 65_536;
