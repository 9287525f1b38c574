//! `#[message(from(AddV1 = Add::from_v1))]`: the conversions from other versions.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{ExprPath, Token, Type, parenthesized};

/// In the order in which they are written.
#[derive(Default)]
pub(super) struct Conversions(Vec<Conversion>);

struct Conversion {
    old: Type,
    function: Option<ExprPath>,
    may_fail: bool,
}

impl Parse for Conversion {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let old = input.parse()?;
        let function = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self { old, function, may_fail: false })
    }
}

impl Conversions {
    /// Reads what stands in `from(…)` or `try_from(…)`.
    pub(super) fn read(&mut self, meta: &ParseNestedMeta<'_>, may_fail: bool) -> syn::Result<()> {
        let content;
        parenthesized!(content in meta.input);
        let each = Punctuated::<Conversion, Token![,]>::parse_terminated(&content)?;
        if each.is_empty() {
            return Err(meta.error(
                "say from which type, and by which function: `from(AddV1 = Add::from_v1)`; without a \
                 function it is `From`",
            ));
        }
        self.0.extend(each.into_iter().map(|one| Conversion { may_fail, ..one }));
        Ok(())
    }

    /// The function in `impl Schema`.
    pub(super) fn function(&self, krate: &TokenStream) -> Option<TokenStream> {
        if self.0.is_empty() {
            return None;
        }
        let each = self.0.iter().map(|Conversion { old, function, may_fail }| {
            // Errors point at the function, or at the type where it is left out.
            let span = function.as_ref().map_or_else(|| old.span(), Spanned::span);
            let span = span.resolved_at(Span::call_site());
            let function = function.as_ref().map_or_else(
                || match may_fail {
                    true => {
                        quote_spanned!(span => <Self as ::core::convert::TryFrom<#old>>::try_from)
                    }
                    false => quote_spanned!(span => <Self as ::core::convert::From<#old>>::from),
                },
                |function| quote!(#function),
            );
            let make = if *may_fail { quote!(checked) } else { quote!(always) };
            let error = may_fail.then(|| quote!(, _));
            quote_spanned! { span =>
                #krate::Conversion::#make::<#old, Self #error>(#function)
            }
        });
        Some(quote! {
            fn conversions() -> ::std::vec::Vec<#krate::Conversion> {
                ::std::vec![#(#each),*]
            }
        })
    }

    /// What only the compiler can check: names and versions.
    pub(super) fn checks(&self, me: &syn::Ident, krate: &TokenStream) -> TokenStream {
        let each = self.0.iter().map(|Conversion { old, .. }| {
            let span = old.span().resolved_at(Span::call_site());
            quote_spanned!(span => const _: () = #krate::Conversion::check::<#old, #me>();)
        });
        quote!(#(#each)*)
    }
}
