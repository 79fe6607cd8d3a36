//! Installed plugin versions: compiled, checked against the contract, and with known metadata.

use std::collections::BTreeSet;

use cartwright_contract::error::{Failure, HookError};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{Digest, InvalidId, PluginId};
use cartwright_contract::records::Identity;
use cartwright_contract::settings::Form;
use serde::Serialize;
use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Instance, InstancePre, Linker};

use crate::bindings::exports;
use crate::state::GuestState;

/// The version of the contract that this host implements.
pub const CONTRACT: &str = "cartwright:plugin@0.1.0";
const PACKAGE: &str = "cartwright:plugin/";

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
    /// The plugin's metadata is invalid.
    #[error("the plugin's metadata is invalid: {0}")]
    Identity(String),
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
        Self::Identity(error.to_string())
    }
}

macro_rules! interfaces {
    ($($name:ident = $text:literal,)*) => {
        /// Indexes of a component's exported interfaces, resolved once and used by every call.
        pub(crate) struct Interfaces {
            $($name: Option<exports::$name::GuestIndices>,)*
        }

        impl Interfaces {
            fn find(exported: &BTreeSet<String>, pre: &InstancePre<GuestState>) -> wasmtime::Result<Self> {
                Ok(Self {
                    $($name: if exported.contains($text) {
                        Some(exports::$name::GuestIndices::new(pre)?)
                    } else {
                        None
                    },)*
                })
            }

            /// Returns whether this interface is exported.
            fn has(&self, name: &str) -> bool {
                match name {
                    $($text => self.$name.is_some(),)*
                    _ => false,
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
    plugin = "plugin",
    settings = "settings",
    account = "account",
    products = "products",
    page = "page",
    configuration = "configuration",
    cart = "cart",
    orders = "orders",
    webhooks = "webhooks",
    feed = "feed",
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

    fn exports(self) -> &'static [&'static str] {
        match self {
            World::Vendor => {
                &["plugin", "settings", "account", "products", "page", "configuration", "cart", "orders", "webhooks"]
            }
            World::CartStrategy => &["plugin", "settings", "cart"],
            World::OrderHook => &["plugin", "settings", "account", "orders"],
        }
    }
}

/// One version of a plugin, installed and ready to be called.
pub struct PluginVersion {
    digest: Digest,
    size: usize,
    imports: Vec<String>,
    worlds: Vec<World>,
    pre: InstancePre<GuestState>,
    interfaces: Interfaces,
    /// Filled in after `plugin.describe` has returned.
    metadata: PluginMetadata,
}

/// What a plugin states about itself at installation.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PluginMetadata {
    /// The plugin id.
    pub id: PluginId,
    /// The result of `plugin.describe`.
    pub identity: Identity,
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
        let mut exported = BTreeSet::new();
        let mut others = Vec::new();
        for (name, item) in kind.exports(engine) {
            match name.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@')) {
                Some((interface, version)) if matches!(item.ty, ComponentItem::ComponentInstance(_)) => {
                    if !version.starts_with("0.1.") {
                        return Err(InstallError::WrongWorld(format!(
                            "the component exports {name}, this host implements {CONTRACT}; build it against the WIT files of any \
                             0.1.x version"
                        )));
                    }
                    exported.insert(interface.to_owned());
                }
                _ => others.push(name.to_owned()),
            }
        }
        let worlds = worlds_of(&exported, &others)?;
        let pre = linker.instantiate_pre(component).map_err(|error| unknown_import(&imports, &error))?;
        let interfaces = Interfaces::find(&exported, &pre).map_err(|error| type_mismatch(&error))?;
        let metadata = PluginMetadata {
            id: "unnamed".parse()?,
            identity: Identity {
                id: String::new(),
                name: String::new(),
                version: String::new(),
                vendor: String::new(),
                hosts: Vec::new(),
                strategies: Vec::new(),
                capabilities: Vec::new(),
                grants: Vec::new(),
                extra: Vec::new(),
            },
            form: Form(Vec::new()),
        };
        Ok(Self { digest, size, imports, worlds, pre, interfaces, metadata })
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

    /// Returns the hooks that the plugin implements.
    pub fn hooks(&self) -> impl Iterator<Item = Hook> {
        let interface = |hook: &Hook| hook.name().split('.').next().unwrap_or_default();
        Hook::ALL.iter().copied().filter(move |hook| self.interfaces.has(interface(hook)))
    }

    /// Returns whether the plugin implements a hook.
    pub fn has_hook(&self, hook: Hook) -> bool {
        self.hooks().any(|known| known == hook)
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

/// Returns the worlds whose exports are complete, or an error with what is missing for the nearest one.
fn worlds_of(exported: &BTreeSet<String>, others: &[String]) -> Result<Vec<World>, InstallError> {
    let is_complete = |world: &World| world.exports().iter().all(|name| exported.contains(*name));
    let worlds: Vec<World> = World::ALL.into_iter().filter(is_complete).collect();
    if !worlds.is_empty() {
        return Ok(worlds);
    }
    let missing = |world: World| -> Vec<&str> {
        world.exports().iter().copied().filter(|name| !exported.contains(*name)).collect()
    };
    if exported.is_empty() {
        let exported_names = if others.is_empty() { "nothing".to_owned() } else { others.join(", ") };
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
