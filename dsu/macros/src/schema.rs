//! `#[derive(Schema)]`: from a type's fields and serde attributes to its descriptor.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Data, DataEnum, DeriveInput, Field, Fields, GenericParam, LitStr, Path, Token, Type, Variant,
    WherePredicate, parse_quote, parse_quote_spanned,
};

use crate::case::Case;
use crate::krate::{given_crate, message_crate};
use crate::serde_attributes::{Container, Part, Proxy};

/// The derive itself: a type that is only ever a part of messages has no version.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let krate =
        Attributes::read(input)?.krate.map_or_else(message_crate, |path| Ok(quote!(#path)))?;
    let name = input.ident.unraw().to_string();
    implement(input, &krate, &quote!(#name), &quote!(::core::option::Option::None), None)
}

/// Implements `Schema` under a name and version.
pub(crate) fn implement(
    input: &DeriveInput,
    krate: &TokenStream,
    name: &TokenStream,
    version: &TokenStream,
    conversions: Option<TokenStream>,
) -> syn::Result<TokenStream> {
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(syn::Error::new(
            lifetime.span(),
            "a schema describes a type that owns what it holds: use String for &str, Vec<u8> for \
             &[u8]",
        ));
    }
    let body = body(input, krate)?;
    let mut generics = input.generics.clone();
    if let Some(bounds) = Attributes::read(input)?.bounds {
        generics.make_where_clause().predicates.extend(bounds);
    } else {
        for parameter in &mut generics.params {
            if let GenericParam::Type(parameter) = parameter {
                parameter.bounds.push(parse_quote!(#krate::Schema));
            }
        }
    }
    let ident = &input.ident;
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #krate::Schema for #ident #ty_generics #where_clause {
            fn descriptor() -> #krate::Descriptor {
                #krate::Descriptor::named::<Self>(#name, #version, #body)
            }

            #conversions
        }
    })
}

/// What stands in `#[schema(…)]` on the type.
#[derive(Default)]
struct Attributes {
    krate: Option<Path>,
    /// Instead of `Schema` for each of its parameters.
    bounds: Option<Vec<WherePredicate>>,
}

impl Attributes {
    fn read(input: &DeriveInput) -> syn::Result<Self> {
        let mut read = Self::default();
        for attribute in input.attrs.iter().filter(|one| one.path().is_ident("schema")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("crate") {
                    read.krate = Some(given_crate(&meta.value()?.parse()?)?);
                } else if meta.path.is_ident("bound") {
                    let text: LitStr = meta.value()?.parse()?;
                    let parse = Punctuated::<WherePredicate, Token![,]>::parse_terminated;
                    read.bounds = Some(text.parse_with(parse)?.into_iter().collect());
                } else {
                    return Err(meta.error("`crate = \"path\"` and `bound = \"…\"` are known here"));
                }
                Ok(())
            })?;
        }
        Ok(read)
    }
}

