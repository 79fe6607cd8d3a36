//! Installed plugin versions: compiled, checked against the contract, and with known metadata.

use std::collections::BTreeSet;

use cartwright_contract::error::{Failure, HookError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{Digest, InvalidId, PluginId};
use cartwright_contract::records;
use cartwright_contract::settings::Form;
use serde::Serialize;
use wasmtime::component::types::{Component as ComponentType, ComponentItem};
use wasmtime::component::{Component, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::bindings::{HOST_IMPORTS, exports};
use crate::state::GuestState;

/// The version of the contract that this host implements.
pub const CONTRACT: &str = "cartwright:plugin@0.1.0";
const PACKAGE: &str = "cartwright:plugin/";
/// The version in [`CONTRACT`].
const CONTRACT_VERSION: semver::Version = semver::Version::new(0, 1, 0);
/// The imports of the contract that a component may have if it exports no more than a cart strategy.
const STRATEGY_IMPORTS: [&str; 3] = ["log", "catalog", "types"];

/// Why a component was not installed.
#[derive(Debug, Clone, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "install", content = "detail", rename_all = "kebab-case")]
pub enum InstallError {
    /// The file is empty.
    #[error("the file is empty; install the .wasm file that the build produced")]
    Empty,
    /// The file is not a WebAssembly file.
    #[error("this is not a WebAssembly file: it does not begin with \"\\0asm\"")]
    NotWebAssembly,
    /// The file is a core module.
    #[error(
        "this is a core module, not a component; build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The component is too large.
    #[error("the component has {bytes} bytes; at most {allowed} are allowed")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        allowed: usize,
    },
    /// The digest differs from the pinned one.
    #[error("the component's digest is {found}, the policy pins {pinned}")]
    NotPinned {
        /// The digest of the component.
        found: Digest,
        /// The pinned digest.
        pinned: Digest,
    },
    /// The component cannot be compiled.
    #[error("the component is malformed: {0}")]
    Malformed(String),
    /// The component lacks exports of a plugin.
    #[error("{0}")]
    WrongWorld(String),
    /// The component imports something that this host does not provide.
    #[error("{0}")]
    Imports(String),
    /// The component exports no more than a cart strategy, and imports more.
    #[error(
        "the component exports only what a cart strategy does, and imports {}; a cart strategy imports log and catalog alone: remove \
         the imports, or export the interface that needs them",
        .0.join(", ")
    )]
    StrategyImports(Vec<String>),
    /// The plugin's metadata or its settings form is invalid.
    #[error("the plugin's metadata is invalid: {0}")]
    Metadata(String),
    /// The plugin failed while its metadata was read.
    #[error(transparent)]
    Describe(HookError),
}

impl InstallError {
    /// Returns whether a retry may succeed without intervention. It may not if the component itself is refused.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Describe(error) => !matches!(error.failure, Failure::ContractViolation(_) | Failure::NotExported(_)),
            _ => false,
        }
    }
}

impl From<InvalidId> for InstallError {
    fn from(error: InvalidId) -> Self {
        Self::Metadata(error.to_string())
    }
}

