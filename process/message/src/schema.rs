//! The trait by which a type tells its structure.

use crate::Conversion;
use crate::descriptor::Descriptor;

/// A type whose structure on the wire is known.
///
/// Derive it: `#[derive(Schema)]` follows the type's fields and its serde attributes, and refuses
/// the attributes that it cannot follow. A hand-written implementation must describe exactly what
/// the type's `Serialize` writes.
///
/// ```
/// use midflight_message::{Schema, SchemaTree};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Schema)]
/// #[serde(rename_all = "camelCase")]
/// struct Line {
///     unit_price: u64,
///     #[serde(default, alias = "text")]
///     note: Option<String>,
/// }
///
/// let tree = SchemaTree::of::<Line>().unwrap();
/// assert_eq!(
///     tree.to_string(),
///     "#0\n#0 = Line: struct { unitPrice: u64, note: option<string> default alias text }\n"
/// );
/// ```
#[diagnostic::on_unimplemented(
    message = "the schema of `{Self}` is not known",
    label = "a part of a message needs a schema",
    note = "derive `Schema` for it (or `Message`, if it is sent on its own)"
)]
pub trait Schema: 'static {
    /// Describes the type, one level deep.
    fn descriptor() -> Descriptor;

    /// How values of other versions become values of this type. `#[message(from(…))]` fills it in.
    #[must_use]
    fn conversions() -> Vec<Conversion> {
        Vec::new()
    }
}
