//! `#[handle]`: one function, one message.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Ident, ImplItemFn, Type};

use super::Returned;
use super::arguments::{reply_info, type_info};

const SHAPE: &str = "a handler is `fn add(&mut self, cx: &mut Context<Self>, msg: Add) -> Total`, or \
                     `async fn add(&mut self, cx: AsyncContext<Self>, msg: Add) -> Total`";

pub(super) struct Handler {
    pub(super) message: Type,
    reply: Option<Type>,
    name: Ident,
    is_async: bool,
}

impl Handler {
    pub(super) fn read(function: &ImplItemFn) -> syn::Result<Self> {
        let signature = &function.sig;
        if !signature.generics.params.is_empty() {
            return Err(syn::Error::new_spanned(&signature.generics, SHAPE));
        }
        let mut inputs = signature.inputs.iter();
        let (Some(FnArg::Receiver(me)), Some(FnArg::Typed(cx)), Some(FnArg::Typed(message)), None) =
            (inputs.next(), inputs.next(), inputs.next(), inputs.next())
        else {
            return Err(syn::Error::new(signature.span(), SHAPE));
        };
        if me.mutability.is_none() || me.reference.is_none() {
            return Err(syn::Error::new_spanned(me, SHAPE));
        }
        let is_async = signature.asyncness.is_some();
        check_context(&cx.ty, is_async)?;
        if let Type::Reference(lent) = &*message.ty {
            return Err(syn::Error::new_spanned(
                lent,
                "a handler owns its message: take it by value",
            ));
        }
        let reply = match Returned::read(&signature.output)? {
            Returned::Nothing => None,
            Returned::Value(reply) => Some(reply),
            Returned::Result(_) => {
                return Err(syn::Error::new_spanned(
                    &signature.output,
                    "a handler returns its reply, a message: put what can go wrong into it (an enum \
                     with `#[derive(Message)]`), so that callers see it in their types",
                ));
            }
        };
        Ok(Self { message: (*message.ty).clone(), reply, name: signature.ident.clone(), is_async })
    }

    /// The entry in the list of what the behaviour accepts.
    pub(super) fn accept(&self, index: u32, abi: &TokenStream) -> TokenStream {
        let Self { message, name, .. } = self;
        let info = type_info(message, abi);
        let reply = reply_info(self.reply.as_ref(), abi);
        let answer = self.reply.is_some();
        let handler = match (self.is_async, answer) {
            (false, true) => quote_spanned! { name.span() =>
                Plain(|state, cx, bytes| #abi::glue::answer(#index, bytes, cx, |cx, msg: #message| {
                    state.#name(cx, msg)
                }))
            },
            (false, false) => quote_spanned! { name.span() =>
                Plain(|state, cx, bytes| #abi::glue::cast(bytes, cx, |cx, msg: #message| {
                    state.#name(cx, msg);
                }))
            },
            (true, true) => quote_spanned! { name.span() =>
                Async(|bytes| #abi::glue::answer_async(#index, bytes, |state: &mut Self, cx, msg: #message| {
                    ::std::boxed::Box::pin(state.#name(cx, msg))
                }))
            },
            (true, false) => quote_spanned! { name.span() =>
                Async(|bytes| #abi::glue::cast_async(bytes, |state: &mut Self, cx, msg: #message| {
                    ::std::boxed::Box::pin(state.#name(cx, msg))
                }))
            },
        };
        quote! {
            #abi::Accept {
                message: #info,
                reply: #reply,
                handler: #abi::Handler::#handler,
                reader: #abi::message_reader::<#message>,
            }
        }
    }
}

/// Two handlers of one message cannot be told apart.
pub(super) fn check_unique(handlers: &[Handler]) -> syn::Result<()> {
    for (at, one) in handlers.iter().enumerate() {
        let text = one.message.to_token_stream().to_string();
        let earlier = &handlers[..at];
        if earlier.iter().any(|other| other.message.to_token_stream().to_string() == text) {
            return Err(syn::Error::new_spanned(
                &one.message,
                "there is a handler for this message already",
            ));
        }
    }
    Ok(())
}

fn check_context(ty: &Type, is_async: bool) -> syn::Result<()> {
    let (path, is_lent) = match ty {
        Type::Reference(lent) => (&*lent.elem, true),
        owned => (owned, false),
    };
    let Type::Path(path) = path else { return Err(syn::Error::new_spanned(ty, SHAPE)) };
    let Some(last) = path.path.segments.last() else {
        return Err(syn::Error::new_spanned(ty, SHAPE));
    };
    match (is_async, is_lent, last.ident == "AsyncContext", last.ident == "Context") {
        (true, true, _, true) | (true, true, true, _) => Err(syn::Error::new_spanned(
            ty,
            "an `async` handler takes `cx: AsyncContext<Self>`, which it owns while it waits",
        )),
        (false, _, true, _) => Err(syn::Error::new_spanned(
            ty,
            "a plain handler takes `cx: &mut Context<Self>`; to call or sleep, make it an `async fn`",
        )),
        (false, false, _, true) => {
            Err(syn::Error::new_spanned(ty, "a plain handler takes `cx: &mut Context<Self>`"))
        }
        _ => Ok(()),
    }
}
