//! Generates the contract's records in Rust: plain types with the comments of the WIT files, their JSON, and its
//! schemas.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a build script that cannot go on fails by a panic"
)]

mod wit_types;

use std::error::Error;
use std::path::PathBuf;

use wit_parser::{Docs, Type, TypeDefKind, TypeId};

use crate::wit_types::{Contract, snake_case, upper_camel_case};

/// Types whose schema has another name than the record, because the host has a type of that name with its own schema.
const SCHEMA_NAMES: [(&str, &str); 4] = [
    ("CartLine", "PluginCartLine"),
    ("ProductLink", "PluginProductLink"),
    ("Shop", "PluginShop"),
    ("Visitor", "PluginVisitor"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let contract = Contract::read()?;
    let mut code = String::new();
    for (id, _) in contract.types() {
        code += &record(&contract, id)?;
        code += &extras(&contract, id);
    }
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("records.rs"), code)?;
    Ok(())
}

/// What a definition is generated for.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// The type itself. The contract's decimals, digests and timestamps are aliases of `String`.
    Record,
    /// The copy that the schema is derived from. Decimals, digests and timestamps have types with a schema.
    Schema,
}

/// Generates a type, and the schema of its JSON.
fn record(contract: &Contract, id: TypeId) -> Result<String, Box<dyn Error>> {
    let (name, ty) = (contract.record_name(id), &contract.resolve.types[id]);
    if let TypeDefKind::Type(aliased) = &ty.kind {
        return Ok(format!(
            "{}pub type {name} = {};\n\n",
            comment(&ty.docs),
            rust_type(contract, aliased, Form::Record)?
        ));
    }
    let mut derives = "Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize".to_owned();
    if is_copy(contract, &Type::Id(id)) {
        derives += ", Copy";
    }
    // Cases are spelled as the contract spells them.
    let (mut json, mut schema) = (String::new(), String::new());
    if !matches!(ty.kind, TypeDefKind::Record(_)) {
        json += "#[serde(rename_all = \"kebab-case\")]\n";
        schema += "#[schema(rename_all = \"kebab-case\")]\n";
    }
    if let TypeDefKind::Enum(_) = ty.kind {
        derives += ", Eq";
    }
    let comment = comment(&ty.docs);
    let schema_name =
        SCHEMA_NAMES.iter().find(|(record, _)| *record == name).map_or(name.as_str(), |(_, schema)| schema);
    let (record, copy) =
        (definition(contract, id, &name, Form::Record)?, definition(contract, id, "Copied", Form::Schema)?);
    Ok(format!(
        r#"{comment}#[derive({derives})]
{json}{record}
#[cfg(feature = "openapi")]
const _: () = {{
{comment}#[derive(utoipa::ToSchema)]
#[allow(dead_code)]
{schema}{copy}
impl utoipa::PartialSchema for {name} {{
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {{
        crate::openapi::contract_schema("{schema_name}", <Copied as utoipa::PartialSchema>::schema())
    }}
}}

impl utoipa::ToSchema for {name} {{
    fn name() -> std::borrow::Cow<'static, str> {{
        std::borrow::Cow::Borrowed("{schema_name}")
    }}

    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {{
        <Copied as utoipa::ToSchema>::schemas(schemas);
    }}
}}
}};

"#
    ))
}

/// Generates the check of every list `extra` in a type.
fn extras(contract: &Contract, id: TypeId) -> String {
    let (name, ty) = (contract.record_name(id), &contract.resolve.types[id]);
    if let TypeDefKind::Type(_) = ty.kind {
        return String::new();
    }
    if !has_extra(contract, &Type::Id(id)) {
        return format!("impl crate::extras::Extras for {name} {{}}\n\n");
    }
    let mut body = String::new();
    match &ty.kind {
        TypeDefKind::Record(record) => {
            for field in &record.fields {
                let value = format!("&self.{}", snake_case(&field.name));
                if field.name == "extra" {
                    let (_, record) = contract.path(id);
                    body += &format!("crate::extras::check_list(plugin, {record:?}, {value})?;\n");
                } else {
                    body += &check_of(contract, &field.ty, &value);
                }
            }
        }
        TypeDefKind::Variant(variant) => {
            body += "match self {\n";
            for case in &variant.cases {
                let check = case.ty.as_ref().map(|ty| check_of(contract, ty, "value")).unwrap_or_default();
                if !check.is_empty() {
                    body += &format!("Self::{}(value) => {{ {check} }}\n", upper_camel_case(&case.name));
                }
            }
            body += "_ => {}\n}\n";
        }
        _ => {}
    }
    format!(
        r#"impl crate::extras::Extras for {name} {{
    #[allow(unreachable_patterns)]
    fn check_extras(&self, plugin: &crate::ids::PluginId) -> Result<(), crate::extras::ExtraFault> {{
        {body}
        Ok(())
    }}
}}

"#
    )
}

/// Generates the check of the lists `extra` in the value of an expression, which is a reference. Empty if its type has
/// none.
fn check_of(contract: &Contract, ty: &Type, value: &str) -> String {
    let (true, Type::Id(id)) = (has_extra(contract, ty), ty) else { return String::new() };
    match &contract.resolve.types[contract.definition(*id)].kind {
        TypeDefKind::Option(inner) => {
            format!("if let Some(value) = {value} {{ {} }}\n", check_of(contract, inner, "value"))
        }
        TypeDefKind::List(inner) => format!("for value in {value} {{ {} }}\n", check_of(contract, inner, "value")),
        TypeDefKind::Tuple(tuple) => {
            let parts = tuple.types.iter().enumerate();
            let value = value.trim_start_matches('&');
            parts.map(|(index, ty)| check_of(contract, ty, &format!("&{value}.{index}"))).collect()
        }
        _ => format!("crate::extras::Extras::check_extras({value}, plugin)?;\n"),
    }
}

