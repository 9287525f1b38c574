//! Values that differ from another in one place: so each condition of a prediction can be met alone.

use midflight_message::{Body, Scalar, SchemaTree, Shape, Type};

use super::body_of;
use super::value::{Value, covering, samples};

/// The longest list that is tried, a bit longer than any the schemas ask for.
const LONGEST: usize = 5;

/// Every value that differs from this one in one part; those that keep the most of it come first.
pub(crate) fn variations(tree: &SchemaTree, ty: &Type, value: &Value) -> Vec<Value> {
    match (ty, value) {
        (Type::Scalar(scalar), _) => {
            let mut all = samples(*scalar);
            // Beyond what JSON has; these are only ever read from bytes.
            match scalar {
                Scalar::I128 => all.extend([Value::Int(i128::MIN), Value::Int(i128::MAX)]),
                // As bits: the largest of all.
                Scalar::U128 => all.extend([Value::Int(i128::MAX), Value::Int(-1)]),
                _ => {}
            }
            all
        }
        (Type::Option(item), Value::Absent) => present(covering(tree, item)),
        (Type::Option(item), Value::Present(inner)) => {
            let mut all = present(variations(tree, item, inner));
            all.push(Value::Absent);
            all
        }
        (Type::Seq(item) | Type::Set(item), Value::List(items)) => lists(tree, item, items),
        (Type::Array(item, length), Value::List(items)) => {
            let types = vec![&**item; *length as usize];
            let mut all = parts(tree, &types, items);
            all.extend(alike(tree, item, items));
            all.into_iter().map(Value::List).collect()
        }
        (Type::Tuple(types), Value::List(items)) => {
            let types: Vec<_> = types.iter().collect();
            parts(tree, &types, items).into_iter().map(Value::List).collect()
        }
        (Type::Map(key, item), Value::Map(pairs)) => maps(tree, key, item, pairs),
        (Type::Named(_), _) => match (body_of(tree, ty).unwrap(), value) {
            (Body::Plain(shape), _) => of_shape(tree, shape, value),
            (
                Body::Transparent(inner)
                | Body::Checked(inner)
                | Body::Reference { pid: inner, .. },
                _,
            ) => variations(tree, inner, value),
            (Body::Enum(variants), Value::Variant(name, content)) => {
                let own = variants.iter().find(|variant| variant.name == *name).unwrap();
                let varied = of_shape(tree, &own.shape, content).into_iter();
                let varied = varied.map(|content| Value::Variant(name.clone(), Box::new(content)));
                varied.chain(covering(tree, ty)).collect()
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn present(values: Vec<Value>) -> Vec<Value> {
    values.into_iter().map(|value| Value::Present(Box::new(value))).collect()
}

fn of_shape(tree: &SchemaTree, shape: &Shape<Type>, value: &Value) -> Vec<Value> {
    match (shape, value) {
        (Shape::Unit, _) => Vec::new(),
        (Shape::Newtype(inner), _) => variations(tree, inner, value),
        (Shape::Tuple(types), Value::List(items)) => {
            let types: Vec<_> = types.iter().collect();
            parts(tree, &types, items).into_iter().map(Value::List).collect()
        }
        (Shape::Struct { fields, .. }, Value::Struct(named)) => {
            let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
            let values: Vec<_> = named.iter().map(|(_, value)| value.clone()).collect();
            let names = || named.iter().map(|(name, _)| name.clone());
            let of = |values: Vec<Value>| Value::Struct(names().zip(values).collect());
            parts(tree, &types, &values).into_iter().map(of).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// All with one part changed.
fn parts(tree: &SchemaTree, types: &[&Type], values: &[Value]) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for (at, (ty, value)) in types.iter().zip(values).enumerate() {
        for varied in variations(tree, ty, value) {
            let mut changed = values.to_vec();
            changed[at] = varied;
            all.push(changed);
        }
    }
    all
}

/// Lists of other lengths, and with one element changed.
fn lists(tree: &SchemaTree, item: &Type, items: &[Value]) -> Vec<Value> {
    let first = items.first().cloned();
    let first = first.unwrap_or_else(|| covering(tree, item).swap_remove(0));
    let mut all = Vec::new();
    let items = if items.is_empty() { std::slice::from_ref(&first) } else { items };
    for (at, element) in items.iter().enumerate().take(LONGEST) {
        for varied in variations(tree, item, element).into_iter().chain(covering(tree, item)) {
            let mut changed = items.to_vec();
            changed[at] = varied;
            all.push(Value::List(changed));
        }
    }
    all.extend(alike(tree, item, items).into_iter().map(Value::List));
    all.extend((0..=LONGEST).rev().map(|length| Value::List(vec![first.clone(); length])));
    all
}

/// Elements that are all changed alike: where reading fails in each of them, one is not enough.
fn alike(tree: &SchemaTree, item: &Type, items: &[Value]) -> Vec<Vec<Value>> {
    let varied = items.first().map(|first| variations(tree, item, first)).unwrap_or_default();
    varied.into_iter().map(|value| vec![value; items.len()]).collect()
}

/// An empty map, and maps of one pair.
fn maps(tree: &SchemaTree, key: &Type, item: &Type, pairs: &[(Value, Value)]) -> Vec<Value> {
    let pair = pairs.first().cloned().unwrap_or_else(|| {
        (covering(tree, key).swap_remove(0), covering(tree, item).swap_remove(0))
    });
    let keys = variations(tree, key, &pair.0).into_iter().map(|key| (key, pair.1.clone()));
    let values = variations(tree, item, &pair.1).into_iter().map(|value| (pair.0.clone(), value));
    let mut all: Vec<_> = keys.chain(values).map(|pair| Value::Map(vec![pair])).collect();
    all.extend([Value::Map(vec![pair.clone()]), Value::Map(Vec::new())]);
    all
}
