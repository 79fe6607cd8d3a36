//! The contract may grow within a minor version, but nothing that a plugin was built against may change. Each version in
//! `wit/` is compared with the copy in `tests/contract/kept/`, interface by interface.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wit_parser::{Function, Resolve, Type, TypeDefKind, TypeId, TypeOwner, World, WorldItem};

#[test]
fn version_0_1_keeps_what_plugins_were_built_against() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (kept, current) = (read(&root.join("kept/0.1")), read(&root.join("../../wit/0.1")));
    let breaks = incompatible_changes(&kept, &current);
    assert!(breaks.is_empty(), "plugins that were built against tests/contract/kept/0.1 break:\n{}", breaks.join("\n"));
}

#[test]
fn a_function_or_an_interface_more_on_the_side_of_the_host_is_no_break() {
    let more =
        HOST.replace("send: func(text: string);", "send: func(text: string);\n send-all: func(texts: list<string>);");
    let more = more.replace("world vendor {", "interface later { tell: func(); }\nworld vendor {\nimport later;");
    assert_eq!(changes(HOST, &more), Vec::<String>::new());
}

#[test]
fn a_function_more_in_an_exported_interface_is_a_break() {
    let more = HOST.replace("plan: func(piece: piece);", "plan: func(piece: piece);\n check: func();");
    assert_eq!(changes(HOST, &more), ["cart.check: added to an interface that plugins export"]);
}

#[test]
fn a_field_more_in_a_record_is_a_break() {
    let more = HOST.replace("record piece { count: u32 }", "record piece { count: u32, title: string }");
    assert_eq!(
        changes(HOST, &more),
        ["types.piece: was record { count: u32 }, is record { count: u32, title: string }"]
    );
}

#[test]
fn a_case_more_in_a_variant_or_an_enum_is_a_break() {
    let more = HOST.replace("enum level { info }", "enum level { info, warn }");
    assert_eq!(changes(HOST, &more), ["types.level: was enum { info }, is enum { info, warn }"]);
}

#[test]
fn a_renamed_parameter_is_a_break() {
    let other = HOST.replace("send: func(text: string);", "send: func(body: string);");
    assert_eq!(changes(HOST, &other), ["http.send: was func(text: string), is func(body: string)"]);
}

#[test]
fn what_is_gone_is_a_break() {
    let without_function = HOST.replace("send: func(text: string);", "");
    assert_eq!(changes(HOST, &without_function), ["http.send: removed"]);
    let without_interface =
        HOST.replace("interface http { send: func(text: string); }", "").replace("import http;", "");
    assert_eq!(changes(HOST, &without_interface), ["http: removed", "world vendor: no longer imports http"]);
}

#[test]
fn an_export_more_or_less_in_a_world_is_a_break() {
    let more = HOST
        .replace("export cart;", "export cart;\n export feed;")
        .replace("world vendor {", "interface feed { poll: func(); }\nworld vendor {");
    assert_eq!(changes(HOST, &more), ["world vendor: exports feed, which older plugins lack"]);
    let less = HOST.replace("export cart;", "");
    // What only the export used is not imported any more either.
    let lost = ["world vendor: no longer imports types", "world vendor: no longer exports cart"];
    assert_eq!(changes(HOST, &less), lost);
}

/// A small contract.
const HOST: &str = "package a:b@0.1.0;
interface types {
    enum level { info }
    record piece { count: u32 }
}
interface http { send: func(text: string); }
interface cart {
    use types.{piece};
    plan: func(piece: piece);
}
world vendor {
    import http;
    export cart;
}
";

fn changes(kept: &str, current: &str) -> Vec<String> {
    let parse = |text: &str| {
        let mut resolve = Resolve::default();
        resolve.push_str("contract.wit", text).expect("the contract is well formed");
        resolve
    };
    incompatible_changes(&parse(kept), &parse(current))
}

fn read(folder: &Path) -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_path(folder).expect("the contract is well formed");
    resolve
}

/// Returns every change between two states of one version of the contract that breaks a plugin built against the first.
fn incompatible_changes(kept: &Resolve, current: &Resolve) -> Vec<String> {
    let mut breaks = Vec::new();
    let (before, after) = (interfaces(kept), interfaces(current));
    let exported = exported_interfaces(kept);
    for (interface, items) in &before {
        let Some(items_after) = after.get(interface) else {
            breaks.push(format!("{interface}: removed"));
            continue;
        };
        for (item, shape) in items {
            match items_after.get(item) {
                Some(shape_after) if shape_after == shape => {}
                Some(shape_after) => breaks.push(format!("{interface}.{item}: was {shape}, is {shape_after}")),
                None => breaks.push(format!("{interface}.{item}: removed")),
            }
        }
        if exported.contains(interface) {
            let added = items_after.keys().filter(|item| !items.contains_key(*item));
            breaks.extend(added.map(|item| format!("{interface}.{item}: added to an interface that plugins export")));
        }
    }
    let worlds_after: BTreeMap<&str, &World> =
        current.worlds.iter().map(|(_, world)| (world.name.as_str(), world)).collect();
    for (_, world) in kept.worlds.iter() {
        let name = &world.name;
        let Some(world_after) = worlds_after.get(name.as_str()) else {
            breaks.push(format!("world {name}: removed"));
            continue;
        };
        let (imports, imports_after) =
            (names(kept, world.imports.values()), names(current, world_after.imports.values()));
        breaks.extend(imports.difference(&imports_after).map(|lost| format!("world {name}: no longer imports {lost}")));
        let (exports, exports_after) =
            (names(kept, world.exports.values()), names(current, world_after.exports.values()));
        breaks.extend(exports.difference(&exports_after).map(|lost| format!("world {name}: no longer exports {lost}")));
        let more = exports_after.difference(&exports);
        breaks.extend(more.map(|more| format!("world {name}: exports {more}, which older plugins lack")));
    }
    breaks
}