macro_rules! interfaces {
    ($($(#[$doc:meta])* $name:ident $variant:ident = $text:literal,)*) => {
        /// An interface of the contract that plugins export. What a plugin can do is what it exports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "kebab-case")]
        pub enum Interface {
            $($(#[$doc])* $variant,)*
        }

        impl Interface {
            /// All interfaces.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name of the interface in the contract.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        /// Indexes of a component's exported interfaces, resolved once and used by every call.
        pub(crate) struct Interfaces {
            $($name: Option<exports::$name::GuestIndices>,)*
        }

        impl Interfaces {
            fn find(exported: &BTreeSet<Interface>, pre: &InstancePre<GuestState>) -> wasmtime::Result<Self> {
                Ok(Self {
                    $($name: if exported.contains(&Interface::$variant) {
                        Some(exports::$name::GuestIndices::new(pre)?)
                    } else {
                        None
                    },)*
                })
            }

            /// Returns whether this interface is exported.
            fn has(&self, interface: Interface) -> bool {
                match interface {
                    $(Interface::$variant => self.$name.is_some(),)*
                }
            }

            /// Loads all interfaces, which checks the type of every function.
            pub(crate) fn check(&self, store: &mut Store<GuestState>, instance: &Instance) -> wasmtime::Result<()> {
                $(if let Some(indices) = &self.$name {
                    indices.load(&mut *store, instance)?;
                })*
                Ok(())
            }

            $(pub(crate) fn $name(
                &self,
                store: &mut Store<GuestState>,
                instance: &Instance,
            ) -> wasmtime::Result<exports::$name::Guest> {
                match &self.$name {
                    Some(indices) => indices.load(store, instance),
                    None => Err(Failure::NotExported($text.to_owned()).into()),
                }
            })*
        }
    };
}

interfaces! {
    /// What the plugin is.
    metadata Metadata = "metadata",
    /// Its settings form.
    settings Settings = "settings",
    /// Choices that the vendor's server knows.
    choices Choices = "choices",
    /// A test of the account.
    account Account = "account",
    /// A search of the vendor's products.
    products Products = "products",
    /// A check of product links.
    product_links ProductLinks = "product-links",
    /// The configurator on a product page.
    page Page = "page",
    /// Continues from stored configurations.
    reopening Reopening = "reopening",
    /// Fetches what an id from a page stands for.
    resolving Resolving = "resolving",
    /// Decodes configurations.
    configuration Configuration = "configuration",
    /// The vendor's prices.
    prices Prices = "prices",
    /// Cart strategies.
    cart Cart = "cart",
    /// Handles order events.
    orders Orders = "orders",
    /// Receives webhooks.
    webhooks Webhooks = "webhooks",
    /// Is polled for what happened.
    feed Feed = "feed",
}

/// A world of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// A configurator plugin of a vendor.
    Vendor,
    /// A plugin that turns configured items into cart lines.
    CartStrategy,
    /// A plugin that handles order events.
    OrderHook,
}

impl World {
    /// All worlds, the largest first.
    pub const ALL: [World; 3] = [World::Vendor, World::OrderHook, World::CartStrategy];

    /// Returns the name of the world in the contract.
    pub fn name(self) -> &'static str {
        match self {
            World::Vendor => "vendor",
            World::CartStrategy => "cart-strategy",
            World::OrderHook => "order-hook",
        }
    }

    /// Returns the interfaces that a component must export to implement the world.
    fn exports(self) -> &'static [Interface] {
        match self {
            World::Vendor => &[Interface::Metadata, Interface::Settings, Interface::Page, Interface::Configuration],
            World::OrderHook => &[Interface::Metadata, Interface::Settings, Interface::Orders],
            World::CartStrategy => &[Interface::Metadata, Interface::Settings, Interface::Cart],
        }
    }
}

/// One version of a plugin, installed and ready to be called.
pub struct PluginVersion {
    digest: Digest,
    size: usize,
    imports: Vec<String>,
    worlds: Vec<World>,
    unknown_exports: Vec<String>,
    pre: InstancePre<GuestState>,
    interfaces: Interfaces,
    /// Filled in after `metadata.describe` has returned.
    metadata: PluginMetadata,
}

/// What a plugin states about itself at installation.
#[derive(Debug, Clone, Serialize)]
// The contract's record of this name is one member of it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = InstalledPluginMetadata))]
pub struct PluginMetadata {
    /// The plugin id.
    pub id: PluginId,
    /// The result of `metadata.describe`.
    pub identity: records::PluginMetadata,
    /// Its settings form, with English texts.
    pub form: Form,
}

impl PluginVersion {
    pub(crate) fn link(
        digest: Digest,
        size: usize,
        component: &Component,
        linker: &Linker<GuestState>,
    ) -> Result<Self, InstallError> {
        let engine = component.engine();
        let kind = component.component_type();
        let imports: Vec<String> = kind.imports(engine).map(|(name, _)| name.to_owned()).collect();
        let exports = Exports::of(&kind, engine)?;
        let worlds = worlds_of(&exports)?;
        check_wasi_imports(&imports)?;
        check_strategy_imports(&exports, &imports)?;
        let pre = linker.instantiate_pre(component).map_err(|error| match missing_imports(&kind, engine) {
            Some(missing) => missing,
            None => unknown_import(&imports, &error),
        })?;
        let interfaces = Interfaces::find(&exports.known, &pre).map_err(|error| type_mismatch(&error))?;
        let metadata = PluginMetadata {
            id: "unnamed".parse()?,
            identity: records::PluginMetadata {
                id: String::new(),
                name: String::new(),
                version: String::new(),
                publisher: String::new(),
                outbound_hosts: Vec::new(),
                strategies: Vec::new(),
                grants: Vec::new(),
                extra: Vec::new(),
            },
            form: Form(Vec::new()),
        };
        Ok(Self { digest, size, imports, worlds, unknown_exports: exports.unknown, pre, interfaces, metadata })
    }

    /// Sets the metadata of the plugin.
    pub(crate) fn with_metadata(self, metadata: PluginMetadata) -> Self {
        Self { metadata, ..self }
    }

    /// Returns the plugin id, which all versions share.
    pub fn id(&self) -> &PluginId {
        &self.metadata.id
    }

    /// Returns the SHA-256 digest of the component, which names this version.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the metadata.
    pub fn metadata(&self) -> &PluginMetadata {
        &self.metadata
    }

    /// Returns the size of the component in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the imports of the component.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Returns whether the plugin exports an interface.
    pub fn has(&self, interface: Interface) -> bool {
        self.interfaces.has(interface)
    }

    /// Returns the interfaces that the plugin exports: what it can do.
    pub fn exports(&self) -> impl Iterator<Item = Interface> {
        Interface::ALL.iter().copied().filter(move |interface| self.has(*interface))
    }

    /// Returns the exported interfaces of the contract that this host does not know, such as "quoting@0.1.2". A later
    /// version of the contract has them.
    pub fn unknown_exports(&self) -> &[String] {
        &self.unknown_exports
    }

    /// Returns the hooks that the plugin implements.
    pub fn hooks(&self) -> impl Iterator<Item = Hook> {
        let is_exported = move |hook: &Hook| {
            let interface = hook.name().split('.').next().unwrap_or_default();
            self.exports().any(|exported| exported.name() == interface)
        };
        Hook::ALL.iter().copied().filter(is_exported)
    }

    /// Returns the worlds that the plugin implements.
    pub fn worlds(&self) -> &[World] {
        &self.worlds
    }

    pub(crate) fn pre(&self) -> &InstancePre<GuestState> {
        &self.pre
    }

    pub(crate) fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }
}

impl std::fmt::Debug for PluginVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("id", self.id()).field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// What a component exports.
#[derive(Default)]
struct Exports {
    /// The interfaces of the contract.
    known: BTreeSet<Interface>,
    /// The interfaces of a later version of the contract, each with its version.
    unknown: Vec<String>,
    /// Exports that do not belong to the contract.
    others: Vec<String>,
}

impl Exports {
    fn of(kind: &ComponentType, engine: &Engine) -> Result<Self, InstallError> {
        let mut exports = Self::default();
        for (name, item) in kind.exports(engine) {
            match name.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@')) {
                Some((interface, version)) if matches!(item.ty, ComponentItem::ComponentInstance(_)) => {
                    if !version.starts_with("0.1.") {
                        return Err(InstallError::WrongWorld(format!(
                            "the component exports {name}, this host implements {CONTRACT}; build it against the WIT files of any \
                             0.1.x version"
                        )));
                    }
                    match Interface::ALL.iter().find(|known| known.name() == interface) {
                        Some(known) => drop(exports.known.insert(*known)),
                        None => exports.unknown.push(format!("{interface}@{version}")),
                    }
                }
                _ => exports.others.push(name.to_owned()),
            }
        }
        Ok(exports)
    }
}

