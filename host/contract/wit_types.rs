//! The types that the contract declares. Two build scripts generate Rust from them: that of this crate generates the
//! records, that of the engine the conversions between the records and wasmtime's bindings.

use std::error::Error;

use wit_parser::{Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner};

/// Types whose name is clear only within their interface: interface, name, and name among the records.
const RENAMED_TYPES: [(&str, &str, &str); 2] =
    [("webhooks", "encoding", "SignatureEncoding"), ("webhooks", "hmac", "WebhookHmac")];

/// The contract, parsed.
pub struct Contract {
    /// The declarations of the WIT files.
    pub resolve: Resolve,
}

impl Contract {
    /// Reads `wit/`.
    ///
    /// # Errors
    /// If the WIT files are not well formed.
    pub fn read() -> Result<Self, Box<dyn Error>> {
        println!("cargo::rerun-if-changed=../../wit/0.1");
        let mut resolve = Resolve::default();
        resolve.push_path("../../wit/0.1")?;
        Ok(Self { resolve })
    }

    /// Returns the types with a name, each from the interface that declares it.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &TypeDef)> {
        self.resolve.types.iter().filter(move |(id, ty)| ty.name.is_some() && self.definition(*id) == *id)
    }

    /// Returns the type that an alias refers to. A `use` of another interface declares an alias.
    pub fn definition(&self, mut id: TypeId) -> TypeId {
        while let TypeDefKind::Type(Type::Id(aliased)) = &self.resolve.types[id].kind {
            id = *aliased;
        }
        id
    }

    /// Returns the names of a type's interface and of the type.
    pub fn path(&self, id: TypeId) -> (&str, &str) {
        let ty = &self.resolve.types[id];
        let interface = match ty.owner {
            TypeOwner::Interface(interface) => self.resolve.interfaces[interface].name.as_deref(),
            TypeOwner::World(_) | TypeOwner::None => None,
        };
        (interface.unwrap_or_default(), ty.name.as_deref().unwrap_or_default())
    }

    /// Returns the name of a type among the records.
    pub fn record_name(&self, id: TypeId) -> String {
        let (interface, name) = self.path(id);
        let renamed = RENAMED_TYPES.iter().find(|(of, old, _)| *of == interface && *old == name);
        renamed.map_or_else(|| upper_camel_case(name), |(_, _, new)| (*new).to_owned())
    }
}

/// Spells a name of the contract as Rust spells fields and modules.
pub fn snake_case(name: &str) -> String {
    name.replace('-', "_")
}

/// Spells a name of the contract as Rust spells types and cases.
pub fn upper_camel_case(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}
