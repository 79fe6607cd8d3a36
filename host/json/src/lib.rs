//! The JSON form of the contract's types: members in snake_case, cases in kebab-case as the WIT spells them.
//!
//! Wasmtime's bindings generator adds derives to the types it makes, but no attributes, so serde's own derive would spell
//! `tax-basis.as-shop` as `"AsShop"`. [`Json`] is a derive that brings its attribute along: it hands serde a copy of the type
//! that has one.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, parse_macro_input};

/// Implements serde's `Serialize` and `Deserialize`.
#[proc_macro_derive(Json)]
pub fn json(input: TokenStream) -> TokenStream {
    let mut copy = parse_macro_input!(input as DeriveInput);
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
    }
    .into()
}

fn clear<'a>(attributes: impl Iterator<Item = &'a mut Vec<Attribute>>) {
    attributes.for_each(Vec::clear);
}