/// Returns the worlds whose exports are complete, or an error with what is missing for the nearest one.
fn worlds_of(exports: &Exports) -> Result<Vec<World>, InstallError> {
    let Exports { known, unknown, others } = exports;
    let is_complete = |world: &World| world.exports().iter().all(|interface| known.contains(interface));
    let worlds: Vec<World> = World::ALL.into_iter().filter(is_complete).collect();
    if !worlds.is_empty() {
        return Ok(worlds);
    }
    let missing = |world: World| -> Vec<&str> {
        world.exports().iter().copied().filter(|interface| !known.contains(interface)).map(Interface::name).collect()
    };
    if known.is_empty() {
        let names: Vec<&str> = unknown.iter().chain(others).map(String::as_str).collect();
        let exported_names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(InstallError::WrongWorld(format!(
            "this component is not a Cartwright plugin: it exports {exported_names}, but no interface of {CONTRACT}; target one of the \
             worlds vendor, cart-strategy, order-hook"
        )));
    }
    let nearest = World::ALL.into_iter().min_by_key(|world| missing(*world).len()).unwrap_or(World::CartStrategy);
    Err(InstallError::WrongWorld(format!(
        "the component implements no world of {CONTRACT}; the nearest is {}, for which it does not export {}",
        nearest.name(),
        missing(nearest).join(", ")
    )))
}

