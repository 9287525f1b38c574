//! Deciding whether, and how, a writer's type can be read as the reader's.
//!
//! The rules are serde's own, as derived code applies them to a self-describing format: fields and
//! variants go by name, unknown fields are passed over, absent ones need a default or an `Option`.
//! Where serde would lose something without a word (a fraction, a duplicate), this says no instead.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits::MAX_VALUE_DEPTH;
use crate::path::{MAX_TEXT_BYTES, Path, Step, shorten};
use crate::shape::Body;
use crate::tree::{Scalar, SchemaTree, Type};
use crate::{Mismatch, MismatchReason, Plan, Resolution, Risk, TypeInfo};

/// The most risks that are listed.
const MAX_RISKS: usize = 64;
/// The most pairs of parts that are compared.
const MAX_PAIRS: usize = 100_000;

/// Compares a writer's type with a reader's.
#[must_use]
pub fn resolve(writer: &TypeInfo, reader: &TypeInfo) -> Resolution {
    let whole = |theirs: String, ours: String, why| {
        let mismatch = Mismatch::new(reader.name(), String::new(), theirs, ours, why);
        Resolution::Incompatible(mismatch)
    };
    if writer.name() != reader.name() {
        return whole(writer.name().into(), reader.name().into(), MismatchReason::Name);
    }
    if writer.version() != reader.version() {
        let [theirs, ours] =
            [writer.version(), reader.version()].map(|version| format!("version {version}"));
        return whole(theirs, ours, MismatchReason::Version);
    }
    if writer.fingerprint() == reader.fingerprint() {
        return Resolution::Same;
    }
    let mut comparison = Comparison::new(reader.name(), writer.tree(), reader.tree());
    match comparison.compare(&writer.tree().root, &reader.tree().root) {
        Err(mismatch) => Resolution::Incompatible(mismatch),
        Ok(()) => Resolution::Structural(Arc::new(Plan {
            writer: Arc::clone(writer.tree()),
            reader: reader.fingerprint(),
            risks: comparison.risks,
            verbatim: comparison.verbatim,
        })),
    }
}

/// A walk over both schemas at once.
pub(crate) struct Comparison<'a> {
    type_name: &'a str,
    pub(crate) theirs: &'a SchemaTree,
    pub(crate) ours: &'a SchemaTree,
    /// Pairs of named types that are being compared or were: a difference ends the walk, so meeting
    /// a pair again adds nothing.
    seen: BTreeSet<(usize, usize)>,
    steps: Vec<Step>,
    depth: usize,
    pairs: usize,
    pub(crate) risks: Vec<Risk>,
    pub(crate) verbatim: bool,
}

impl<'a> Comparison<'a> {
    fn new(type_name: &'a str, theirs: &'a SchemaTree, ours: &'a SchemaTree) -> Self {
        Self {
            type_name,
            theirs,
            ours,
            seen: BTreeSet::new(),
            steps: Vec::new(),
            depth: 0,
            pairs: 0,
            risks: Vec::new(),
            verbatim: true,
        }
    }

    pub(crate) fn mismatch(
        &self,
        theirs: String,
        ours: String,
        why: MismatchReason,
    ) -> Result<(), Mismatch> {
        let path = Path(&self.steps).text();
        Err(Mismatch::new(self.type_name, path, theirs, ours, why))
    }

    pub(crate) fn risk(&mut self, condition: String) {
        if self.risks.len() < MAX_RISKS {
            let condition = shorten(condition, MAX_TEXT_BYTES);
            self.risks.push(Risk { path: Path(&self.steps).text(), condition });
        }
    }

    /// Runs a comparison one step further in.
    pub(crate) fn within<R>(&mut self, step: Step, compare: impl FnOnce(&mut Self) -> R) -> R {
        self.steps.push(step);
        let result = compare(self);
        self.steps.pop();
        result
    }

    /// Compares two types.
    pub(crate) fn compare(&mut self, theirs: &'a Type, ours: &'a Type) -> Result<(), Mismatch> {
        self.pairs += 1;
        if self.depth > MAX_VALUE_DEPTH || self.pairs > MAX_PAIRS {
            let [theirs, ours] = [self.theirs.brief(theirs), self.ours.brief(ours)];
            return self.mismatch(theirs, ours, MismatchReason::TooComplex);
        }
        if let (Type::Named(theirs), Type::Named(ours)) = (theirs, ours)
            && !self.seen.insert((*theirs, *ours))
        {
            return Ok(());
        }
        self.depth += 1;
        let result = self.claims(theirs, ours).and_then(|()| {
            let [theirs, ours] = [self.theirs.unwrapped(theirs), self.ours.unwrapped(ours)];
            self.unwrapped(theirs, ours)
        });
        self.depth -= 1;
        result
    }