fn body(input: &DeriveInput, krate: &TokenStream) -> syn::Result<TokenStream> {
    let container = Container::read(&input.attrs)?;
    if let Some(Proxy { ty, checked }) = &container.proxy {
        let inside = function(ty, krate);
        return Ok(match checked {
            true => quote!(#krate::Body::Checked(#inside)),
            false => quote!(#krate::Body::Transparent(#inside)),
        });
    }
    match &input.data {
        Data::Struct(data) if container.transparent => transparent(input, &data.fields, krate),
        Data::Struct(data) => {
            let rules = Rules {
                case: container.rename_all,
                default: container.default,
                closed: container.closed,
            };
            let shape = rules.shape(&data.fields, false, krate)?;
            Ok(quote!(#krate::Body::Plain(#shape)))
        }
        Data::Enum(_) if container.transparent => Err(syn::Error::new(
            input.ident.span(),
            "the schema of a transparent enum is not known; derive it on a struct",
        )),
        Data::Enum(data) => variants(data, &container, krate),
        Data::Union(data) => {
            Err(syn::Error::new(data.union_token.span(), "a union cannot be a part of a message"))
        }
    }
}

fn transparent(
    input: &DeriveInput,
    fields: &Fields,
    krate: &TokenStream,
) -> syn::Result<TokenStream> {
    let mut kept = Vec::new();
    for field in fields {
        // serde passes over markers, too.
        let part = Part::read(&field.attrs)?;
        if !part.skipped() && !is_marker(&field.ty) {
            kept.push(on_the_wire(field, &part, krate));
        }
    }
    let [inside] = &kept[..] else {
        return Err(syn::Error::new(
            input.ident.span(),
            "a transparent struct has one field besides the skipped ones",
        ));
    };
    let inside = function(inside, krate);
    Ok(quote!(#krate::Body::Transparent(#inside)))
}

fn is_marker(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "PhantomData")
}

fn variants(
    data: &DataEnum,
    container: &Container,
    krate: &TokenStream,
) -> syn::Result<TokenStream> {
    let mut described = Vec::new();
    let mut skipped: Option<&Variant> = None;
    for variant in &data.variants {
        if Part::read(&variant.attrs)?.skipped() {
            skipped = skipped.or(Some(variant));
            continue;
        }
        if let Some(skipped) = skipped {
            return Err(syn::Error::new(
                skipped.span(),
                "serde numbers the variants after a skipped one differently when it writes and when \
                 it reads, and postcard goes by number: put it last",
            ));
        }
        described.push(described_variant(variant, container, krate)?);
    }
    Ok(quote!(#krate::Body::Enum(::std::vec![#(#described),*])))
}

fn described_variant(
    variant: &Variant,
    container: &Container,
    krate: &TokenStream,
) -> syn::Result<TokenStream> {
    let part = Part::read(&variant.attrs)?;
    if part.skip_serializing || part.skip_deserializing {
        return Err(syn::Error::new(
            variant.span(),
            "one side would not know a variant that the other numbers; use `serde(skip)`, and put it \
             last",
        ));
    }
    if let Some(ty) = &part.stated {
        return Err(syn::Error::new(ty.span(), "a variant's form is that of its fields"));
    }
    let other = part.other.then(|| quote!(.other()));
    let ident = variant.ident.unraw().to_string();
    let renamed = container.rename_all.map_or_else(|| ident.clone(), |case| case.variant(&ident));
    let (name, aliases) = part.names(renamed);
    let rules = Rules {
        case: part.rename_all.or(container.rename_all_fields),
        default: false,
        closed: container.closed,
    };
    let shape = rules.shape(&variant.fields, true, krate)?;
    Ok(quote!(#krate::Variant::new(#name, &[#(#aliases),*], #shape)#other))
}

/// What applies to all fields of a struct or variant.
struct Rules {
    case: Option<Case>,
    default: bool,
    closed: bool,
}

impl Rules {
    fn shape(
        &self,
        fields: &Fields,
        in_variant: bool,
        krate: &TokenStream,
    ) -> syn::Result<TokenStream> {
        let mut parts = Vec::new();
        for field in fields {
            let part = Part::read(&field.attrs)?;
            if part.skip_serializing != part.skip_deserializing {
                return Err(syn::Error::new(
                    field.span(),
                    "postcard goes by position, so a field that only one side skips would shift \
                     all that follow; use `serde(skip)`",
                ));
            }
            parts.push((field, part));
        }
        let kept = parts.iter().filter(|(_, part)| !part.skipped());
        Ok(match fields {
            Fields::Unit => quote!(#krate::Shape::Unit),
            Fields::Unnamed(_) if fields.len() == 1 => match parts.first() {
                Some((field, part)) if !part.skipped() => {
                    let inside = function(&on_the_wire(field, part, krate), krate);
                    quote!(#krate::Shape::Newtype(#inside))
                }
                _ if in_variant => quote!(#krate::Shape::Unit),
                _ => {
                    return Err(syn::Error::new(
                        fields.span(),
                        "a struct whose only field is skipped is better a unit struct",
                    ));
                }
            },
            Fields::Unnamed(_) => {
                let items =
                    kept.map(|(field, part)| function(&on_the_wire(field, part, krate), krate));
                quote!(#krate::Shape::Tuple(::std::vec![#(#items),*]))
            }
            Fields::Named(_) => {
                let closed = self.closed;
                let described = kept.map(|(field, part)| {
                    let ident = field.ident.as_ref().map(|ident| ident.unraw().to_string());
                    let ident = ident.unwrap_or_default();
                    let renamed =
                        self.case.map_or_else(|| ident.clone(), |case| case.field(&ident));
                    let (name, aliases) = part.names(renamed);
                    let default = self.default || part.default;
                    let ty = on_the_wire(field, part, krate);
                    quote_spanned! { seen_at(&ty) =>
                        #krate::Field::new::<#ty>(#name, #default, &[#(#aliases),*])
                    }
                });
                quote! {
                    #krate::Shape::Struct { closed: #closed, fields: ::std::vec![#(#described),*] }
                }
            }
        })
    }
}

/// The type whose form a field has.
fn on_the_wire(field: &Field, part: &Part, krate: &TokenStream) -> Type {
    match &part.stated {
        Some(stated) => {
            parse_quote_spanned!(seen_at(stated) => #krate::Stated<#stated>)
        }
        None => field.ty.clone(),
    }
}

/// Errors point at the type, but lints know that the code around it is ours.
fn seen_at(ty: &Type) -> Span {
    ty.span().resolved_at(Span::call_site())
}

fn function(ty: &Type, krate: &TokenStream) -> TokenStream {
    quote_spanned!(seen_at(ty) => #krate::Descriptor::function::<#ty>())
}

#[cfg(test)]
mod tests;
