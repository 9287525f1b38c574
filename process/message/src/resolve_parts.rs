//! Comparing what is made of parts: structs, enums, tuples and arrays.

use crate::path::Step;
use crate::resolve::Comparison;
use crate::shape::{Body, Field, Shape, Variant};
use crate::tree::{Scalar, SchemaTree, Type};
use crate::{Mismatch, MismatchReason};

/// A fixed number of parts without names.
#[derive(Clone, Copy)]
pub(crate) enum Fixed<'a> {
    Array(&'a Type, u64),
    Items(&'a [Type]),
}

impl<'a> Fixed<'a> {
    pub(crate) const fn len(self) -> u64 {
        match self {
            Self::Array(_, length) => length,
            Self::Items(items) => items.len() as u64,
        }
    }

    pub(crate) fn step(self, index: usize) -> Step {
        match self {
            Self::Array(..) => Step::Element,
            Self::Items(_) => Step::Index(index),
        }
    }

    pub(crate) fn get(self, index: usize) -> Option<&'a Type> {
        match self {
            Self::Array(item, length) => ((index as u64) < length).then_some(item),
            Self::Items(items) => items.get(index),
        }
    }
}

/// What a type is made of, once wrappers are gone.
pub(crate) enum Parts<'a> {
    Unit,
    Fixed(Fixed<'a>),
    Struct { closed: bool, fields: &'a [Field<Type>] },
    Enum(&'a [Variant<Type>]),
    Other,
}

impl SchemaTree {
    pub(crate) fn parts<'a>(&'a self, ty: &'a Type) -> Parts<'a> {
        match ty {
            Type::Scalar(Scalar::Unit) => Parts::Unit,
            Type::Array(item, length) => Parts::Fixed(Fixed::Array(item, *length)),
            Type::Tuple(items) => Parts::Fixed(Fixed::Items(items)),
            Type::Named(number) => match &self.definition(*number).body {
                Body::Enum(variants) => Parts::Enum(variants),
                Body::Plain(Shape::Unit) => Parts::Unit,
                Body::Plain(Shape::Tuple(items)) => Parts::Fixed(Fixed::Items(items)),
                Body::Plain(Shape::Struct { closed, fields }) => {
                    Parts::Struct { closed: *closed, fields }
                }
                _ => Parts::Other,
            },
            _ => Parts::Other,
        }
    }

    /// Whether derived code takes the field's absence for `None`.
    fn is_optional<'a>(&'a self, mut ty: &'a Type) -> bool {
        while let Type::Named(number) = ty {
            match &self.definition(*number).body {
                Body::Transparent(inner) | Body::Checked(inner) => ty = inner,
                _ => return false,
            }
        }
        matches!(ty, Type::Option(_))
    }

    /// Whether reading a type may be refused by the type itself.
    pub(crate) fn is_checked<'a>(&'a self, mut ty: &'a Type) -> bool {
        while let Type::Named(number) = ty {
            let body = &self.definition(*number).body;
            match body.wrapped() {
                Some(_) if matches!(body, Body::Checked(_)) => return true,
                Some(inner) => ty = inner,
                None => return false,
            }
        }
        false
    }
}

impl<'a> Comparison<'a> {
    pub(crate) fn compounds(&mut self, theirs: &'a Type, ours: &'a Type) -> Result<(), Mismatch> {
        match (self.theirs.parts(theirs), self.ours.parts(ours)) {
            (Parts::Unit, Parts::Unit) => Ok(()),
            (Parts::Fixed(their), Parts::Fixed(our)) if their.len() == our.len() => {
                self.fixed(their, our)
            }
            (Parts::Fixed(_), Parts::Fixed(_)) => self.differ(theirs, ours, MismatchReason::Length),
            (Parts::Struct { fields: theirs, .. }, Parts::Struct { closed, fields: ours }) => {
                self.fields(theirs, ours, closed)
            }
            (Parts::Enum(theirs), Parts::Enum(ours)) => self.variants(theirs, ours),
            (Parts::Fixed(their), Parts::Other) => match ours {
                Type::Seq(our) => self.fixed_as_list(their, our),
                _ => self.differ(theirs, ours, MismatchReason::Kind),
            },
            (Parts::Other, Parts::Fixed(our)) => match theirs {
                Type::Seq(their) | Type::Set(their) => self.list_as_fixed(their, our),
                _ => self.differ(theirs, ours, MismatchReason::Kind),
            },
            _ => self.differ(theirs, ours, MismatchReason::Kind),
        }
    }

    fn differ(&self, theirs: &Type, ours: &Type, why: MismatchReason) -> Result<(), Mismatch> {
        self.mismatch(self.theirs.brief(theirs), self.ours.brief(ours), why)
    }

    fn fixed(&mut self, theirs: Fixed<'a>, ours: Fixed<'a>) -> Result<(), Mismatch> {
        if let (Fixed::Array(their, 1..), Fixed::Array(our, _)) = (theirs, ours) {
            return self.within(Step::Element, |inner| inner.compare(their, our));
        }
        // One of them is written out, so its length is bounded by the schema's.
        let pairs = (0..).map_while(|index| Some((index, theirs.get(index)?, ours.get(index)?)));
        for (index, their, our) in pairs {
            self.within(theirs.step(index), |inner| inner.compare(their, our))?;
        }
        Ok(())
    }

