//! Finding the message crate from wherever the derive is used.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, LitStr, Path};

/// The path that an attribute states.
pub(crate) fn given_crate(path: &LitStr) -> syn::Result<Path> {
    // Not the literal's own span: lints would take the generated code for the user's.
    let bad = |error| syn::Error::new(path.span(), error);
    syn::parse_str(&path.value()).map_err(bad)
}

/// The path of `midflight-message`, directly or through a crate that re-exports it as `message`.
pub(crate) fn message_crate() -> syn::Result<TokenStream> {
    let carriers = ["midflight-message", "midflight-abi", "midflight-process"];
    for package in carriers {
        let name = match crate_name(package) {
            Ok(FoundCrate::Name(name)) => name,
            // These crates name themselves with `extern crate self as …`, which also holds in their
            // tests, examples and documentation.
            Ok(FoundCrate::Itself) => package.replace('-', "_"),
            Err(_) => continue,
        };
        let name = Ident::new(&name, Span::call_site());
        return Ok(if package == "midflight-message" {
            quote!(::#name)
        } else {
            quote!(::#name::message)
        });
    }
    Err(syn::Error::new(
        Span::call_site(),
        "none of the crates midflight-message, midflight-abi and midflight-process is among this \
         package's dependencies; add one, or say where it is: #[message(crate = \"path\")]",
    ))
}