    /// Compares what the authors say about two types: names, versions, and whom a pid belongs to.
    fn claims(&self, theirs: &'a Type, ours: &'a Type) -> Result<(), Mismatch> {
        let [their, our] = [self.theirs.claims(theirs), self.ours.claims(ours)];
        if let Some(ours) = our.reference {
            match their.reference {
                None => {
                    let theirs = "a plain pid".to_owned();
                    let ours = format!("the pid of a process that takes {ours}");
                    return self.mismatch(theirs, ours, MismatchReason::Kind);
                }
                // Whichever version it takes: what is sent there is compared when it is sent.
                Some(theirs) if theirs != ours => {
                    let [theirs, ours] =
                        [theirs, ours].map(|of| format!("the pid of a process that takes {of}"));
                    return self.mismatch(theirs, ours, MismatchReason::Name);
                }
                Some(_) => {}
            }
        }
        if their.versions.is_empty() || our.versions.is_empty() || their.versions == our.versions {
            return Ok(());
        }
        let why = if their.names().eq(our.names()) {
            MismatchReason::Version
        } else {
            MismatchReason::Name
        };
        self.mismatch(their.text(), our.text(), why)
    }

    /// Compares two types neither of which is a mere wrapper.
    fn unwrapped(&mut self, theirs: &'a Type, ours: &'a Type) -> Result<(), Mismatch> {
        match (theirs, ours) {
            (Type::Option(theirs), Type::Option(ours)) => self.compare(theirs, ours),
            (_, Type::Option(ours)) => {
                self.verbatim = false;
                self.compare(theirs, ours)
            }
            (Type::Option(theirs), _) => {
                self.verbatim = false;
                self.risk("the value is absent".to_owned());
                self.compare(theirs, ours)
            }
            (Type::Scalar(their), Type::Scalar(our)) => self.scalars(*their, *our),
            (Type::Seq(their), Type::Seq(our))
            | (Type::Set(their), Type::Set(our) | Type::Seq(our)) => {
                self.within(Step::Element, |inner| inner.compare(their, our))
            }
            (Type::Map(their_key, their_value), Type::Map(our_key, our_value)) => {
                self.within(Step::Key, |inner| inner.compare(their_key, our_key))?;
                self.within(Step::Value, |inner| inner.compare(their_value, our_value))
            }
            _ => self.compounds(theirs, ours),
        }
    }

    fn scalars(&mut self, theirs: Scalar, ours: Scalar) -> Result<(), Mismatch> {
        if theirs == ours {
            return Ok(());
        }
        self.verbatim = false;
        if let (Some(their), Some(our)) = (theirs.range(), ours.range()) {
            if !(our.0 <= their.0 && their.1 <= our.1) {
                self.risk(format!("the number does not fit into {}", ours.name()));
            }
            return Ok(());
        }
        if (theirs, ours) == (Scalar::F32, Scalar::F64) {
            return Ok(());
        }
        self.mismatch(theirs.name().to_owned(), ours.name().to_owned(), MismatchReason::Kind)
    }
}

/// What authors say about a type, its wrappers included.
struct Claims<'a> {
    versions: Vec<(&'a str, u32)>,
    reference: Option<&'a str>,
}

impl<'a> Claims<'a> {
    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.versions.iter().map(|(name, _)| *name)
    }

    fn text(&self) -> String {
        let each: Vec<_> = self.versions.iter().map(|(name, v)| format!("{name}@{v}")).collect();
        each.join(" of ")
    }
}

impl SchemaTree {
    fn claims<'a>(&'a self, mut ty: &'a Type) -> Claims<'a> {
        let mut claims = Claims { versions: Vec::new(), reference: None };
        while let Type::Named(number) = ty {
            let definition = self.definition(*number);
            if let Some(version) = definition.version {
                claims.versions.push((&definition.name, version));
            }
            if let Body::Reference { name, .. } = &definition.body {
                claims.reference = Some(name);
            }
            match definition.body.wrapped() {
                Some(inner) => ty = inner,
                None => break,
            }
        }
        claims
    }

    /// A type in a few words: named types by their names.
    pub(crate) fn brief(&self, ty: &Type) -> String {
        match ty {
            Type::Scalar(scalar) => scalar.name().to_owned(),
            Type::Option(item) => format!("option<{}>", self.brief(item)),
            Type::Seq(item) => format!("seq<{}>", self.brief(item)),
            Type::Set(item) => format!("set<{}>", self.brief(item)),
            Type::Array(item, length) => format!("array<{}, {length}>", self.brief(item)),
            Type::Map(key, value) => format!("map<{}, {}>", self.brief(key), self.brief(value)),
            Type::Tuple(items) => {
                let each: Vec<_> = items.iter().map(|item| self.brief(item)).collect();
                format!("tuple({})", each.join(", "))
            }
            Type::Named(number) => {
                let definition = self.definition(*number);
                definition.version.map_or_else(
                    || definition.name.clone(),
                    |version| format!("{}@{version}", definition.name),
                )
            }
        }
    }
}

impl Scalar {
    /// An integer's range; the top of `u128` stands beyond that of `i128`.
    const fn range(self) -> Option<(i128, u128)> {
        Some(match self {
            Self::I8 => (i8::MIN as i128, i8::MAX as u128),
            Self::I16 => (i16::MIN as i128, i16::MAX as u128),
            Self::I32 => (i32::MIN as i128, i32::MAX as u128),
            Self::I64 => (i64::MIN as i128, i64::MAX as u128),
            Self::I128 => (i128::MIN, i128::MAX as u128),
            Self::U8 => (0, u8::MAX as u128),
            Self::U16 => (0, u16::MAX as u128),
            Self::U32 => (0, u32::MAX as u128),
            Self::U64 => (0, u64::MAX as u128),
            Self::U128 => (0, u128::MAX),
            _ => return None,
        })
    }
}
