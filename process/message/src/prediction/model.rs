//! Schemas at random: a tree that is easy to draw and to edit.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::builder::finish;
use crate::{Body, Definition, Field, Scalar, SchemaTree, Shape, Type, Variant};

/// A type; named ones are written in place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Model {
    Scalar(Scalar),
    Option(Box<Self>),
    Seq(Box<Self>),
    Set(Box<Self>),
    Map(Scalar, Box<Self>),
    Array(Box<Self>, u64),
    Tuple(Vec<Self>),
    Named(Box<Body<Self>>),
}

/// JSON writes both an absent value and a value without parts as `null`, so options of these are not
/// made: the judge could not tell.
impl Model {
    pub(super) fn is_null(&self) -> bool {
        match self {
            Self::Option(_) | Self::Scalar(Scalar::Unit) => true,
            Self::Named(body) => match &**body {
                Body::Plain(Shape::Unit) => true,
                Body::Plain(Shape::Newtype(inner))
                | Body::Transparent(inner)
                | Body::Checked(inner) => inner.is_null(),
                _ => false,
            },
            _ => false,
        }
    }

    pub(super) fn tree(&self) -> SchemaTree {
        let mut building = Building::default();
        let root = building.ty(self);
        let mut definitions = Vec::new();
        while let Some(body) = building.waiting.pop_front() {
            let body = body.try_map::<_, ()>(&mut |model| Ok(building.ty(&model))).unwrap();
            definitions.push(Definition { name: "N".to_owned(), version: None, body });
        }
        finish(root, definitions).unwrap()
    }
}

#[derive(Default)]
struct Building {
    next: usize,
    waiting: VecDeque<Body<Model>>,
}

impl Building {
    fn ty(&mut self, model: &Model) -> Type {
        let mut boxed = |model: &Model| Box::new(self.ty(model));
        match model {
            Model::Scalar(scalar) => Type::Scalar(*scalar),
            Model::Option(item) => Type::Option(boxed(item)),
            Model::Seq(item) => Type::Seq(boxed(item)),
            Model::Set(item) => Type::Set(boxed(item)),
            Model::Map(key, item) => Type::Map(Box::new(Type::Scalar(*key)), boxed(item)),
            Model::Array(item, length) => Type::Array(boxed(item), *length),
            Model::Tuple(items) => Type::Tuple(items.iter().map(|item| self.ty(item)).collect()),
            Model::Named(body) => {
                self.waiting.push_back((**body).clone());
                self.next += 1;
                Type::Named(self.next - 1)
            }
        }
    }
}

pub(super) const KEYS: [Scalar; 5] =
    [Scalar::String, Scalar::U8, Scalar::I16, Scalar::I64, Scalar::U64];

pub(super) fn scalar() -> impl Strategy<Value = Scalar> {
    // All but unit, which is drawn as a struct.
    (1..Scalar::ALL.len()).prop_map(|index| Scalar::ALL[index])
}

pub(super) fn model() -> impl Strategy<Value = Model> {
    let leaf = prop_oneof![
        5 => scalar().prop_map(Model::Scalar),
        1 => Just(Model::Named(Box::new(Body::Plain(Shape::Unit)))),
    ];
    let inner = leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let optional = inner
            .clone()
            .prop_map(|model| if model.is_null() { model } else { Model::Option(Box::new(model)) });
        prop_oneof![
            1 => optional,
            1 => boxed.clone().prop_map(Model::Seq),
            1 => boxed.clone().prop_map(Model::Set),
            1 => (prop::sample::select(&KEYS[..]), boxed.clone())
                .prop_map(|(key, item)| Model::Map(key, item)),
            1 => (boxed, 0_u64..4).prop_map(|(item, length)| Model::Array(item, length)),
            1 => prop::collection::vec(inner.clone(), 1..4).prop_map(Model::Tuple),
            3 => shape(inner.clone()).prop_map(|shape| Model::Named(Box::new(Body::Plain(shape)))),
            1 => inner.clone().prop_map(|inner| Model::Named(Box::new(Body::Transparent(inner)))),
            3 => prop::collection::vec(shape(inner), 1..4).prop_map(|shapes| {
                let variant = |(index, shape)| {
                    Variant { name: name("V", index), aliases: Vec::new(), shape, other: false }
                };
                let variants = shapes.into_iter().enumerate().map(variant).collect();
                Model::Named(Box::new(Body::Enum(variants)))
            }),
        ]
    });
    // Whole messages are mostly structs and enums.
    prop::collection::vec(inner, 1..4).prop_map(|mut models| {
        if models.len() == 1 {
            models.swap_remove(0)
        } else {
            let shape = Shape::Struct { closed: false, fields: fields(models) };
            Model::Named(Box::new(Body::Plain(shape)))
        }
    })
}

fn shape(inner: impl Strategy<Value = Model> + Clone) -> impl Strategy<Value = Shape<Model>> {
    prop_oneof![
        1 => Just(Shape::Unit),
        2 => inner.clone().prop_map(Shape::Newtype),
        1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Shape::Tuple),
        4 => (prop::collection::vec(inner, 0..4), prop::bool::weighted(0.1)).prop_map(
            |(models, closed)| Shape::Struct { closed, fields: fields(models) }
        ),
    ]
}

fn fields(models: Vec<Model>) -> Vec<Field<Model>> {
    let field = |(index, ty)| Field {
        name: name("f", index),
        ty,
        default: index % 3 == 2,
        aliases: Vec::new(),
    };
    models.into_iter().enumerate().map(field).collect()
}

fn name(letter: &str, index: usize) -> String {
    format!("{letter}{index}")
}