/// Returns the names of the interfaces that a plugin of any world exports.
fn exported_interfaces(resolve: &Resolve) -> BTreeSet<String> {
    resolve.worlds.iter().flat_map(|(_, world)| names(resolve, world.exports.values())).collect()
}

fn names<'a>(resolve: &Resolve, items: impl Iterator<Item = &'a WorldItem>) -> BTreeSet<String> {
    items
        .map(|item| match item {
            WorldItem::Interface { id, .. } => interface_name(resolve, *id),
            WorldItem::Function(function) => function.name.clone(),
            WorldItem::Type { id, .. } => resolve.types[*id].name.clone().expect("a world's type has a name"),
        })
        .collect()
}

fn interface_name(resolve: &Resolve, id: wit_parser::InterfaceId) -> String {
    resolve.interfaces[id].name.clone().expect("every interface has a name")
}

/// Returns the shape of each function and type, by interface and name. A type that an interface uses of another one belongs to
/// that one.
fn interfaces(resolve: &Resolve) -> BTreeMap<String, BTreeMap<String, String>> {
    let shapes = |(id, interface): (wit_parser::InterfaceId, &wit_parser::Interface)| {
        let functions =
            interface.functions.values().map(|function| (function.name.clone(), function_shape(resolve, function)));
        let own = interface.types.iter().filter(|(_, ty)| {
            !matches!(
                &resolve.types[**ty].kind,
                TypeDefKind::Type(Type::Id(aliased)) if resolve.types[*aliased].owner != TypeOwner::Interface(id)
            )
        });
        let types = own.map(|(name, ty)| (name.clone(), kind_shape(resolve, *ty)));
        (interface_name(resolve, id), functions.chain(types).collect())
    };
    resolve.interfaces.iter().map(shapes).collect()
}

fn function_shape(resolve: &Resolve, function: &Function) -> String {
    let parameters = function.params.iter().map(|parameter| named(resolve, &parameter.name, &parameter.ty));
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    let result = function.result.map(|ty| format!(" -> {}", type_shape(resolve, &ty))).unwrap_or_default();
    format!("func({parameters}){result}")
}

fn named(resolve: &Resolve, name: &str, ty: &Type) -> String {
    format!("{name}: {}", type_shape(resolve, ty))
}

/// Spells a type where it is used. A type with a name is spelled with its interface, because names may be those of another
/// interface's type.
fn type_shape(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(mut id) = *ty else { return format!("{ty:?}").to_lowercase() };
    while let TypeDefKind::Type(Type::Id(aliased)) = &resolve.types[id].kind {
        id = *aliased;
    }
    let definition = &resolve.types[id];
    match (&definition.name, definition.owner) {
        (Some(name), TypeOwner::Interface(interface)) => format!("{}.{name}", interface_name(resolve, interface)),
        _ => kind_shape(resolve, id),
    }
}

/// Spells what a type consists of.
fn kind_shape(resolve: &Resolve, id: TypeId) -> String {
    let optional = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), |ty| type_shape(resolve, ty));
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|field| named(resolve, &field.name, &field.ty));
            format!("record {{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| match &case.ty {
                Some(ty) => format!("{}({})", case.name, type_shape(resolve, ty)),
                None => case.name.clone(),
            });
            format!("variant {{ {} }}", cases.collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Enum(cases) => {
            let cases = cases.cases.iter().map(|case| case.name.as_str());
            format!("enum {{ {} }}", cases.collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Flags(flags) => {
            let flags = flags.flags.iter().map(|flag| flag.name.as_str());
            format!("flags {{ {} }}", flags.collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Tuple(tuple) => {
            let types = tuple.types.iter().map(|ty| type_shape(resolve, ty));
            format!("tuple<{}>", types.collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Option(inner) => format!("option<{}>", type_shape(resolve, inner)),
        TypeDefKind::List(inner) => format!("list<{}>", type_shape(resolve, inner)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", optional(&result.ok), optional(&result.err)),
        TypeDefKind::Type(aliased) => type_shape(resolve, aliased),
        other => panic!("the contract has a {}, which this comparison does not know", other.as_str()),
    }
}
