//! Reading serde's attributes: what the schema follows, and what it must refuse.

use quote::ToTokens;
use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, LitStr, Token, Type, parenthesized, token};

use crate::case::Case;

/// What stands on a struct or enum.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) rename_all: Option<Case>,
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) default: bool,
    pub(crate) transparent: bool,
    pub(crate) closed: bool,
    /// What is written and read in the type's place.
    pub(crate) proxy: Option<Proxy>,
    /// Whether it is a stand-in for another type.
    pub(crate) remote: bool,
}

/// A type in another's place: `#[serde(from = "…", into = "…")]`.
pub(crate) struct Proxy {
    pub(crate) ty: Type,
    /// Whether the type may refuse what is read.
    pub(crate) checked: bool,
}

/// What stands on a field or a variant.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) aliases: Vec<String>,
    pub(crate) default: bool,
    pub(crate) skip_serializing: bool,
    pub(crate) skip_deserializing: bool,
    pub(crate) other: bool,
    /// The type that the author says is written and read: `#[schema(as = "…")]`.
    pub(crate) stated: Option<Type>,
    /// Functions that write or read, and what is wrong with that where nothing is stated.
    with: Option<syn::Error>,
}

/// Attributes that no schema can follow, and why.
const REFUSED: &[(&str, &str)] = &[
    ("untagged", "an untagged enum cannot be decoded from postcard, which keeps no types"),
    (
        "tag",
        "a tag needs a self-describing format, and postcard is none: its variants go by number. Leave \
         the tag away, or put it on another type for the other format",
    ),
    ("content", "a tag needs a self-describing format, and postcard is none"),
    (
        "flatten",
        "flattening needs a self-describing format, and postcard is none; let the part be a field",
    ),
    (
        "skip_serializing_if",
        "postcard has no way to leave a field out: all that follow would shift; use an Option",
    ),
    ("variant_identifier", "an identifier is part of a format, not a message"),
    ("field_identifier", "an identifier is part of a format, not a message"),
];

/// Attributes that change nothing on the wire.
const HARMLESS: &[&str] = &["bound", "borrow", "crate", "expecting", "getter"];

impl Container {
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut container = Self::default();
        let (mut read, mut written) = (None, None);
        each(attributes, "serde", |name, meta| {
            match name {
                "rename" => drop(both_ways::<LitStr>(meta)?),
                "rename_all" => container.rename_all = Some(case(meta)?),
                "rename_all_fields" => container.rename_all_fields = Some(case(meta)?),
                "default" => container.default = default(meta)?,
                "transparent" => container.transparent = true,
                "deny_unknown_fields" => container.closed = true,
                "from" => read = Some(Proxy { ty: ty(meta)?, checked: false }),
                "try_from" => read = Some(Proxy { ty: ty(meta)?, checked: true }),
                "into" => written = Some(ty(meta)?),
                "remote" => {
                    meta.value()?.parse::<LitStr>()?;
                    container.remote = true;
                }
                _ => return refuse(name, meta),
            }
            Ok(())
        })?;
        container.proxy = match (read, written) {
            (None, None) => None,
            (Some(proxy), Some(written)) if text(&proxy.ty) == text(&written) => Some(proxy),
            _ => {
                return Err(syn::Error::new(
                    attributes.first().map_or_else(proc_macro2::Span::call_site, Spanned::span),
                    "what is written must be what is read: `serde(into = \"T\")` with \
                     `serde(from = \"T\")` or `serde(try_from = \"T\")`, of the same type `T`",
                ));
            }
        };
        Ok(container)
    }
}

impl Part {
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut part = Self::default();
        each(attributes, "schema", |name, meta| {
            if name != "as" {
                return Err(meta.error("only `as = \"Type\"` is known here"));
            }
            part.stated = Some(ty(meta)?);
            Ok(())
        })?;
        each(attributes, "serde", |name, meta| {
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
                "other" => part.other = true,
                "with" | "serialize_with" | "deserialize_with" => {
                    part.with = Some(meta.error(format!(
                        "the schema cannot see what `serde({name})` writes and reads: say which type \
                         has the same form, `#[schema(as = \"String\")]`"
                    )));
                    meta.value()?.parse::<LitStr>()?;
                }
                "deny_unknown_fields" => {
                    return Err(meta.error("serde takes this on the type, not here"));
                }
                _ => return refuse(name, meta),
            }
            Ok(())
        })?;
        match (&part.stated, part.with.take()) {
            (None, Some(error)) => Err(error),
            _ => Ok(part),
        }
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
    called: &str,
    mut take: impl FnMut(&str, &ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(called)) {
        attribute.parse_nested_meta(|meta| {
            let name = meta.path.require_ident()?.to_string();
            take(&name, &meta)
        })?;
    }
    Ok(())
}

fn text(ty: &Type) -> String {
    ty.to_token_stream().to_string()
}

/// A type in quotes.
fn ty(meta: &ParseNestedMeta<'_>) -> syn::Result<Type> {
    let text: LitStr = meta.value()?.parse()?;
    // Not the literal's own span: lints would take the generated code for the user's.
    syn::parse_str(&text.value()).map_err(|error| syn::Error::new(text.span(), error))
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