/// Refuses imports of WASI 0.3, whose functions are async.
fn check_wasi_imports(imports: &[String]) -> Result<(), InstallError> {
    let is_refused = |name: &&String| {
        name.starts_with("wasi:") && name.split_once('@').is_some_and(|(_, version)| version.starts_with("0.3."))
    };
    let refused: Vec<&str> = imports.iter().filter(is_refused).map(String::as_str).collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(InstallError::Imports(format!(
        "the component imports {}; no function of {CONTRACT} is async, and this host provides WASI 0.2 alone: build for WASI 0.2 \
         (wasm32-wasip2)",
        refused.join(", ")
    )))
}

/// Splits the name of an import of the contract into the interface and its version.
fn contract_import(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

/// Refuses a component that is only a cart strategy and imports more than one needs, so that a reviewer can trust the
/// list of its imports.
fn check_strategy_imports(exports: &Exports, imports: &[String]) -> Result<(), InstallError> {
    let is_of_strategy = |interface: &Interface| World::CartStrategy.exports().contains(interface);
    if !exports.unknown.is_empty() || !exports.known.iter().all(is_of_strategy) {
        return Ok(());
    }
    let further = imports.iter().filter_map(|name| contract_import(name)).map(|(interface, _)| interface);
    let further: Vec<String> =
        further.filter(|interface| !STRATEGY_IMPORTS.contains(interface)).map(str::to_owned).collect();
    if further.is_empty() { Ok(()) } else { Err(InstallError::StrategyImports(further)) }
}

/// Returns the error that names the interfaces and functions of the contract that a component imports and this host
/// lacks; `None` if it lacks none.
fn missing_imports(kind: &ComponentType, engine: &Engine) -> Option<InstallError> {
    let (mut missing, mut needed) = (Vec::new(), CONTRACT_VERSION);
    for (name, item) in kind.imports(engine) {
        let (Some((interface, version)), ComponentItem::ComponentInstance(instance)) =
            (contract_import(name), &item.ty)
        else {
            continue;
        };
        let before = missing.len();
        match HOST_IMPORTS.iter().find(|(known, _)| *known == interface) {
            None => missing.push(interface.to_owned()),
            Some((_, functions)) => {
                let lacking = instance.exports(engine).filter(|(function, item)| {
                    matches!(item.ty, ComponentItem::ComponentFunc(_)) && !functions.contains(function)
                });
                missing.extend(lacking.map(|(function, _)| format!("{interface}.{function}")));
            }
        }
        if missing.len() > before
            && let Ok(version) = version.parse::<semver::Version>()
        {
            needed = needed.max(version);
        }
    }
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(", ");
    Some(InstallError::Imports(if needed > CONTRACT_VERSION {
        format!("the component imports {missing}, which {CONTRACT} does not have; it needs a host of {needed}")
    } else {
        format!(
            "the component imports {missing}, which {CONTRACT} does not have; build it against this host's WIT files"
        )
    }))
}

fn unknown_import(imports: &[String], error: &wasmtime::Error) -> InstallError {
    let foreign: Vec<&String> =
        imports.iter().filter(|name| !name.starts_with("wasi:") && !name.starts_with(PACKAGE)).collect();
    InstallError::Imports(if foreign.is_empty() {
        format!(
            "the component has imports that this host does not provide in that version or type; it provides {CONTRACT} and WASI 0.2: \
             {error:#}"
        )
    } else {
        let names: Vec<&str> = foreign.iter().map(|name| name.as_str()).collect();
        format!("the component imports {}; this host provides only {CONTRACT} and WASI 0.2", names.join(", "))
    })
}

pub(crate) fn type_mismatch(error: &wasmtime::Error) -> InstallError {
    InstallError::WrongWorld(format!(
        "a function of the component has another type than in {CONTRACT}; build it against this host's WIT files: {error:#}"
    ))
}
