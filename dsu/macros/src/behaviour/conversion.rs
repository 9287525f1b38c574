//! `#[convert_from(n)]` and `#[convert_to(n)]`: the ways between versions of the state.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Ident, ImplItemFn, LitInt, Type};

use super::Returned;
use crate::state::positive;

const FROM: &str = "`#[convert_from(1)] fn from_v1(old: CounterV1) -> Result<Self, ConvertError>`";
const TO: &str = "`#[convert_to(1)] fn to_v1(&self) -> Result<CounterV1, ConvertError>`";

/// By version, each with its two directions.
#[derive(Default)]
pub(super) struct Conversions(BTreeMap<u32, Both>);

#[derive(Default)]
struct Both {
    from: Option<Way>,
    to: Option<Way>,
}

struct Way {
    state: Type,
    name: Ident,
    may_fail: bool,
}

impl Conversions {
    pub(super) fn read_from(
        &mut self,
        attribute: &Attribute,
        function: &ImplItemFn,
    ) -> syn::Result<()> {
        let version = read_version(attribute, FROM)?;
        let signature = &function.sig;
        let shape = || syn::Error::new(signature.span(), format!("a conversion is {FROM}"));
        let mut inputs = signature.inputs.iter();
        let (Some(FnArg::Typed(old)), None) = (inputs.next(), inputs.next()) else {
            return Err(shape());
        };
        let may_fail = match Returned::read(&signature.output)? {
            Returned::Nothing => return Err(shape()),
            Returned::Value(_) => false,
            Returned::Result(_) => true,
        };
        let way = Way { state: (*old.ty).clone(), name: signature.ident.clone(), may_fail };
        put(&mut self.0.entry(version).or_default().from, way)
    }

    pub(super) fn read_to(
        &mut self,
        attribute: &Attribute,
        function: &ImplItemFn,
    ) -> syn::Result<()> {
        let version = read_version(attribute, TO)?;
        let signature = &function.sig;
        let shape = || syn::Error::new(signature.span(), format!("a conversion is {TO}"));
        let mut inputs = signature.inputs.iter();
        let (Some(FnArg::Receiver(me)), None) = (inputs.next(), inputs.next()) else {
            return Err(shape());
        };
        if me.reference.is_none() || me.mutability.is_some() {
            return Err(shape());
        }
        let (state, may_fail) = match Returned::read(&signature.output)? {
            Returned::Nothing => return Err(shape()),
            Returned::Value(state) => (state, false),
            Returned::Result(state) => (state, true),
        };
        let way = Way { state, name: signature.ident.clone(), may_fail };
        put(&mut self.0.entry(version).or_default().to, way)
    }

    /// The entries in the list of the behaviour's conversions.
    pub(super) fn list(&self, abi: &TokenStream) -> Vec<TokenStream> {
        let ok = quote!(::core::result::Result::Ok);
        let none = quote!(::core::option::Option::None);
        let some = quote!(::core::option::Option::Some);
        let entry = |(version, both): (&u32, &Both)| {
            let state = both.state();
            let from = both.from.as_ref().map_or_else(
                || none.clone(),
                |Way { state, name, may_fail }| {
                    let made = quote!(Self::#name(old));
                    let made = if *may_fail { made } else { quote!(#ok(#made)) };
                    quote!(#some(|bytes| #abi::convert_from::<#state, Self>(bytes, |old| #made)))
                },
            );
            let to = both.to.as_ref().map_or_else(
                || none.clone(),
                |Way { state, name, may_fail }| {
                    let made = quote!(state.#name());
                    let made = if *may_fail { made } else { quote!(#ok(#made)) };
                    quote!(#some(|state| #abi::convert_to::<#state>(#made)))
                },
            );
            quote! {
                #abi::Conversion {
                    version: #version,
                    state: #abi::state_info::<#state>,
                    reader: #abi::state_reader::<#state>,
                    from: #from,
                    to: #to,
                }
            }
        };
        self.0.iter().map(entry).collect()
    }

    /// What only the compiler can check: that the versions written are those of the types.
    pub(super) fn checks(&self, me: &Type, abi: &TokenStream) -> TokenStream {
        let each = self.0.iter().flat_map(|(version, both)| {
            let ways = both.from.iter().chain(&both.to);
            ways.map(move |way| (version, &way.state))
        });
        let each = each.map(|(version, state)| {
            quote! {
                const _: () = ::core::assert!(
                    <#state as #abi::State>::VERSION == #version,
                    "this conversion is for another version than its type's #[state(version)] says"
                );
                const _: () = ::core::assert!(
                    <#me as #abi::State>::VERSION != #version,
                    "a state needs no conversion to and from its own version"
                );
            }
        });
        quote!(#(#each)*)
    }
}

impl Both {
    fn state(&self) -> Option<&Type> {
        self.from.as_ref().or(self.to.as_ref()).map(|way| &way.state)
    }
}

fn put(place: &mut Option<Way>, way: Way) -> syn::Result<()> {
    if place.is_some() {
        let text = "there is a conversion for this version and direction already";
        return Err(syn::Error::new(way.name.span(), text));
    }
    *place = Some(way);
    Ok(())
}

fn read_version(attribute: &Attribute, shape: &str) -> syn::Result<u32> {
    let number: LitInt = attribute.parse_args().map_err(|error| {
        syn::Error::new(error.span(), format!("say which version of the state: {shape}"))
    })?;
    positive(&number)
}
