//! Cartwright's runtime: loads configurator vendors as WASI components, checks, limits, calls and swaps them.
mod capability;
mod contract;
mod engine;
mod error;
mod grants;
mod guest;
mod host;
mod ids;
mod install;
mod limits;
mod platform;
mod plugin;
mod settings;
mod shop;
