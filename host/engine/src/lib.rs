//! Runs plugins: compiles their components, calls the functions that they export within limits, and implements what
//! they import. This is the only crate of the host that uses wasmtime. It knows neither set-ups nor carts.
//!
//! Three types matter:
//! - [`Engine`], which installs a component and has a method for each function that the contract exports;
//! - [`PluginVersion`], a component that passed installation;
//! - [`Scope`], which names the shop and account that a call is for, and what the operator granted them.
//!
//! A call returns a value. Besides the plugin's result, it contains what the host needs to know about the call, such as
//! its log lines.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use cartwright_contract::error::HookError;
//! use cartwright_contract::records::{Context, Diagnosis};
//! use cartwright_engine::{CallOptions, ComponentBytes, Engine, EngineOptions, PluginVersion, Scope};
//!
//! # async fn start(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::start(EngineOptions::default())?;
//! let plugin = engine.install(ComponentBytes::check(bytes, None)?).await?;
//! println!("{} {}", plugin.id(), plugin.metadata().identity.version);
//! # Ok(())
//! # }
//! async fn test(
//!     engine: &Engine,
//!     plugin: &PluginVersion,
//!     scope: Arc<Scope>,
//!     context: &Context,
//! ) -> Result<Vec<Diagnosis>, HookError> {
//!     engine.test_connection(plugin, CallOptions::new(scope), context).await
//! }
//! ```

mod bindings;
mod call;
mod capability;
mod config;
pub mod durable;
pub mod egress;
mod engine;
mod exports;
pub mod health;
mod install;
mod limits;
mod log_sink;
pub mod observe;
mod options;
mod plugin;
mod sandbox;
mod slots;
mod state;
mod ticker;

pub use capability::{GrantedSecret, Platform, Scope};
pub use config::MAX_CONCURRENT_CALLS;
pub use engine::{Engine, EngineOptions, StartError};
pub use exports::{DecodeResult, PlanResult, PollResult, PriceItemsResult, ReceiveResult, ResolveResult};
pub use install::ComponentBytes;
pub use limits::Limits;
pub use observe::Observer;
pub use options::CallOptions;
pub use plugin::{CONTRACT, InstallError, Interface, PluginMetadata, PluginVersion, World};
pub use slots::{RESERVED_QUERY_SLOTS, SLOTS_PER_SHOP, SlotKind};
