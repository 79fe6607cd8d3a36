//! The contract is well formed, and every item has a comment, which generators of bindings copy.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::path::Path;

use wit_parser::{Docs, Resolve, Type, TypeDefKind, TypeOwner};

#[test]
fn the_contract_is_one_package_with_its_worlds() {
    let resolve = contract();
    assert_eq!(resolve.packages.len(), 1, "the contract needs no other package");
    let mut worlds: Vec<_> = resolve.worlds.iter().map(|(_, world)| world.name.as_str()).collect();
    worlds.sort();
    let optional = [
        "account",
        "cart",
        "choices",
        "feed",
        "orders",
        "prices",
        "product-links",
        "products",
        "reopening",
        "resolving",
        "webhooks",
    ];
    let mut expected = vec!["cart-strategy".to_owned(), "host-imports".to_owned(), "order-hook".to_owned()];
    expected.extend(optional.map(|interface| format!("has-{interface}")));
    expected.push("vendor".to_owned());
    expected.sort();
    assert_eq!(worlds, expected);
}

#[test]
fn an_author_composes_a_world_that_imports_no_exported_interface() {
    let mut resolve = contract();
    let includes: String = resolve
        .worlds
        .iter()
        .filter(|(_, world)| world.name == "vendor" || world.name.starts_with("has-"))
        .map(|(_, world)| format!("include cartwright:plugin/{}@0.1.0; ", world.name))
        .collect();
    let text = format!("package test:mine; world mine {{ {includes} }}");
    let package = resolve.push_str("mine.wit", &text).expect("the worlds can be included");
    let mine = &resolve.worlds[resolve.packages[package].worlds["mine"]];
    let imported_too: Vec<_> = mine
        .exports
        .keys()
        .filter(|export| mine.imports.contains_key(*export))
        .map(|key| resolve.name_world_key(key))
        .collect();
    assert!(imported_too.is_empty(), "these are exported and imported: {imported_too:?}");
}

#[test]
fn every_item_has_a_comment() {
    let resolve = contract();
    let missing: Vec<_> =
        items(&resolve).into_iter().filter(|(_, docs)| docs.contents.is_none()).map(|(path, _)| path).collect();
    assert!(missing.is_empty(), "these items have no comment:\n{}", missing.join("\n"));
}

fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    resolve
        .push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/0.1"))
        .expect("the contract is well formed");
    resolve
}

/// Returns every item that can have a comment, with its comment.
fn items(resolve: &Resolve) -> Vec<(String, &Docs)> {
    let mut items = Vec::new();
    for (_, world) in resolve.worlds.iter() {
        items.push((world.name.clone(), &world.docs));
    }
    for (id, interface) in resolve.interfaces.iter() {
        let interface_name = interface.name.as_deref().expect("every interface has a name");
        items.push((interface_name.to_owned(), &interface.docs));
        for function in interface.functions.values() {
            items.push((format!("{interface_name}.{}", function.name), &function.docs));
        }
        for (name, type_id) in &interface.types {
            let definition = &resolve.types[*type_id];
            if used_from_elsewhere(resolve, &definition.kind, TypeOwner::Interface(id)) {
                continue;
            }
            let path = format!("{interface_name}.{name}");
            items.push((path.clone(), &definition.docs));
            for (part, docs) in parts(&definition.kind) {
                items.push((format!("{path}.{part}"), docs));
            }
        }
    }
    items
}

/// Returns whether a type is an import such as `use types.{error}`, which is an alias in the interface that imports it.
fn used_from_elsewhere(resolve: &Resolve, kind: &TypeDefKind, owner: TypeOwner) -> bool {
    matches!(kind, TypeDefKind::Type(Type::Id(aliased)) if resolve.types[*aliased].owner != owner)
}

/// Returns the fields or cases of a type.
fn parts(kind: &TypeDefKind) -> Vec<(&str, &Docs)> {
    match kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| (field.name.as_str(), &field.docs)).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().map(|case| (case.name.as_str(), &case.docs)).collect(),
        TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| (case.name.as_str(), &case.docs)).collect(),
        TypeDefKind::Flags(flags) => flags.flags.iter().map(|flag| (flag.name.as_str(), &flag.docs)).collect(),
        _ => Vec::new(),
    }
}