/// Returns whether a type has a field `extra`, or contains a type that does.
fn has_extra(contract: &Contract, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return false };
    match &contract.resolve.types[*id].kind {
        TypeDefKind::Type(inner) | TypeDefKind::Option(inner) | TypeDefKind::List(inner) => has_extra(contract, inner),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().any(|ty| has_extra(contract, ty)),
        TypeDefKind::Record(record) => {
            record.fields.iter().any(|field| field.name == "extra" || has_extra(contract, &field.ty))
        }
        TypeDefKind::Variant(variant) => {
            variant.cases.iter().filter_map(|case| case.ty.as_ref()).any(|ty| has_extra(contract, ty))
        }
        _ => false,
    }
}

/// Generates a struct or an enum without its comment and attributes.
fn definition(contract: &Contract, id: TypeId, name: &str, form: Form) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    match &contract.resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            text += &format!("pub struct {name} {{\n");
            for field in &record.fields {
                let ty = rust_type(contract, &field.ty, form)?;
                let optional = optional(&field.name, form);
                text += &format!("{}{optional}pub {}: {ty},\n", comment(&field.docs), snake_case(&field.name));
            }
        }
        TypeDefKind::Variant(variant) => {
            text += &format!("pub enum {name} {{\n");
            for case in &variant.cases {
                text += &format!("{}{}", comment(&case.docs), upper_camel_case(&case.name));
                if let Some(ty) = &case.ty {
                    text += &format!("({})", rust_type(contract, ty, form)?);
                }
                text += ",\n";
            }
        }
        TypeDefKind::Enum(cases) => {
            text += &format!("pub enum {name} {{\n");
            for case in &cases.cases {
                text += &format!("{}{},\n", comment(&case.docs), upper_camel_case(&case.name));
            }
        }
        other => return Err(format!("{name} is a {}, which the records have no form for", other.as_str()).into()),
    }
    Ok(text + "}\n")
}

/// Returns the attribute of a field that JSON may omit: what later versions add is no duty of those who know nothing of
/// it.
fn optional(field: &str, form: Form) -> &'static str {
    match (field, form) {
        ("extra", Form::Record) => "#[serde(default)]\n",
        ("extra", Form::Schema) => "#[schema(required = false)]\n",
        _ => "",
    }
}

/// Spells a type in Rust.
fn rust_type(contract: &Contract, ty: &Type, form: Form) -> Result<String, Box<dyn Error>> {
    let id = match ty {
        Type::Bool => return Ok("bool".to_owned()),
        Type::U8 => return Ok("u8".to_owned()),
        Type::U16 => return Ok("u16".to_owned()),
        Type::U32 => return Ok("u32".to_owned()),
        Type::U64 => return Ok("u64".to_owned()),
        Type::S64 => return Ok("i64".to_owned()),
        Type::String => return Ok("String".to_owned()),
        Type::Id(id) => contract.definition(*id),
        other => return Err(format!("the records have no form for {other:?}").into()),
    };
    Ok(match &contract.resolve.types[id].kind {
        TypeDefKind::Option(inner) => format!("Option<{}>", rust_type(contract, inner, form)?),
        TypeDefKind::List(inner) => format!("Vec<{}>", rust_type(contract, inner, form)?),
        TypeDefKind::Tuple(tuple) => {
            let types = tuple.types.iter().map(|ty| rust_type(contract, ty, form));
            format!("({})", types.collect::<Result<Vec<_>, _>>()?.join(", "))
        }
        TypeDefKind::Record(_) | TypeDefKind::Variant(_) | TypeDefKind::Enum(_) | TypeDefKind::Type(_) => {
            match (contract.path(id), form) {
                (("types", "decimal"), Form::Schema) => "crate::openapi::DecimalText".to_owned(),
                (("types", "digest"), Form::Schema) => "crate::ids::Digest".to_owned(),
                (("types", "timestamp"), Form::Schema) => "crate::openapi::TimestampText".to_owned(),
                _ => contract.record_name(id),
            }
        }
        other => return Err(format!("the records have no form for a {}", other.as_str()).into()),
    })
}

/// Returns whether a type contains neither a text nor a list.
fn is_copy(contract: &Contract, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return *ty != Type::String };
    match &contract.resolve.types[*id].kind {
        TypeDefKind::Type(inner) | TypeDefKind::Option(inner) => is_copy(contract, inner),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().all(|ty| is_copy(contract, ty)),
        TypeDefKind::Record(record) => record.fields.iter().all(|field| is_copy(contract, &field.ty)),
        TypeDefKind::Variant(variant) => {
            variant.cases.iter().filter_map(|case| case.ty.as_ref()).all(|ty| is_copy(contract, ty))
        }
        TypeDefKind::Enum(_) => true,
        _ => false,
    }
}

/// Converts a comment of the WIT files into a doc comment.
fn comment(docs: &Docs) -> String {
    docs.contents.as_deref().unwrap_or_default().trim().lines().map(|line| format!("/// {line}\n")).collect()
}
