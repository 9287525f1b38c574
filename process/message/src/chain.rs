//! Where conversions apply: found once, when two types are compared, and looked up while decoding.
//!
//! A chain begins where a writer's named type and a reader's are of one name and two versions. The
//! writer's value is read as the old Rust type from which the chain starts. That type may have parts
//! of which the same is true, and may even contain the reader's type again. So the chains of a plan
//! form a graph, and are kept in a table by the place where each begins.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::TypeInfo;
use crate::conversion::Conversion;
use crate::resolve_parts::Parts;
use crate::shape::{Body, Definition, Field, Shape, Variant};
use crate::tree::{SchemaTree, Type};

/// Where a chain begins: the writer's named type, whose tree the reader's side is, and the named
/// type in it.
pub(crate) type Place = (usize, usize, usize);

/// Every chain of a plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chains {
    /// The types that are read: the reader's first, then the old ones at which chains start.
    readers: Vec<TypeInfo>,
    at: BTreeMap<Place, Chain>,
}

/// Steps from an old type to one of the reader's.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) steps: Vec<Conversion>,
    /// Which of the readers the first step takes.
    pub(crate) reader: usize,
}

impl Chain {
    /// The first step and the last; there is one at the least.
    pub(crate) fn ends(&self) -> (&Conversion, &Conversion) {
        (&self.steps[0], &self.steps[self.steps.len() - 1])
    }
}

impl Chains {
    pub(crate) fn new(reader: &TypeInfo) -> Self {
        Self { readers: vec![reader.clone()], at: BTreeMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    pub(crate) fn reader(&self, number: usize) -> &TypeInfo {
        &self.readers[number]
    }

    /// The number of a type that is read.
    pub(crate) fn number(&mut self, reader: &TypeInfo) -> usize {
        let same = |other: &TypeInfo| Arc::ptr_eq(other.tree(), reader.tree());
        self.readers.iter().position(same).unwrap_or_else(|| {
            self.readers.push(reader.clone());
            self.readers.len() - 1
        })
    }

    pub(crate) fn insert(&mut self, place: Place, chain: Chain) {
        self.at.insert(place, chain);
    }

    /// The reader's side of the whole message; `None` where nothing is converted.
    pub(crate) fn ours(&self) -> Option<Ours<'_>> {
        (!self.is_empty()).then(|| Ours::root(self, 0))
    }
}

/// The part of the reader's type that is being read, for as long as a conversion may lie further in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours<'p> {
    chains: &'p Chains,
    reader: usize,
    ty: &'p Type,
}

impl<'p> Ours<'p> {
    pub(crate) fn root(chains: &'p Chains, reader: usize) -> Self {
        Self { chains, reader, ty: &chains.reader(reader).tree().root }
    }

    /// The old type that a chain takes.
    pub(crate) fn start(self, chain: &Chain) -> Self {
        Self::root(self.chains, chain.reader)
    }

    const fn at(self, ty: &'p Type) -> Self {
        Self { ty, ..self }
    }

    fn tree(self) -> &'p SchemaTree {
        self.chains.reader(self.reader).tree()
    }

    /// The chain that begins here, and the writer's type from which it does.
    pub(crate) fn chain<'w>(
        self,
        writer: &'w SchemaTree,
        theirs: &'w Type,
    ) -> Option<(&'p Chain, &'w Type)> {
        let (their, our) = gap((writer, theirs), (self.tree(), self.ty))?;
        let chain = self.chains.at.get(&(their.number, self.reader, our.number))?;
        Some((chain, their.ty))
    }

    fn parts(self) -> Parts<'p> {
        self.tree().parts(self.tree().unwrapped(self.ty))
    }

    /// What is inside an option; anything else as it is.
    pub(crate) fn inside(self) -> Self {
        match self.tree().unwrapped(self.ty) {
            Type::Option(inner) => self.at(inner),
            _ => self,
        }
    }

    /// The element of a list or a tuple.
    pub(crate) fn element(self, index: usize) -> Option<Self> {
        match (self.tree().unwrapped(self.ty), self.parts()) {
            (Type::Seq(item) | Type::Set(item), _) => Some(self.at(item)),
            (_, Parts::Fixed(items)) => items.get(index).map(|item| self.at(item)),
            _ => None,
        }
    }

    /// The keys and the values of a map.
    pub(crate) fn pair(self) -> Option<(Self, Self)> {
        match self.tree().unwrapped(self.ty) {
            Type::Map(key, value) => Some((self.at(key), self.at(value))),
            _ => None,
        }
    }

    /// The fields of a struct.
    pub(crate) fn fields(self) -> Option<OurFields<'p>> {
        match self.parts() {
            Parts::Struct { fields, .. } => Some(OurFields { ours: self, fields }),
            _ => None,
        }
    }

    /// The variant that answers to a name.
    pub(crate) fn variant(self, name: &str) -> Option<OurVariant<'p>> {
        let Parts::Enum(variants) = self.parts() else { return None };
        let variant = variants.iter().find(|variant| variant.answers_to(name))?;
        Some(OurVariant { ours: self, variant })
    }
}

