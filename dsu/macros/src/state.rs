//! `#[derive(State)]`: the state of a behaviour, in one version of its shape.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, LitInt};

use crate::behaviour::abi_crate;
use crate::schema;

/// The derive itself.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &input.generics,
            "a state is one concrete type: its version speaks for one schema",
        ));
    }
    let version = read_version(input)?;
    let abi = abi_crate()?;
    let ident = &input.ident;
    // The struct's own name is left out, so that the `CounterV1` that version 2 converts from has the
    // fingerprint of what version 1 calls `Counter`.
    let schema = schema::implement(
        input,
        &quote!(#abi::message),
        &quote!("state"),
        &quote!(::core::option::Option::Some(<Self as #abi::State>::VERSION)),
        None,
    )?;
    Ok(quote! {
        #schema

        #[automatically_derived]
        impl #abi::State for #ident {
            const VERSION: u32 = #version;
        }
    })
}

fn read_version(input: &DeriveInput) -> syn::Result<u32> {
    let mut version = None;
    for attribute in input.attrs.iter().filter(|one| one.path().is_ident("state")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("version") {
                return Err(meta.error("only `version` is known here: `#[state(version = 1)]`"));
            }
            version = Some(positive(&meta.value()?.parse()?)?);
            Ok(())
        })?;
    }
    version.ok_or_else(|| {
        syn::Error::new(
            input.ident.span(),
            "say which version of the state this is: `#[state(version = 1)]`, one more with every \
             change",
        )
    })
}

/// A version number.
pub(crate) fn positive(number: &LitInt) -> syn::Result<u32> {
    match number.base10_parse()? {
        0 => Err(syn::Error::new(number.span(), "versions start at 1")),
        version => Ok(version),
    }
}
