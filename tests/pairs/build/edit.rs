//! One change, as authors make them.

use crate::chance::Chance;
use crate::model::{Body, CASES, Default, Field, INTEGERS, Shape, Side, Ty, Variant};

pub(crate) fn edited(side: &mut Side, chance: &mut Chance) {
    let at = chance.below(side.defs.len());
    let def = &mut side.defs[at];
    if chance.below(12) == 0 {
        return def.rename_all = def.rename_all.xor(Some(chance.pick(&CASES)));
    }
    let rule = def.rename_all.is_some();
    match &mut def.body {
        Body::Struct(shape) => {
            if let Shape::Newtype(Ty::Plain(of)) = shape
                && INTEGERS.contains(of)
                && at > 0
                && chance.below(3) == 0
            {
                def.body = Body::Proxy { of, checked: chance.below(3) > 0 };
            } else {
                match chance.below(12) {
                    0 => def.closed = !def.closed,
                    1 => def.default = !def.default,
                    _ => edited_shape(shape, rule, chance),
                }
            }
        }
        Body::Transparent(ty) => match chance.below(3) {
            0 => def.body = Body::Struct(Shape::Newtype(ty.clone())),
            _ => edited_ty(ty, chance),
        },
        Body::Proxy { of, checked } => match chance.below(3) {
            0 => *checked = !*checked,
            1 => *of = chance.pick(&INTEGERS),
            _ => def.body = Body::Struct(Shape::Newtype(Ty::Plain(of))),
        },
        Body::Enum(variants) => edited_variants(variants, rule, chance),
    }
    if !def.can_default() {
        def.default = false;
    }
}

fn edited_shape(shape: &mut Shape, rule: bool, chance: &mut Chance) {
    match shape {
        Shape::Unit => *shape = Shape::Newtype(Ty::Plain("u8")),
        Shape::Newtype(ty) => edited_ty(ty, chance),
        Shape::Tuple(items) => match chance.below(5) {
            0 => items.push(Ty::Plain("u8")),
            _ => {
                let at = chance.below(items.len());
                edited_ty(&mut items[at], chance);
            }
        },
        Shape::Named(fields) => edited_fields(fields, rule, chance),
    }
}

fn edited_fields(fields: &mut Vec<Field>, rule: bool, chance: &mut Chance) {
    let count = fields.len();
    let at = chance.below(count.max(1));
    match chance.below(10) {
        0 if count > 1 => drop(fields.remove(at)),
        1 => fields.rotate_left(1.min(count)),
        2 | 3 if count > 0 => {
            let new = (0..).map(|n| format!("new_{n}")).find(|new| unknown(fields, new));
            let field = &mut fields[at];
            let old = field.wire();
            field.name = new.unwrap_or_default();
            field.rename = None;
            // Under a rule the old name is another, and the field is missing.
            if !rule && chance.below(4) > 0 {
                field.aliases.push(old);
            }
        }
        4 if count > 0 => fields[at].default = chance.pick(&[Default::Trait, Default::Function]),
        5 if count > 0 => {
            fields[at].skip = fields[at].ty != Ty::Text && chance.below(2) == 0;
            fields[at].default = Default::Trait;
        }
        6 => {
            let ty = match chance.below(3) {
                0 => Ty::Option(Box::new(Ty::Plain("String"))),
                _ => Ty::Plain(chance.pick(&["String", "u32", "bool"])),
            };
            let default = chance.pick(&[Default::None, Default::Trait, Default::Function]);
            let name = (0..).map(|n| format!("added_{n}")).find(|new| unknown(fields, new));
            let name = name.unwrap_or_default();
            let field = Field { name, ty, rename: None, aliases: vec![], default, skip: false };
            fields.insert(at, field);
        }
        7 if count > 0 && fields[at].ty == Ty::Plain("String") => {
            fields[at].ty = Ty::Text;
            fields[at].skip = false;
        }
        _ if count > 0 => edited_ty(&mut fields[at].ty, chance),
        _ => {}
    }
    for field in fields {
        *field = field.clone().tidy();
    }
}

fn unknown(fields: &[Field], name: &str) -> bool {
    !fields.iter().any(|field| field.name == name || field.aliases.iter().any(|one| one == name))
}

fn edited_variants(variants: &mut Vec<Variant>, rule: bool, chance: &mut Chance) {
    let at = chance.below(variants.len());
    let caught = variants.iter().any(|variant| variant.other);
    match chance.below(7) {
        0 if variants.len() > 1 => drop(variants.remove(at)),
        1 if !caught => variants.rotate_left(1),
        2 | 3 if !variants[at].other => {
            let taken = |new: &String| variants.iter().any(|variant| variant.name == *new);
            let new = (0..).map(|n| format!("New{n}")).find(|new| !taken(new)).unwrap_or_default();
            let variant = &mut variants[at];
            let old = std::mem::replace(&mut variant.name, new);
            if !rule && chance.below(4) > 0 {
                variant.aliases.push(old);
            }
        }
        4 if !caught => {
            let shape = Shape::Unit;
            variants.push(named("Unknown".to_owned(), shape, true));
        }
        5 if !variants.iter().any(|variant| variant.name == "Added") => {
            variants.insert(at, named("Added".to_owned(), Shape::Newtype(Ty::Plain("u8")), false));
        }
        _ if !variants[at].other => {
            let rule = variants[at].rename_all.is_some();
            edited_shape(&mut variants[at].shape, rule, chance);
        }
        _ => {}
    }
}

const fn named(name: String, shape: Shape, other: bool) -> Variant {
    Variant { name, rename: None, aliases: Vec::new(), rename_all: None, shape, other }
}

fn edited_ty(ty: &mut Ty, chance: &mut Chance) {
    match ty {
        Ty::Plain("String") if chance.below(2) == 0 => {}
        Ty::Plain(of) if INTEGERS.contains(of) && chance.below(4) > 0 => {
            *of = chance.pick(&INTEGERS);
        }
        Ty::Plain(_) if chance.below(2) == 0 => *ty = Ty::Option(Box::new(ty.clone())),
        Ty::Plain(of) => *of = chance.pick(&["f64", "String", "bool", "u16"]),
        Ty::Option(inner) if chance.below(2) == 0 => *ty = (**inner).clone(),
        Ty::Vec(inner) if chance.below(2) == 0 => {
            let inner = inner.clone();
            *ty = match chance.below(2) {
                0 => Ty::Array(inner, 1 + chance.below(2)),
                _ => Ty::Tuple(vec![*inner]),
            };
        }
        Ty::Array(inner, _) if chance.below(2) == 0 => *ty = Ty::Vec(inner.clone()),
        Ty::Array(inner, length) if chance.below(2) == 0 => {
            *ty = Ty::Tuple(vec![(**inner).clone(); *length]);
        }
        Ty::Set(of) => *ty = Ty::Vec(Box::new(Ty::Plain(of))),
        Ty::Option(inner) | Ty::Vec(inner) | Ty::Map(_, inner) | Ty::Array(inner, _) => {
            // JSON cannot tell an option in an option.
            let before = inner.clone();
            edited_ty(inner, chance);
            if matches!(**inner, Ty::Option(_)) {
                *inner = before;
            }
        }
        Ty::Tuple(items) => {
            let at = chance.below(items.len());
            edited_ty(&mut items[at], chance);
        }
        Ty::Text => *ty = Ty::Plain("String"),
        Ty::Part(_) => {}
    }
}
