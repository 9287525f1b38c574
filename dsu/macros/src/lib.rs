//! Derives and attributes for messages, states and behaviours.
//!
//! Users find them in the crates they belong to: `midflight_message::{Message, Schema}` and
//! `midflight_abi`. This file is the list of entry points; each has its own file.
#![forbid(unsafe_code)]

mod behaviour;
mod case;
mod krate;
mod message;
mod schema;
mod serde_attributes;
mod state;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemImpl, parse_macro_input};

/// Derives `Schema`: see `midflight_message::Schema`.
#[proc_macro_derive(Schema, attributes(schema, serde))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    schema::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives `Message` and `Schema`: see `midflight_message::Message`.
#[proc_macro_derive(Message, attributes(message, schema, serde))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    message::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives `State` and `Schema`: see `midflight_abi::State`.
#[proc_macro_derive(State, attributes(state, schema, serde))]
pub fn derive_state(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    state::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an `impl` block a behaviour: see `midflight_abi`.
#[proc_macro_attribute]
pub fn behaviour(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as behaviour::Arguments);
    let item = parse_macro_input!(item as ItemImpl);
    behaviour::expand(&arguments, item).unwrap_or_else(syn::Error::into_compile_error).into()
}
