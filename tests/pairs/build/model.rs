//! Rust types as data, and how they are drawn.

use crate::chance::Chance;

#[derive(Clone, PartialEq)]
pub(crate) enum Ty {
    Plain(&'static str),
    Option(Box<Ty>),
    Vec(Box<Ty>),
    Set(&'static str),
    Map(&'static str, Box<Ty>),
    Array(Box<Ty>, usize),
    Tuple(Vec<Ty>),
    /// One of the side's parts.
    Part(usize),
    /// Bytes that are written as a text.
    Text,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Default {
    None,
    Trait,
    Function,
}

#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) ty: Ty,
    pub(crate) rename: Option<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) default: Default,
    pub(crate) skip: bool,
}

#[derive(Clone)]
pub(crate) enum Shape {
    Unit,
    Newtype(Ty),
    Tuple(Vec<Ty>),
    Named(Vec<Field>),
}

#[derive(Clone)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) rename: Option<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) rename_all: Option<&'static str>,
    pub(crate) shape: Shape,
    pub(crate) other: bool,
}

#[derive(Clone)]
pub(crate) enum Body {
    Struct(Shape),
    Transparent(Ty),
    /// Written and read as a number; checked ones refuse those above a hundred.
    Proxy {
        of: &'static str,
        checked: bool,
    },
    Enum(Vec<Variant>),
}

#[derive(Clone)]
pub(crate) struct Def {
    pub(crate) body: Body,
    pub(crate) rename_all: Option<&'static str>,
    pub(crate) rename_all_fields: Option<&'static str>,
    pub(crate) closed: bool,
    pub(crate) default: bool,
}

/// A message and the types that are parts of it.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) defs: Vec<Def>,
}

pub(crate) const INTEGERS: [&str; 8] = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"];
const OTHERS: [&str; 5] = ["bool", "String", "f32", "f64", "char"];
const KEYS: [&str; 3] = ["String", "u8", "i32"];
const WORDS: [&str; 12] = [
    "amount",
    "unit_price",
    "kind",
    "first_name",
    "at",
    "lines",
    "note_text",
    "r#type",
    "owner",
    "x2",
    "is_open",
    "sum_of_all",
];
const VARIANTS: [&str; 8] =
    ["Empty", "OneOf", "Many", "NotYet", "Done", "X1", "AllOfThem", "Failed"];
pub(crate) const CASES: [&str; 8] = [
    "lowercase",
    "UPPERCASE",
    "PascalCase",
    "camelCase",
    "snake_case",
    "SCREAMING_SNAKE_CASE",
    "kebab-case",
    "SCREAMING-KEBAB-CASE",
];

pub(crate) fn side(chance: &mut Chance) -> Side {
    let parts = chance.below(3);
    // The message comes first; parts refer only to those behind them.
    let defs = (0..=parts).map(|at| def(chance, at, parts)).collect();
    Side { defs }
}

fn def(chance: &mut Chance, at: usize, last: usize) -> Def {
    let body = match chance.below(if at == 0 { 8 } else { 10 }) {
        0..=3 => Body::Struct(Shape::Named(fields(chance, at, last))),
        4..=5 => Body::Enum(variants(chance, at, last)),
        6 => Body::Struct(Shape::Tuple((0..2).map(|_| ty(chance, at, last, 1)).collect())),
        7 => match chance.below(3) {
            0 => Body::Transparent(ty(chance, at, last, 1)),
            _ => Body::Struct(Shape::Newtype(ty(chance, at, last, 1))),
        },
        _ => Body::Proxy { of: chance.pick(&INTEGERS), checked: chance.below(2) == 0 },
    };
    let case = |chance: &mut Chance| (chance.below(4) == 0).then(|| chance.pick(&CASES));
    let (rename_all, rename_all_fields) = (case(chance), case(chance));
    Def { body, rename_all, rename_all_fields, closed: chance.below(10) == 0, default: false }
}

