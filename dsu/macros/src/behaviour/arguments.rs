//! The arguments of `#[behaviour(…)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Token, Type, parenthesized};

use crate::state::positive;

/// `name = "counter", version = 1, sends(Tick), calls(Add -> Total)`.
pub(crate) struct Arguments {
    pub(super) name: LitStr,
    pub(super) version: u32,
    sends: Vec<Type>,
    calls: Vec<Call>,
    pub(super) receives: Vec<Received>,
}

/// What a loop receives.
pub(super) struct Received {
    pub(super) message: Type,
    reply: Option<Type>,
}

impl Parse for Received {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let message = input.parse()?;
        let has_reply = input.parse::<Option<Token![->]>>()?.is_some();
        Ok(Self { message, reply: if has_reply { Some(input.parse()?) } else { None } })
    }
}

impl Received {
    /// The entry in the list of what the behaviour accepts.
    pub(super) fn accept(&self, abi: &TokenStream) -> TokenStream {
        let message = &self.message;
        let info = type_info(message, abi);
        let reply = reply_info(self.reply.as_ref(), abi);
        quote! {
            #abi::Accept {
                message: #info,
                reply: #reply,
                handler: #abi::Handler::Received(#abi::glue::read::<#message>),
                reader: #abi::message_reader::<#message>,
            }
        }
    }
}

struct Call {
    message: Type,
    reply: Type,
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let message = input.parse()?;
        if input.parse::<Option<Token![->]>>()?.is_none() {
            return Err(input.error("say what it gets back: `calls(Add -> Total)`"));
        }
        Ok(Self { message, reply: input.parse()? })
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (mut name, mut version) = (None, None);
        let (mut sends, mut calls, mut receives) = (Vec::new(), Vec::new(), Vec::new());
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            match key.to_string().as_str() {
                "name" => {
                    input.parse::<Token![=]>()?;
                    name = Some(checked_name(input.parse()?)?);
                }
                "version" => {
                    input.parse::<Token![=]>()?;
                    version = Some(positive(&input.parse()?)?);
                }
                "sends" => sends.extend(list::<Type>(input)?),
                "calls" => calls.extend(list::<Call>(input)?),
                "receives" => receives.extend(list::<Received>(input)?),
                _ => {
                    let text = "`name`, `version`, `sends(…)`, `calls(… -> …)` and `receives(…)` are known here";
                    return Err(syn::Error::new(key.span(), text));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = |what: &str| {
            input.error(format!(
                "{what} is missing: `#[behaviour(name = \"counter\", version = 1)]`"
            ))
        };
        check_unique(sends.iter(), "sends")?;
        check_unique(calls.iter().map(|call| &call.message), "calls")?;
        check_unique(receives.iter().map(|received| &received.message), "receives")?;
        Ok(Self {
            name: name.ok_or_else(|| missing("`name`"))?,
            version: version.ok_or_else(|| missing("`version`"))?,
            sends,
            calls,
            receives,
        })
    }
}

impl Arguments {
    pub(super) fn send_infos(&self, abi: &TokenStream) -> Vec<TokenStream> {
        self.sends.iter().map(|message| type_info(message, abi)).collect()
    }

    pub(super) fn call_infos(&self, abi: &TokenStream) -> Vec<TokenStream> {
        let info = |call: &Call| {
            let (message, reply) = (type_info(&call.message, abi), type_info(&call.reply, abi));
            let read = &call.reply;
            let reader = quote!(#abi::message_reader::<#read>);
            quote!(#abi::Called { message: #message, reply: #reply, reader: #reader })
        };
        self.calls.iter().map(info).collect()
    }

    /// The traits by which a context lets these through.
    pub(super) fn implement(&self, me: &Type, abi: &TokenStream) -> TokenStream {
        let sends = self.sends.iter().zip(0_u32..).map(|(message, index)| {
            quote!(impl #abi::Sends<#message> for #me { const INDEX: u32 = #index; })
        });
        let calls = self.calls.iter().zip(0_u32..).map(|(Call { message, reply }, index)| {
            quote! {
                impl #abi::Calls<#message> for #me {
                    type Reply = #reply;
                    const INDEX: u32 = #index;
                }
            }
        });
        let receives = self.receives.iter().zip(0_u32..).map(|(one, index)| {
            let message = &one.message;
            let reply = one.reply.as_ref().map_or_else(|| quote!(()), |reply| quote!(#reply));
            quote! {
                #[automatically_derived]
                impl #abi::Accepts<#message> for #me { const INDEX: u32 = #index; }
                #[automatically_derived]
                impl #abi::Receives<#message> for #me { type Reply = #reply; }
            }
        });
        quote! {
            #(#[automatically_derived] #sends)*
            #(#[automatically_derived] #calls)*
            #(#receives)*
        }
    }
}

/// The function that describes a message.
pub(super) fn type_info(message: &Type, abi: &TokenStream) -> TokenStream {
    quote!(<#message as #abi::message::Message>::type_info)
}

/// The function that describes a reply, if there is one.
pub(super) fn reply_info(reply: Option<&Type>, abi: &TokenStream) -> TokenStream {
    match reply.map(|reply| type_info(reply, abi)) {
        Some(info) => quote!(::core::option::Option::Some(#info)),
        None => quote!(::core::option::Option::None),
    }
}

fn list<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let inside;
    parenthesized!(inside in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&inside)?.into_iter().collect())
}

fn check_unique<'a>(types: impl Iterator<Item = &'a Type>, key: &str) -> syn::Result<()> {
    let mut seen = Vec::new();
    for ty in types {
        let text = ty.to_token_stream().to_string();
        if seen.contains(&text) {
            return Err(syn::Error::new_spanned(ty, format!("twice in `{key}`")));
        }
        seen.push(text);
    }
    Ok(())
}

fn checked_name(name: LitStr) -> syn::Result<LitStr> {
    let text = name.value();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if text.is_empty() || text.len() > 100 || text.starts_with('.') || !text.bytes().all(good) {
        return Err(syn::Error::new(
            name.span(),
            "a behaviour's name is 1 to 100 letters, digits and `_ . -`, and begins with no dot",
        ));
    }
    Ok(name)
}
