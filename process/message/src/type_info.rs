//! All that is known of a message type, locally or from a peer.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use crate::builder;
use crate::descriptor::ConversionsFn;
use crate::limits::{MAX_NAME_BYTES, MAX_SCHEMA_BYTES};
use crate::tree::{SchemaError, SchemaTree};
use crate::{Conversion, Fingerprint, Message, Schema, ToldConversions};

/// The name, version, schema and fingerprint of a type.
///
/// However it was made, it holds together: the name is within bounds, the schema is canonical and
/// the fingerprint is the schema's. Clones share the schema.
#[derive(Clone)]
pub struct TypeInfo {
    name: Arc<str>,
    version: u32,
    fingerprint: Fingerprint,
    schema: Arc<str>,
    tree: Arc<SchemaTree>,
    conversions: Known,
}

/// What is known of the conversions to a type and to its parts.
#[derive(Clone, Default)]
enum Known {
    /// Nothing: someone else has sent the schema.
    #[default]
    Nothing,
    /// All of them, by the number of each named type.
    Functions(Arc<[ConversionsFn]>),
    /// What someone has told who has the functions, and which of the types there it is.
    Told(Arc<ToldConversions>, usize),
}

impl TypeInfo {
    /// The information of a message type. [`Message::type_info`] keeps it; call that.
    ///
    /// # Panics
    ///
    /// When the type breaks a bound, such as a schema above
    /// [`MAX_SCHEMA_BYTES`](crate::MAX_SCHEMA_BYTES): a mistake in the program that its first test finds.
    #[must_use]
    pub fn of<M: Message>() -> Self {
        match Self::of_schema::<M>(M::NAME, M::VERSION) {
            Ok(info) => info,
            Err(error) => panic!("the message type `{}` cannot be used: {error}", M::NAME),
        }
    }

    /// The information of a type that is no message itself, such as a behaviour's state.
    ///
    /// # Errors
    ///
    /// When the name or the schema breaks a bound.
    pub fn of_schema<S: Schema>(name: &str, version: u32) -> Result<Self, TypeInfoError> {
        let (tree, conversions) = builder::build(S::descriptor).map_err(TypeInfoError::Schema)?;
        Self::assemble(name, version, tree.to_string(), tree, Known::Functions(conversions.into()))
    }

    /// The information that someone else sent or stored.
    ///
    /// # Errors
    ///
    /// When the name or the schema breaks a bound, or the schema is not canonical.
    pub fn parse(name: &str, version: u32, schema: &str) -> Result<Self, TypeInfoError> {
        let tree = SchemaTree::parse(schema).map_err(TypeInfoError::Schema)?;
        Self::assemble(name, version, schema.to_owned(), tree, Known::Nothing)
    }

    fn assemble(
        name: &str,
        version: u32,
        schema: String,
        tree: SchemaTree,
        conversions: Known,
    ) -> Result<Self, TypeInfoError> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(TypeInfoError::Name);
        }
        Ok(Self {
            name: name.into(),
            version,
            fingerprint: Fingerprint::of_text(&schema),
            schema: schema.into(),
            tree: Arc::new(tree),
            conversions,
        })
    }

    /// What the type is called everywhere.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The author's version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The identity of the schema.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The canonical text of the schema.
    #[must_use]
    pub const fn schema(&self) -> &Arc<str> {
        &self.schema
    }

    /// The same, with what someone has told of the conversions to the type of that number among those told of.
    pub(crate) fn with_told(&self, told: Arc<ToldConversions>, number: usize) -> Self {
        Self { conversions: Known::Told(told, number), ..self.clone() }
    }

    /// The conversions to the named type of that number.
    pub(crate) fn conversions(&self, number: usize) -> Vec<Conversion> {
        match &self.conversions {
            Known::Nothing => Vec::new(),
            Known::Functions(functions) => {
                functions.get(number).map_or_else(Vec::new, |conversions| conversions())
            }
            Known::Told(told, of) => ToldConversions::conversions(told, *of, number),
        }
    }

    /// The schema.
    #[must_use]
    pub const fn tree(&self) -> &Arc<SchemaTree> {
        &self.tree
    }
}

impl PartialEq for TypeInfo {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.version, self.fingerprint)
            == (&other.name, other.version, other.fingerprint)
    }
}

impl Eq for TypeInfo {}

impl fmt::Display for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl fmt::Debug for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypeInfo({self}, {})", self.fingerprint)
    }
}

impl Serialize for TypeInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&*self.name, self.version, self.fingerprint, &*self.schema).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TypeInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The lengths are checked before the schema is parsed.
        let (name, version, fingerprint, schema) =
            <(String, u32, Fingerprint, String)>::deserialize(deserializer)?;
        if schema.len() > MAX_SCHEMA_BYTES {
            return Err(D::Error::custom(SchemaError::TooLarge));
        }
        let info = Self::parse(&name, version, &schema).map_err(D::Error::custom)?;
        if info.fingerprint == fingerprint {
            Ok(info)
        } else {
            Err(D::Error::custom(TypeInfoError::Fingerprint))
        }
    }
}

/// Why a type's information was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeInfoError {
    /// The name is empty, too long or has control characters.
    Name,
    /// The schema is bad.
    Schema(SchemaError),
    /// The fingerprint is not the schema's.
    Fingerprint,
}

impl fmt::Display for TypeInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => {
                write!(f, "a type's name has 1 to {MAX_NAME_BYTES} bytes and no control characters")
            }
            Self::Schema(error) => fmt::Display::fmt(error, f),
            Self::Fingerprint => f.write_str("the fingerprint is not the schema's"),
        }
    }
}

impl Error for TypeInfoError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Schema(error) => Some(error),
            Self::Name | Self::Fingerprint => None,
        }
    }
}