    fn fixed_as_list(&mut self, theirs: Fixed<'a>, our: &'a Type) -> Result<(), Mismatch> {
        self.verbatim = false;
        match theirs {
            Fixed::Array(_, 0) => Ok(()),
            Fixed::Array(their, _) => self.within(Step::Element, |inner| inner.compare(their, our)),
            Fixed::Items(items) => items.iter().enumerate().try_for_each(|(index, their)| {
                self.within(Step::Index(index), |inner| inner.compare(their, our))
            }),
        }
    }

    fn list_as_fixed(&mut self, their: &'a Type, ours: Fixed<'a>) -> Result<(), Mismatch> {
        self.verbatim = false;
        self.risk(format!("the length is not {}", ours.len()));
        let mut compare =
            |our| self.within(Step::Element, |inner: &mut Self| inner.compare(their, our));
        match ours {
            Fixed::Array(_, 0) => Ok(()),
            Fixed::Array(our, _) => compare(our),
            Fixed::Items(items) => items.iter().try_for_each(compare),
        }
    }

    fn fields(
        &mut self,
        theirs: &'a [Field<Type>],
        ours: &'a [Field<Type>],
        closed: bool,
    ) -> Result<(), Mismatch> {
        let mut filled = vec![None; ours.len()];
        for (index, their) in theirs.iter().enumerate() {
            let found = ours.iter().position(|our| our.answers_to(&their.name));
            self.verbatim &= found == Some(index);
            self.within(Step::Name(their.name.clone()), |inner| match found {
                Some(at) => match filled[at].replace(&their.name) {
                    None => inner.compare(&their.ty, &ours[at].ty),
                    Some(other) => inner.mismatch(
                        format!("both `{other}` and `{}`", their.name),
                        format!("the one field `{}`", ours[at].name),
                        MismatchReason::FieldTwice,
                    ),
                },
                None if closed => inner.mismatch(
                    inner.theirs.brief(&their.ty),
                    "absent, and refuses unknown fields".to_owned(),
                    MismatchReason::FieldUnknown,
                ),
                None => Ok(()),
            })?;
        }
        for (our, filled) in ours.iter().zip(filled) {
            if filled.is_some() {
                continue;
            }
            self.verbatim = false;
            if our.default {
                continue;
            }
            if !self.ours.is_optional(&our.ty) {
                return self.within(Step::Name(our.name.clone()), |inner| {
                    let ours = format!("{} without a default", inner.ours.brief(&our.ty));
                    inner.mismatch("absent".to_owned(), ours, MismatchReason::FieldMissing)
                });
            }
            if self.ours.is_checked(&our.ty) {
                // serde does not say which field it was.
                self.risk(format!("the type of `{}` refuses an absent value", our.name));
            }
        }
        Ok(())
    }

    fn variants(
        &mut self,
        theirs: &'a [Variant<Type>],
        ours: &'a [Variant<Type>],
    ) -> Result<(), Mismatch> {
        let mut known = theirs.is_empty();
        for (index, their) in theirs.iter().enumerate() {
            let found = ours.iter().position(|our| our.answers_to(&their.name));
            self.verbatim &= found == Some(index);
            if let Some(at) = found {
                known = true;
                self.within(Step::Name(their.name.clone()), |inner| {
                    inner.shapes(&their.shape, &ours[at].shape)
                })?;
            } else if !ours.iter().any(|our| our.other) {
                self.risk(format!("the value is the variant `{}`, which we lack", their.name));
            } else if their.shape == Shape::Unit {
                known = true;
            } else {
                self.within(Step::Name(their.name.clone()), |inner| {
                    inner
                        .risk("the value is this variant, which we lack, and not empty".to_owned());
                });
            }
        }
        if known {
            return Ok(());
        }
        let list = |variants: &[Variant<Type>]| {
            let names: Vec<_> = variants.iter().take(8).map(|one| one.name.as_str()).collect();
            format!("one of [{}]", names.join(", "))
        };
        self.mismatch(list(theirs), list(ours), MismatchReason::Variants)
    }

    /// Compares two variants of one name.
    fn shapes(&mut self, theirs: &'a Shape<Type>, ours: &'a Shape<Type>) -> Result<(), Mismatch> {
        match (theirs, ours) {
            (Shape::Unit, Shape::Unit) => Ok(()),
            (Shape::Newtype(theirs), Shape::Newtype(ours)) => self.compare(theirs, ours),
            (Shape::Tuple(their), Shape::Tuple(our)) if their.len() == our.len() => {
                self.fixed(Fixed::Items(their), Fixed::Items(our))
            }
            (Shape::Tuple(_), Shape::Tuple(_)) => {
                self.mismatch(theirs.brief(), ours.brief(), MismatchReason::Length)
            }
            (Shape::Struct { fields: theirs, .. }, Shape::Struct { closed, fields: ours }) => {
                self.fields(theirs, ours, *closed)
            }
            _ => self.mismatch(theirs.brief(), ours.brief(), MismatchReason::Kind),
        }
    }
}

impl Shape<Type> {
    /// The kind of shape in a few words.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Unit => "a variant without fields".to_owned(),
            Self::Newtype(_) => "a variant of one unnamed field".to_owned(),
            Self::Tuple(items) => format!("a variant of {} unnamed fields", items.len()),
            Self::Struct { .. } => "a variant with named fields".to_owned(),
        }
    }
}
