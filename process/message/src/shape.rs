//! The named parts of a schema: structs, enums and what is in them.
//!
//! `T` is how a part refers to another type: a function of a [`Descriptor`](crate::Descriptor) while
//! it comes from Rust code, a [`Type`](crate::Type) once it is part of a [`SchemaTree`](crate::SchemaTree).

/// A struct or enum, with the name it goes by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Definition<T> {
    /// The message's name, or the type's own name where it is no message.
    pub name: String,
    /// The author's version, where the type is a message.
    pub version: Option<u32>,
    /// What it is made of.
    pub body: Body<T>,
}

/// What a definition is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body<T> {
    /// A struct of any kind.
    Plain(Shape<T>),
    /// A struct marked `#[serde(transparent)]`: serde sees only what is inside.
    Transparent(T),
    /// What serde puts in the type's place, where the type may still refuse what is read
    /// (`#[serde(try_from = "…")]`).
    Checked(T),
    /// An enum; its variants are numbered from nought on the wire.
    Enum(Vec<Variant<T>>),
    /// The pid of a process that takes messages of one type.
    Reference {
        /// The message's name.
        name: String,
        /// The message's version.
        version: u32,
        /// What is on the wire.
        pid: T,
    },
}

/// The fields of a struct or of a variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shape<T> {
    /// None.
    Unit,
    /// One without a name; on the wire it is just that.
    Newtype(T),
    /// Several (or none) without names.
    Tuple(Vec<T>),
    /// Named fields.
    Struct {
        /// Whether the reader refuses fields it does not know (`#[serde(deny_unknown_fields)]`).
        closed: bool,
        /// The fields, as they follow each other on the wire.
        fields: Vec<Field<T>>,
    },
}

/// A named field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field<T> {
    /// The name serde knows it by.
    pub name: String,
    /// Its type.
    pub ty: T,
    /// Whether a reader fills it in where it is absent.
    pub default: bool,
    /// Other names under which a reader takes it, sorted.
    pub aliases: Vec<String>,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variant<T> {
    /// The name serde knows it by.
    pub name: String,
    /// Other names under which a reader takes it, sorted.
    pub aliases: Vec<String>,
    /// Its fields.
    pub shape: Shape<T>,
    /// Whether a reader takes it for every variant that it does not know (`#[serde(other)]`).
    pub other: bool,
}

impl<T> Field<T> {
    /// Whether a reader takes this name for the field.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

impl<T> Variant<T> {
    /// Whether a reader takes this name for the variant.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

impl<T> Body<T> {
    /// The same with every reference to a type replaced, in the order of the canonical text.
    pub(crate) fn try_map<U, E>(
        self,
        map: &mut impl FnMut(T) -> Result<U, E>,
    ) -> Result<Body<U>, E> {
        Ok(match self {
            Self::Plain(shape) => Body::Plain(shape.try_map(map)?),
            Self::Transparent(inner) => Body::Transparent(map(inner)?),
            Self::Checked(inner) => Body::Checked(map(inner)?),
            Self::Enum(variants) => {
                let map_one = |Variant { name, aliases, shape, other }| {
                    Ok(Variant { name, aliases, shape: shape.try_map(map)?, other })
                };
                Body::Enum(variants.into_iter().map(map_one).collect::<Result<_, E>>()?)
            }
            Self::Reference { name, version, pid } => {
                Body::Reference { name, version, pid: map(pid)? }
            }
        })
    }

    /// Every type this refers to, in the order of the canonical text.
    pub(crate) fn types(&self) -> Vec<&T> {
        match self {
            Self::Plain(shape) => shape.types(),
            Self::Transparent(inner)
            | Self::Checked(inner)
            | Self::Reference { pid: inner, .. } => {
                vec![inner]
            }
            Self::Enum(variants) => variants.iter().flat_map(|v| v.shape.types()).collect(),
        }
    }
}

impl<T> Shape<T> {
    fn try_map<U, E>(self, map: &mut impl FnMut(T) -> Result<U, E>) -> Result<Shape<U>, E> {
        Ok(match self {
            Self::Unit => Shape::Unit,
            Self::Newtype(inner) => Shape::Newtype(map(inner)?),
            Self::Tuple(items) => {
                Shape::Tuple(items.into_iter().map(map).collect::<Result<_, E>>()?)
            }
            Self::Struct { closed, fields } => {
                let map_one = |Field { name, ty, default, aliases }| {
                    Ok(Field { name, ty: map(ty)?, default, aliases })
                };
                let fields = fields.into_iter().map(map_one).collect::<Result<_, E>>()?;
                Shape::Struct { closed, fields }
            }
        })
    }

    pub(crate) fn types(&self) -> Vec<&T> {
        match self {
            Self::Unit => Vec::new(),
            Self::Newtype(inner) => vec![inner],
            Self::Tuple(items) => items.iter().collect(),
            Self::Struct { fields, .. } => fields.iter().map(|field| &field.ty).collect(),
        }
    }
}
