//! Generates the conversions between the contract's records and the types of wasmtime's bindings, both ways, and the list
//! of the contract's imports.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a build script that cannot go on fails by a panic"
)]

#[path = "../contract/wit_types.rs"]
mod wit_types;

use std::error::Error;
use std::path::PathBuf;

use wit_parser::{Type, TypeDefKind, TypeId, TypeOwner, WorldItem};

use crate::wit_types::{Contract, snake_case, upper_camel_case};

/// The world of what the host offers.
const IMPORTS: &str = "host-imports";

fn main() -> Result<(), Box<dyn Error>> {
    let contract = Contract::read()?;
    let mut code = String::new();
    for (id, ty) in contract.types() {
        // An alias of a text is the same on both sides.
        if matches!(ty.kind, TypeDefKind::Type(_)) {
            continue;
        }
        let (record, binding) = (format!("records::{}", contract.record_name(id)), binding(&contract, id));
        code += &conversion(&contract, id, &binding, &record)?;
        code += &conversion(&contract, id, &record, &binding)?;
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("conversions.rs"), code)?;
    std::fs::write(out.join("imports.rs"), imports(&contract)?)?;
    Ok(())
}

/// Generates the list of the interfaces that plugins import, each with the names of its functions.
fn imports(contract: &Contract) -> Result<String, Box<dyn Error>> {
    let mut worlds = contract.resolve.worlds.iter();
    let (_, world) = worlds.find(|(_, world)| world.name == IMPORTS).ok_or("the contract has no such world")?;
    let interfaces = world.imports.values().filter_map(|item| match item {
        WorldItem::Interface { id, .. } => Some(&contract.resolve.interfaces[*id]),
        _ => None,
    });
    let entries = interfaces.map(|interface| {
        let functions: Vec<&str> = interface.functions.keys().map(String::as_str).collect();
        format!("({:?}, &{functions:?}),\n", interface.name.as_deref().unwrap_or_default())
    });
    Ok(format!("pub(crate) const HOST_IMPORTS: &[(&str, &[&str])] = &[\n{}];\n", entries.collect::<String>()))
}

/// Returns the path of a type in the bindings. Types of exported interfaces have their own module.
fn binding(contract: &Contract, id: TypeId) -> String {
    let owner = contract.resolve.types[id].owner;
    let is_owner =
        |item: &WorldItem| matches!(item, WorldItem::Interface { id, .. } if TypeOwner::Interface(*id) == owner);
    let mut worlds = contract.resolve.worlds.iter();
    let is_exported = worlds.any(|(_, world)| world.exports.values().any(is_owner));
    let exports = if is_exported { "exports::" } else { "" };
    let (interface, name) = contract.path(id);
    format!("generated::{exports}cartwright::plugin::{}::{}", snake_case(interface), upper_camel_case(name))
}

/// Generates a conversion.
fn conversion(contract: &Contract, id: TypeId, from: &str, to: &str) -> Result<String, Box<dyn Error>> {
    let body = match &contract.resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|field| {
                let name = snake_case(&field.name);
                format!("{name}: {},\n", converted(contract, &field.ty, &format!("value.{name}")))
            });
            format!("Self {{\n{}}}", fields.collect::<String>())
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| {
                let name = upper_camel_case(&case.name);
                match &case.ty {
                    Some(ty) => {
                        format!("{from}::{name}(value) => Self::{name}({}),\n", converted(contract, ty, "value"))
                    }
                    None => format!("{from}::{name} => Self::{name},\n"),
                }
            });
            format!("match value {{\n{}}}", cases.collect::<String>())
        }
        TypeDefKind::Enum(cases) => {
            let cases = cases.cases.iter().map(|case| {
                let name = upper_camel_case(&case.name);
                format!("{from}::{name} => Self::{name},\n")
            });
            format!("match value {{\n{}}}", cases.collect::<String>())
        }
        other => return Err(format!("{to} is a {}, which has no conversion", other.as_str()).into()),
    };
    Ok(format!("impl From<{from}> for {to} {{\nfn from(value: {from}) -> Self {{\n{body}\n}}\n}}\n\n"))
}

/// Generates the conversion of the value of an expression. A value without types of the bindings is moved unchanged.
fn converted(contract: &Contract, ty: &Type, value: &str) -> String {
    let (true, Type::Id(id)) = (differs(contract, ty), ty) else { return value.to_owned() };
    match &contract.resolve.types[contract.definition(*id)].kind {
        TypeDefKind::Option(inner) => format!("{value}.map(|value| {})", converted(contract, inner, "value")),
        // Where both sides are laid out the same, the list keeps its memory.
        TypeDefKind::List(inner) => {
            format!("{value}.into_iter().map(|value| {}).collect()", converted(contract, inner, "value"))
        }
        TypeDefKind::Tuple(tuple) => {
            let parts = tuple.types.iter().enumerate();
            let parts = parts.map(|(index, ty)| converted(contract, ty, &format!("{value}.{index}")));
            format!("({})", parts.collect::<Vec<_>>().join(", "))
        }
        _ => format!("{value}.into()"),
    }
}

/// Returns whether the bindings have their own type for this type, or for a part of it.
fn differs(contract: &Contract, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return false };
    match &contract.resolve.types[*id].kind {
        TypeDefKind::Type(inner) | TypeDefKind::Option(inner) | TypeDefKind::List(inner) => differs(contract, inner),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().any(|ty| differs(contract, ty)),
        _ => true,
    }
}
