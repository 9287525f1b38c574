//! `#[health]`: what says of its state whether a process is well.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Ident, ImplItemFn};

use super::Returned;

const SHAPE: &str = "it is `fn health(&self) -> Result<(), String>`, or with another error that can be shown: it \
                     looks at the state alone, and `Err` says why the process is not well";

pub(super) struct Health {
    name: Ident,
}

impl Health {
    pub(super) fn read(function: &ImplItemFn) -> syn::Result<Self> {
        let signature = &function.sig;
        let mut inputs = signature.inputs.iter();
        let looks = matches!(
            (inputs.next(), inputs.next()),
            (Some(FnArg::Receiver(me)), None) if me.reference.is_some() && me.mutability.is_none()
        );
        let answers = matches!(Returned::read(&signature.output)?, Returned::Result(_));
        let is_plain = signature.asyncness.is_none() && signature.generics.params.is_empty();
        if !looks || !answers || !is_plain {
            return Err(syn::Error::new(signature.span(), SHAPE));
        }
        Ok(Self { name: signature.ident.clone() })
    }

    /// The constant of the trait.
    pub(super) fn constant(&self, abi: &TokenStream) -> TokenStream {
        let name = &self.name;
        let ask = quote_spanned! { name.span() =>
            |state| Self::#name(state).map_err(#abi::Failure::unhealthy)
        };
        quote! {
            const HEALTH: ::core::option::Option<#abi::HealthFn<Self>> =
                ::core::option::Option::Some(#ask);
        }
    }
}

/// A behaviour has one.
pub(super) fn keep(place: &mut Option<Health>, health: Health) -> syn::Result<()> {
    if place.is_some() {
        return Err(syn::Error::new(health.name.span(), "there is a health function already"));
    }
    *place = Some(health);
    Ok(())
}