/// The fields of the reader's struct or variant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OurFields<'p> {
    ours: Ours<'p>,
    fields: &'p [Field<Type>],
}

impl<'p> OurFields<'p> {
    pub(crate) fn field(self, name: &str) -> Option<Ours<'p>> {
        let field = self.fields.iter().find(|field| field.answers_to(name))?;
        Some(self.ours.at(&field.ty))
    }
}

/// The variant of the reader's enum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OurVariant<'p> {
    ours: Ours<'p>,
    variant: &'p Variant<Type>,
}

impl<'p> OurVariant<'p> {
    pub(crate) fn newtype(self) -> Option<Ours<'p>> {
        match &self.variant.shape {
            Shape::Newtype(inner) => Some(self.ours.at(inner)),
            _ => None,
        }
    }

    pub(crate) fn element(self, index: usize) -> Option<Ours<'p>> {
        match &self.variant.shape {
            Shape::Tuple(items) => items.get(index).map(|item| self.ours.at(item)),
            _ => None,
        }
    }

    pub(crate) fn fields(self) -> Option<OurFields<'p>> {
        match &self.variant.shape {
            Shape::Struct { fields, .. } => Some(OurFields { ours: self.ours, fields }),
            _ => None,
        }
    }
}

/// What an author says of a named type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim<'a> {
    /// The named type,
    pub(crate) ty: &'a Type,
    /// and its number.
    pub(crate) number: usize,
    pub(crate) name: &'a str,
    pub(crate) version: u32,
}

impl fmt::Display for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl SchemaTree {
    /// What authors say of a type and of what it wraps, from the outside in.
    pub(crate) fn claims<'a>(&'a self, ty: &'a Type) -> impl Iterator<Item = Claim<'a>> {
        let inwards = move |ty: &&'a Type| match ty {
            Type::Named(number) => self.definition(*number).body.wrapped(),
            _ => None,
        };
        std::iter::successors(Some(ty), inwards).filter_map(|ty| {
            let Type::Named(number) = ty else { return None };
            let Definition { name, version, .. } = self.definition(*number);
            version.map(|version| Claim { ty, number: *number, name, version })
        })
    }

    /// The message whose process' pid a type is.
    pub(crate) fn reference<'a>(&'a self, mut ty: &'a Type) -> Option<&'a str> {
        while let Type::Named(number) = ty {
            let body = &self.definition(*number).body;
            if let Body::Reference { name, .. } = body {
                return Some(name);
            }
            ty = body.wrapped()?;
        }
        None
    }
}

/// The outermost named types of two that are of one name and two versions.
pub(crate) fn gap<'w, 'r>(
    (writer, theirs): (&'w SchemaTree, &'w Type),
    (reader, ours): (&'r SchemaTree, &'r Type),
) -> Option<(Claim<'w>, Claim<'r>)> {
    let mut both = writer.claims(theirs).zip(reader.claims(ours));
    both.find(|(their, our)| (their.name, their.version) != (our.name, our.version))
        .filter(|(their, our)| their.name == our.name)
}
