//! `#[derive(Message)]`: a schema with a name and a version.

mod conversions;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{DeriveInput, LitInt, LitStr, Path};

use crate::krate::{given_crate, message_crate};
use crate::schema;
use crate::serde_attributes::Container;
use conversions::Conversions;

const MAX_NAME_BYTES: usize = 200;

/// The derive itself.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &input.generics,
            "a message is one concrete type: its name and version speak for one schema. Derive \
             `Schema` on the generic type, and `Message` on a struct that holds it",
        ));
    }
    if Container::read(&input.attrs)?.remote {
        return Err(syn::Error::new(
            input.ident.span(),
            "a stand-in for another type (`serde(remote)`) is written and read only as a field; derive \
             `Schema`, and say `#[serde(with = \"…\")] #[schema(as = \"…\")]` there",
        ));
    }
    let attributes = Attributes::read(input)?;
    let krate = attributes.krate.map_or_else(message_crate, |path| Ok(quote!(#path)))?;
    let ident = &input.ident;
    let version = attributes.version;
    let name = attributes.name.map_or_else(
        || {
            let plain = ident.unraw().to_string();
            quote!(::std::concat!(::std::env!("CARGO_PKG_NAME"), ".", #plain))
        },
        |name| quote!(#name),
    );
    let schema = schema::implement(
        input,
        &krate,
        &quote!(<Self as #krate::Message>::NAME),
        &quote!(::core::option::Option::Some(<Self as #krate::Message>::VERSION)),
        attributes.conversions.function(&krate),
    )?;
    let checks = attributes.conversions.checks(ident, &krate);
    Ok(quote! {
        #schema

        #[automatically_derived]
        impl #krate::Message for #ident {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;

            fn type_info() -> &'static #krate::TypeInfo {
                static INFO: ::std::sync::OnceLock<#krate::TypeInfo> =
                    ::std::sync::OnceLock::new();
                INFO.get_or_init(#krate::TypeInfo::of::<Self>)
            }
        }

        #checks
    })
}

struct Attributes {
    name: Option<LitStr>,
    version: u32,
    krate: Option<Path>,
    conversions: Conversions,
}

impl Attributes {
    fn read(input: &DeriveInput) -> syn::Result<Self> {
        let mut read =
            Self { name: None, version: 1, krate: None, conversions: Conversions::default() };
        for attribute in input.attrs.iter().filter(|one| one.path().is_ident("message")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    read.name = Some(checked_name(meta.value()?.parse()?)?);
                } else if meta.path.is_ident("version") {
                    let number: LitInt = meta.value()?.parse()?;
                    read.version = number.base10_parse()?;
                    if read.version == 0 {
                        return Err(syn::Error::new(number.span(), "versions start at 1"));
                    }
                } else if meta.path.is_ident("crate") {
                    read.krate = Some(given_crate(&meta.value()?.parse()?)?);
                } else if meta.path.is_ident("from") {
                    read.conversions.read(&meta, false)?;
                } else if meta.path.is_ident("try_from") {
                    read.conversions.read(&meta, true)?;
                } else {
                    return Err(meta.error(
                        "`name`, `version`, `from(…)`, `try_from(…)` and `crate` are known here",
                    ));
                }
                Ok(())
            })?;
        }
        Ok(read)
    }
}

fn checked_name(name: LitStr) -> syn::Result<LitStr> {
    let text = name.value();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte);
    if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(good) {
        return Err(syn::Error::new(
            name.span(),
            "a message's name is 1 to 200 letters, digits and `_ . - : /`",
        ));
    }
    Ok(name)
}
