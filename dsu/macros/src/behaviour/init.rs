//! `fn init`: how a process begins.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, ImplItemFn, Type, parse_quote};

use super::Returned;

const SHAPE: &str = "`init` is `fn init(cx: &mut Context<Self>, start: Start) -> Self`, with or \
                     without `start`, and may return `Result<Self, Error>`";

pub(super) struct Init {
    pub(super) start: Type,
    has_start: bool,
    may_fail: bool,
    span: proc_macro2::Span,
}

impl Init {
    pub(super) fn read(function: &ImplItemFn) -> syn::Result<Self> {
        let signature = &function.sig;
        let shape = || syn::Error::new(signature.span(), SHAPE);
        if signature.asyncness.is_some() || !signature.generics.params.is_empty() {
            return Err(shape());
        }
        let mut inputs = signature.inputs.iter();
        let Some(FnArg::Typed(_)) = inputs.next() else { return Err(shape()) };
        let (start, has_start) = match (inputs.next(), inputs.next()) {
            (None, _) => (parse_quote!(()), false),
            (Some(FnArg::Typed(start)), None) => ((*start.ty).clone(), true),
            _ => return Err(shape()),
        };
        let may_fail = match Returned::read(&signature.output)? {
            Returned::Nothing => return Err(shape()),
            Returned::Value(_) => false,
            Returned::Result(_) => true,
        };
        Ok(Self { start, has_start, may_fail, span: signature.ident.span() })
    }

    /// The function of the trait.
    pub(super) fn begin(&self, me: &Type, abi: &TokenStream) -> TokenStream {
        let call = if self.has_start {
            quote_spanned!(self.span => <#me>::init(cx, start))
        } else {
            quote_spanned!(self.span => { let () = start; <#me>::init(cx) })
        };
        let body = if self.may_fail {
            quote!(#call.map_err(#abi::Failure::refused))
        } else {
            quote!(::core::result::Result::Ok(#call))
        };
        quote! {
            fn begin(
                cx: &mut #abi::Context<Self>,
                start: Self::Start,
            ) -> ::core::result::Result<Self, #abi::Failure> {
                #body
            }
        }
    }
}
