//! The JSON form of the contract's types: members in snake_case, cases in kebab-case as the WIT spells them.
//!
//! Wasmtime's bindings generator adds derives to the types that it generates, but no attributes, so serde's own derive
//! would spell `tax-basis.as-shop` as `"AsShop"`. [`Json`] is a derive that brings its attributes along: it passes
//! serde a copy of the type that has them.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Field, GenericArgument, PathArguments, Type, parse_macro_input};

/// Implements serde's `Serialize` and `Deserialize`, and with the crate's feature `openapi` the schema of the same
/// JSON.
#[proc_macro_derive(Json)]
pub fn json(input: TokenStream) -> TokenStream {
    let mut copy = parse_macro_input!(input as DeriveInput);
    let schema = schema(copy.clone());
    copy.attrs.clear();
    match &mut copy.data {
        Data::Enum(data) => {
            for variant in &mut data.variants {
                variant.attrs.clear();
                clear(variant.fields.iter_mut().map(|field| &mut field.attrs));
            }
            copy.attrs.push(syn::parse_quote!(#[serde(rename_all = "kebab-case")]));
        }
        Data::Struct(data) => clear(data.fields.iter_mut().map(|field| &mut field.attrs)),
        Data::Union(_) => return quote!(compile_error!("a union has no JSON form");).into(),
    }
    let name = copy.ident.clone();
    let remote = name.to_string();
    copy.ident = syn::parse_quote!(Copied);
    quote! {
        const _: () = {
            #[derive(serde::Serialize, serde::Deserialize)]
            #[serde(remote = #remote)]
            #copy

            impl serde::Serialize for #name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    Copied::serialize(self, serializer)
                }
            }

            impl<'de> serde::Deserialize<'de> for #name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Copied::deserialize(deserializer)
                }
            }
        };

        #schema
    }
    .into()
}

/// Derives the schema from a second copy, which keeps the comments and in which texts of a certain form have a type.
fn schema(mut copy: DeriveInput) -> proc_macro2::TokenStream {
    copy.attrs.retain(is_comment);
    match &mut copy.data {
        Data::Enum(data) => {
            for variant in &mut data.variants {
                variant.attrs.retain(is_comment);
                variant.fields.iter_mut().for_each(describe);
            }
            copy.attrs.push(syn::parse_quote!(#[schema(rename_all = "kebab-case")]));
        }
        Data::Struct(data) => data.fields.iter_mut().for_each(describe),
        Data::Union(_) => {}
    }
    let name = copy.ident.clone();
    let text = name.to_string();
    copy.ident = syn::parse_quote!(Copied);
    quote! {
        #[cfg(feature = "openapi")]
        const _: () = {
            #[allow(dead_code)]
            #[derive(utoipa::ToSchema)]
            #copy

            impl utoipa::PartialSchema for #name {
                fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                    crate::openapi::contract_schema(#text, Copied::schema())
                }
            }

            impl utoipa::ToSchema for #name {
                fn name() -> std::borrow::Cow<'static, str> {
                    crate::openapi::contract_name(module_path!(), #text)
                }

                fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
                    <Copied as utoipa::ToSchema>::schemas(schemas);
                }
            }
        };
    }
}

fn describe(field: &mut Field) {
    field.attrs.retain(is_comment);
    give_form(&mut field.ty);
}

/// Replaces `String` by the type of its form. The contract's texts of a certain form are aliases of `String`, which a
/// schema could not distinguish.
fn give_form(of: &mut Type) {
    match of {
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    for argument in &mut arguments.args {
                        if let GenericArgument::Type(inner) = argument {
                            give_form(inner);
                        }
                    }
                }
            }
            match path.path.segments.last().map(|segment| segment.ident.to_string()).as_deref() {
                Some("Decimal") => *of = syn::parse_quote!(crate::openapi::DecimalText),
                Some("Digest") => *of = syn::parse_quote!(crate::ids::Digest),
                Some("Timestamp") => *of = syn::parse_quote!(crate::openapi::Moment),
                _ => {}
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(give_form),
        _ => {}
    }
}

fn is_comment(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

fn clear<'a>(attributes: impl Iterator<Item = &'a mut Vec<Attribute>>) {
    attributes.for_each(Vec::clear);
}
