//! Reading serde's attributes: what the schema follows, and what it must refuse.

use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::{Attribute, Expr, LitStr, Token, parenthesized, token};

use crate::case::Case;

/// What stands on a struct or enum.
#[derive(Debug, Default)]
pub(crate) struct Container {
    pub(crate) rename_all: Option<Case>,
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) default: bool,
    pub(crate) transparent: bool,
    pub(crate) closed: bool,
}

/// What stands on a field or a variant.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) aliases: Vec<String>,
    pub(crate) default: bool,
    pub(crate) skip_serializing: bool,
    pub(crate) skip_deserializing: bool,
}

/// Attributes that no schema can follow, and why.
const REFUSED: &[(&str, &str)] = &[
    ("untagged", "an untagged enum cannot be decoded from postcard, which keeps no types"),
    ("tag", "an inner tag needs a self-describing format, and postcard is none"),
    ("content", "an inner tag needs a self-describing format, and postcard is none"),
    ("flatten", "flattening needs a self-describing format, and postcard is none"),
    ("with", "the schema cannot see what the functions write; use a type with its own Schema"),
    ("serialize_with", "the schema cannot see what the function writes"),
    ("deserialize_with", "the schema cannot see what the function reads"),
    ("from", "the schema cannot see the type that is read in this one's place"),
    ("try_from", "the schema cannot see the type that is read in this one's place"),
    ("into", "the schema cannot see the type that is written in this one's place"),
    ("remote", "the schema describes the type itself, not a stand-in for another"),
    ("getter", "the schema describes the type itself, not a stand-in for another"),
    ("skip_serializing_if", "postcard has no way to leave a field out; use an Option"),
    ("other", "a reader's catch-all variant would hide that it lacks the writer's"),
    ("variant_identifier", "an identifier is part of a format, not a message"),
    ("field_identifier", "an identifier is part of a format, not a message"),
];

/// Attributes that change nothing on the wire.
const HARMLESS: &[&str] = &["bound", "borrow", "crate", "expecting"];

impl Container {
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut container = Self::default();
        each(attributes, |name, meta| {
            match name {
                "rename" => drop(both_ways::<LitStr>(meta)?),
                "rename_all" => container.rename_all = Some(case(meta)?),
                "rename_all_fields" => container.rename_all_fields = Some(case(meta)?),
                "default" => container.default = default(meta)?,
                "transparent" => container.transparent = true,
                "deny_unknown_fields" => container.closed = true,
                _ => return refuse(name, meta),
            }
            Ok(())
        })?;
        Ok(container)
    }
}

impl Part {
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut part = Self::default();
        each(attributes, |name, meta| {
            match name {
                "rename" => part.rename = Some(both_ways::<LitStr>(meta)?.value()),
                "rename_all" => part.rename_all = Some(case(meta)?),
                "alias" => part.aliases.push(meta.value()?.parse::<LitStr>()?.value()),
                "default" => part.default = default(meta)?,
                "skip" => {
                    part.skip_serializing = true;
                    part.skip_deserializing = true;
                }
                "skip_serializing" => part.skip_serializing = true,
                "skip_deserializing" => part.skip_deserializing = true,
                "deny_unknown_fields" => {
                    return Err(meta.error("serde takes this on the type, not here"));
                }
                _ => return refuse(name, meta),
            }
            Ok(())
        })?;
        Ok(part)
    }

    pub(crate) const fn skipped(&self) -> bool {
        self.skip_serializing && self.skip_deserializing
    }

    /// The name serde uses, and the other names it takes when reading.
    pub(crate) fn names(&self, renamed: String) -> (String, Vec<String>) {
        let name = self.rename.clone().unwrap_or(renamed);
        let mut aliases = self.aliases.clone();
        aliases.retain(|alias| *alias != name);
        (name, aliases)
    }
}

fn each(
    attributes: &[Attribute],
    mut take: impl FnMut(&str, &ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| {
            let name = meta.path.require_ident()?.to_string();
            take(&name, &meta)
        })?;
    }
    Ok(())
}

fn case(meta: &ParseNestedMeta<'_>) -> syn::Result<Case> {
    Case::parse(&both_ways(meta)?)
}

/// A value that serde would also take in two halves, `name(serialize = …, deserialize = …)`.
fn both_ways<T: Parse>(meta: &ParseNestedMeta<'_>) -> syn::Result<T> {
    if meta.input.peek(token::Paren) {
        return Err(meta.error(
            "a schema has one name for both ways; write `name = \"…\"`, and `alias` for the names \
             that only the reader takes",
        ));
    }
    meta.value()?.parse()
}

fn default(meta: &ParseNestedMeta<'_>) -> syn::Result<bool> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<LitStr>()?;
    }
    Ok(true)
}

fn refuse(name: &str, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err(meta.error(format!("`serde({name})` cannot be part of a message: {why}")));
    }
    if !HARMLESS.contains(&name) {
        return Err(meta.error(format!(
            "`serde({name})` is not known here, so the schema might not be what is on the wire"
        )));
    }
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(token::Paren) {
        let ignored;
        parenthesized!(ignored in meta.input);
        ignored.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}