fn fields(chance: &mut Chance, at: usize, last: usize) -> Vec<Field> {
    let start = chance.below(WORDS.len());
    let count = 1 + chance.below(3);
    let field = |index: usize| {
        let ty = match chance.below(14) {
            0 => Ty::Text,
            _ => ty(chance, at, last, 0),
        };
        let default = if chance.below(5) == 0 { Default::Trait } else { Default::None };
        let rename = (chance.below(8) == 0).then(|| format!("re named {index}"));
        let name = WORDS[(start + index) % WORDS.len()].to_owned();
        Field { name, ty, rename, aliases: Vec::new(), default, skip: false }.tidy()
    };
    (0..count).map(field).collect()
}

fn variants(chance: &mut Chance, at: usize, last: usize) -> Vec<Variant> {
    let start = chance.below(VARIANTS.len());
    let count = 2 + chance.below(2);
    let variant = |index: usize| {
        let shape = match chance.below(6) {
            0..=1 => Shape::Unit,
            2..=3 => Shape::Newtype(ty(chance, at, last, 1)),
            4 => Shape::Tuple(vec![ty(chance, at, last, 1), ty(chance, at, last, 2)]),
            _ => Shape::Named(fields(chance, at, last)),
        };
        let name = VARIANTS[(start + index) % VARIANTS.len()].to_owned();
        let named = matches!(shape, Shape::Named(_));
        let rename_all = (named && chance.below(5) == 0).then(|| chance.pick(&CASES));
        Variant { name, rename: None, aliases: Vec::new(), rename_all, shape, other: false }
    };
    (0..count).map(variant).collect()
}

/// A type of any kind; JSON cannot tell an option in an option.
pub(crate) fn ty(chance: &mut Chance, at: usize, last: usize, depth: usize) -> Ty {
    let plain = |chance: &mut Chance| match chance.below(3) {
        0 => Ty::Plain(chance.pick(&OTHERS)),
        _ => Ty::Plain(chance.pick(&INTEGERS)),
    };
    if at < last && chance.below(2) == 0 {
        return Ty::Part(at + 1 + chance.below(last - at));
    }
    if depth > 1 {
        return plain(chance);
    }
    let inner = |chance: &mut Chance| Box::new(ty(chance, at, last, depth + 1));
    match chance.below(12) {
        0 => Ty::Option(Box::new(plain(chance))),
        1 => Ty::Vec(inner(chance)),
        2 => Ty::Set(chance.pick(&KEYS)),
        3 => Ty::Map(chance.pick(&KEYS), inner(chance)),
        4 => Ty::Array(inner(chance), 1 + chance.below(3)),
        5 => Ty::Tuple(vec![plain(chance), *inner(chance)]),
        _ => plain(chance),
    }
}

impl Ty {
    /// Whether the type has a default without our doing.
    pub(crate) fn has_default(&self) -> bool {
        match self {
            Self::Part(_) => false,
            Self::Array(item, _) => item.has_default(),
            Self::Tuple(items) => items.iter().all(Self::has_default),
            _ => true,
        }
    }
}

impl Field {
    /// Takes away what would not compile.
    pub(crate) fn tidy(mut self) -> Self {
        if !self.ty.has_default() {
            self.default = Default::None;
            self.skip = false;
        }
        if !matches!(self.ty, Ty::Plain(_)) && self.default == Default::Function {
            self.default = Default::Trait;
        }
        self
    }

    /// The name serde uses, where no rule changes it.
    pub(crate) fn wire(&self) -> String {
        let plain = self.name.trim_start_matches("r#").to_owned();
        self.rename.clone().unwrap_or(plain)
    }
}

impl Def {
    pub(crate) fn can_default(&self) -> bool {
        let Body::Struct(Shape::Named(fields)) = &self.body else { return false };
        fields.iter().all(|field| field.ty.has_default())
    }
}
