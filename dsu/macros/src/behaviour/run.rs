//! `#[run]`: a process that is written as a loop.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Ident, ImplItemFn, Type};

use super::Returned;
use super::arguments::Arguments;
use super::handler::Handler;

const SHAPE: &str = "a loop is `async fn run(mut self, cx: Loop<Self>)`: it owns its state, and ends the process when \
                     it returns";

pub(super) struct Run {
    name: Ident,
}

impl Run {
    pub(super) fn read(function: &ImplItemFn) -> syn::Result<Self> {
        let signature = &function.sig;
        let shape = || syn::Error::new(signature.span(), SHAPE);
        let mut inputs = signature.inputs.iter();
        let (Some(FnArg::Receiver(me)), Some(FnArg::Typed(cx)), None) =
            (inputs.next(), inputs.next(), inputs.next())
        else {
            return Err(shape());
        };
        let owns = matches!(&*cx.ty, Type::Path(path) if path.path.segments.last().is_some_and(|l| l.ident == "Loop"));
        let returns = !matches!(Returned::read(&signature.output)?, Returned::Nothing);
        if signature.asyncness.is_none()
            || !signature.generics.params.is_empty()
            || me.reference.is_some()
            || !owns
            || returns
        {
            return Err(shape());
        }
        Ok(Self { name: signature.ident.clone() })
    }

    /// The constant of the trait.
    pub(super) fn constant(&self, abi: &TokenStream) -> TokenStream {
        let name = &self.name;
        let begin = quote_spanned! { name.span() =>
            |state, cx| ::std::boxed::Box::pin(Self::#name(state, cx))
        };
        quote! {
            const RUN: ::core::option::Option<#abi::RunFn<Self>> =
                ::core::option::Option::Some(#begin);
        }
    }
}

/// A behaviour has one loop.
pub(super) fn keep(place: &mut Option<Run>, run: Run) -> syn::Result<()> {
    if place.is_some() {
        return Err(syn::Error::new(run.name.span(), "there is a loop already"));
    }
    *place = Some(run);
    Ok(())
}

/// A behaviour has handlers or a loop, and only a loop receives.
pub(super) fn check(
    run: Option<&Run>,
    handlers: &[Handler],
    arguments: &Arguments,
) -> syn::Result<()> {
    match (run, handlers.first(), arguments.receives.first()) {
        (Some(_), Some(handler), _) => Err(syn::Error::new_spanned(
            &handler.message,
            "a behaviour has a loop or handlers: let the loop receive this, `receives(…)`",
        )),
        (None, _, Some(received)) => Err(syn::Error::new_spanned(
            &received.message,
            "only a loop receives: write `#[run] async fn run(mut self, cx: Loop<Self>)`, or handle this",
        )),
        _ => Ok(()),
    }
}
