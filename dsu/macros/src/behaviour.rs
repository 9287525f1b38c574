//! `#[behaviour]`: an `impl` block whose functions are a process' handlers and conversions.

mod arguments;
mod conversion;
mod handler;
mod health;
mod init;
mod run;

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Ident, ImplItem, ImplItemFn, ItemImpl, ReturnType, Type};

pub(crate) use arguments::Arguments;
use conversion::Conversions;
use handler::Handler;
use health::Health;
use init::Init;
use run::Run;

/// The attribute itself.
pub(crate) fn expand(arguments: &Arguments, mut item: ItemImpl) -> syn::Result<TokenStream> {
    check_block(&item)?;
    let abi = abi_crate()?;
    let mut parts = Parts::default();
    let mut errors = Errors::default();
    for member in &mut item.items {
        if let ImplItem::Fn(function) = member {
            errors.keep(parts.read(function));
        }
    }
    let Some(init) = parts.init.take() else {
        errors.keep(Err(syn::Error::new_spanned(
            &item.self_ty,
            "a behaviour needs `fn init(cx: &mut Context<Self>, start: Start) -> Self` (or without \
             `start`, or returning a `Result`)",
        )));
        return Err(errors.into_error());
    };
    errors.keep(handler::check_unique(&parts.handlers));
    errors.check()?;
    run::check(parts.run.as_ref(), &parts.handlers, arguments)?;

    let me = &item.self_ty;
    let behaviour = implement(arguments, me, &abi, &init, &parts);
    let accepts = parts.handlers.iter().zip(0_u32..).map(|(one, index)| {
        let message = &one.message;
        quote!(impl #abi::Accepts<#message> for #me { const INDEX: u32 = #index; })
    });
    let declared = arguments.implement(me, &abi);
    let checks = parts.conversions.checks(me, &abi);
    Ok(quote! {
        #item
        #behaviour
        #(#[automatically_derived] #accepts)*
        #declared
        #checks
    })
}

fn implement(
    arguments: &Arguments,
    me: &Type,
    abi: &TokenStream,
    init: &Init,
    Parts { handlers, conversions, run, health, .. }: &Parts,
) -> TokenStream {
    let Arguments { name, version, .. } = arguments;
    let (start, begin) = (&init.start, init.begin(me, abi));
    let accepts = handlers.iter().zip(0_u32..).map(|(one, index)| one.accept(index, abi));
    let receives = arguments.receives.iter().map(|one| one.accept(abi));
    let run = run.as_ref().map(|run| run.constant(abi));
    let health = health.as_ref().map(|health| health.constant(abi));
    let sends = arguments.send_infos(abi);
    let calls = arguments.call_infos(abi);
    let conversions = conversions.list(abi);
    quote! {
        #[automatically_derived]
        impl #abi::Behaviour for #me {
            type Start = #start;
            const NAME: &'static str = #name;
            const CODE_VERSION: u32 = #version;
            const ACCEPTS: &'static [#abi::Accept<Self>] = &[#(#accepts,)* #(#receives),*];
            const SENDS: &'static [fn() -> &'static #abi::message::TypeInfo] = &[#(#sends),*];
            const CALLS: &'static [#abi::Called] = &[#(#calls),*];
            const CONVERSIONS: &'static [#abi::Conversion<Self>] = &[#(#conversions),*];
            #run
            #health

            #begin
        }
    }
}

fn check_block(item: &ItemImpl) -> syn::Result<()> {
    if let Some((_, path, _)) = &item.trait_ {
        return Err(syn::Error::new_spanned(
            path,
            "put `#[behaviour]` on the type's own block: `impl Counter { … }`",
        ));
    }
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &item.generics,
            "a behaviour is one concrete type, so that its state and messages have one schema",
        ));
    }
    Ok(())
}

/// What the block's functions are.
#[derive(Default)]
struct Parts {
    init: Option<Init>,
    handlers: Vec<Handler>,
    run: Option<Run>,
    health: Option<Health>,
    conversions: Conversions,
}

impl Parts {
    fn read(&mut self, function: &mut ImplItemFn) -> syn::Result<()> {
        if let Some(attribute) = take(&mut function.attrs, "handle") {
            attribute.meta.require_path_only()?;
            self.handlers.push(Handler::read(function)?);
        } else if let Some(attribute) = take(&mut function.attrs, "run") {
            attribute.meta.require_path_only()?;
            run::keep(&mut self.run, Run::read(function)?)?;
        } else if let Some(attribute) = take(&mut function.attrs, "health") {
            attribute.meta.require_path_only()?;
            health::keep(&mut self.health, Health::read(function)?)?;
        } else if let Some(attribute) = take(&mut function.attrs, "convert_from") {
            self.conversions.read_from(&attribute, function)?;
        } else if let Some(attribute) = take(&mut function.attrs, "convert_to") {
            self.conversions.read_to(&attribute, function)?;
        } else if function.sig.ident == "init" {
            self.init = Some(Init::read(function)?);
        }
        Ok(())
    }
}

/// Removes and returns the attribute called `name`.
fn take(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let at = attributes.iter().position(|attribute| attribute.path().is_ident(name))?;
    Some(attributes.remove(at))
}

/// What a function returns: nothing, a value, or a `Result`.
enum Returned {
    Nothing,
    Value(Type),
    Result(Type),
}

impl Returned {
    fn read(output: &ReturnType) -> syn::Result<Self> {
        let ReturnType::Type(_, ty) = output else { return Ok(Self::Nothing) };
        match &**ty {
            Type::Tuple(tuple) if tuple.elems.is_empty() => Ok(Self::Nothing),
            Type::Path(path) => match path.path.segments.last() {
                Some(last) if last.ident == "Result" => first_argument(last).map(Self::Result),
                _ => Ok(Self::Value((**ty).clone())),
            },
            _ => Ok(Self::Value((**ty).clone())),
        }
    }
}

fn first_argument(segment: &syn::PathSegment) -> syn::Result<Type> {
    if let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments {
        for argument in &arguments.args {
            if let syn::GenericArgument::Type(ty) = argument {
                return Ok(ty.clone());
            }
        }
    }
    Err(syn::Error::new_spanned(segment, "write it out: `Result<What, Error>`"))
}

/// Errors of several functions, told together.
#[derive(Default)]
struct Errors(Option<syn::Error>);

impl Errors {
    fn keep(&mut self, result: syn::Result<()>) {
        if let Err(error) = result {
            match &mut self.0 {
                Some(all) => all.combine(error),
                None => self.0 = Some(error),
            }
        }
    }

    fn check(&mut self) -> syn::Result<()> {
        self.0.take().map_or(Ok(()), Err)
    }

    fn into_error(self) -> syn::Error {
        self.0.unwrap_or_else(|| syn::Error::new(Span::call_site(), "not a behaviour"))
    }
}

/// The path of `midflight-abi`.
pub(crate) fn abi_crate() -> syn::Result<TokenStream> {
    match crate_name("midflight-abi") {
        Ok(FoundCrate::Name(name)) => {
            let name = Ident::new(&name, Span::call_site());
            Ok(quote!(::#name))
        }
        // It names itself with `extern crate self as …`.
        Ok(FoundCrate::Itself) => Ok(quote!(::midflight_abi)),
        Err(_) => Err(syn::Error::new(
            Span::call_site(),
            "the crate midflight-abi is not among this package's dependencies; add it",
        )),
    }
}
