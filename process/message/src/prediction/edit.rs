//! One change to a schema, as authors make them.

use super::chance::Chance;
use super::model::{KEYS, Model};
use crate::{Body, Field, Scalar, Shape, Variant};

/// Makes one change somewhere.
pub(super) fn edited(model: &mut Model, chance: &mut Chance) {
    // Most changes are made further in.
    if chance.below(4) > 0 && inwards(model, chance) {
        return;
    }
    if chance.below(6) == 0 {
        return wrapped_or_not(model, chance);
    }
    match model {
        Model::Scalar(scalar) => *scalar = chance.pick(&Scalar::ALL[1..]),
        Model::Option(inner) => *model = (**inner).clone(),
        Model::Seq(inner) => {
            let inner = inner.clone();
            *model = match chance.below(3) {
                0 => Model::Set(inner),
                1 => Model::Array(inner, 1),
                _ => Model::Tuple(vec![*inner]),
            };
        }
        Model::Set(inner) => *model = Model::Seq(inner.clone()),
        Model::Map(key, _) => *key = chance.pick(&KEYS),
        Model::Array(inner, length) => {
            let inner = inner.clone();
            let length = *length;
            *model = match chance.below(3) {
                0 => Model::Seq(inner),
                1 => Model::Array(inner, length + 1),
                _ => Model::Tuple(vec![*inner; length as usize]),
            };
        }
        Model::Tuple(items) => edited_list(items, chance),
        Model::Named(body) => match &mut **body {
            Body::Plain(shape) => edited_shape(shape, chance),
            Body::Enum(variants) => edited_variants(variants, chance),
            Body::Transparent(inner) | Body::Checked(inner) => *model = inner.clone(),
            Body::Reference { .. } => {}
        },
    }
}

fn wrapped_or_not(model: &mut Model, chance: &mut Chance) {
    let inner = model.clone();
    *model = match chance.below(4) {
        0 if !inner.is_null() => Model::Option(Box::new(inner)),
        3 => Model::Named(Box::new(Body::Checked(inner))),
        1 => Model::Named(Box::new(Body::Transparent(inner))),
        _ => Model::Named(Box::new(Body::Plain(Shape::Newtype(inner)))),
    };
}

/// Changes one part, if there are any. Options stay free of what JSON cannot tell from nothing.
fn inwards(model: &mut Model, chance: &mut Chance) -> bool {
    match model {
        Model::Scalar(_) => false,
        Model::Option(inner) => {
            let before = inner.clone();
            edited(inner, chance);
            if inner.is_null() {
                *inner = before;
            }
            true
        }
        Model::Seq(inner) | Model::Set(inner) | Model::Map(_, inner) | Model::Array(inner, _) => {
            edited(inner, chance);
            true
        }
        Model::Tuple(items) => any(items.iter_mut().collect(), chance),
        Model::Named(body) => match &mut **body {
            Body::Plain(shape) => any(parts(shape), chance),
            Body::Enum(variants) => {
                any(variants.iter_mut().flat_map(|one| parts(&mut one.shape)).collect(), chance)
            }
            Body::Transparent(inner) | Body::Checked(inner) => {
                edited(inner, chance);
                true
            }
            Body::Reference { .. } => false,
        },
    }
}

fn any(mut models: Vec<&mut Model>, chance: &mut Chance) -> bool {
    if models.is_empty() {
        return false;
    }
    let index = chance.below(models.len());
    edited(models[index], chance);
    true
}

fn parts(shape: &mut Shape<Model>) -> Vec<&mut Model> {
    match shape {
        Shape::Unit => Vec::new(),
        Shape::Newtype(inner) => vec![inner],
        Shape::Tuple(items) => items.iter_mut().collect(),
        Shape::Struct { fields, .. } => fields.iter_mut().map(|field| &mut field.ty).collect(),
    }
}

fn edited_list(items: &mut Vec<Model>, chance: &mut Chance) {
    if items.is_empty() || chance.below(2) == 0 {
        items.push(Model::Scalar(Scalar::U8));
    } else {
        items.pop();
    }
}

fn edited_shape(shape: &mut Shape<Model>, chance: &mut Chance) {
    match shape {
        Shape::Unit => *shape = Shape::Tuple(Vec::new()),
        Shape::Newtype(inner) => *shape = Shape::Tuple(vec![inner.clone()]),
        Shape::Tuple(items) => edited_list(items, chance),
        Shape::Struct { closed, fields } => match chance.below(9) {
            0 => *closed = !*closed,
            1 if !fields.is_empty() => drop(fields.remove(chance.below(fields.len()))),
            2 if !fields.is_empty() => fields.rotate_left(1),
            3 | 4 if !fields.is_empty() => {
                let index = chance.below(fields.len());
                let new = fresh(chance, "r", |name| fields.iter().any(|one| one.answers_to(name)));
                let field = &mut fields[index];
                let old = std::mem::replace(&mut field.name, new);
                if chance.below(3) > 0 && !field.aliases.contains(&old) {
                    field.aliases.push(old);
                    field.aliases.sort();
                }
            }
            5 if !fields.is_empty() => {
                let index = chance.below(fields.len());
                fields[index].default ^= true;
            }
            6 if fields.len() > 1 => {
                // Takes another's name as well as its own.
                let name = fields[0].name.clone();
                if !fields[1].aliases.contains(&name) {
                    fields[1].aliases.push(name);
                    fields[1].aliases.sort();
                }
            }
            _ => {
                let text = Model::Scalar(Scalar::String);
                let optional = Model::Option(Box::new(text.clone()));
                let wrapper = Model::Named(Box::new(Body::Plain(Shape::Newtype(optional.clone()))));
                let field = Field {
                    name: fresh(chance, "n", |name| fields.iter().any(|one| one.answers_to(name))),
                    ty: chance.pick(&[text, optional, wrapper]),
                    default: chance.below(2) == 0,
                    aliases: Vec::new(),
                };
                fields.insert(chance.below(fields.len() + 1), field);
            }
        },
    }
}

/// A name that nothing has: two fields of one name are no program.
fn fresh(chance: &mut Chance, letter: &str, taken: impl Fn(&str) -> bool) -> String {
    loop {
        let name = format!("{letter}{}", chance.below(1000));
        if !taken(&name) {
            return name;
        }
    }
}

fn edited_variants(variants: &mut Vec<Variant<Model>>, chance: &mut Chance) {
    let index = chance.below(variants.len());
    match chance.below(7) {
        0 if variants.len() > 1 => drop(variants.remove(index)),
        1 => variants.rotate_left(1),
        2 | 3 => {
            let new = fresh(chance, "R", |name| variants.iter().any(|one| one.answers_to(name)));
            let variant = &mut variants[index];
            let old = std::mem::replace(&mut variant.name, new);
            if chance.below(2) == 0 && !variant.aliases.contains(&old) {
                variant.aliases.push(old);
                variant.aliases.sort();
            }
        }
        4 if !variants[index].other => edited_shape(&mut variants[index].shape, chance),
        6 if !variants.iter().any(|variant| variant.other) => {
            let shape = Shape::Unit;
            let other = true;
            variants.push(Variant { name: "Other".to_owned(), aliases: Vec::new(), shape, other });
        }
        _ => {
            let name = fresh(chance, "N", |name| variants.iter().any(|one| one.answers_to(name)));
            let variant = Variant { name, aliases: Vec::new(), shape: Shape::Unit, other: false };
            variants.insert(index, variant);
        }
    }
}
