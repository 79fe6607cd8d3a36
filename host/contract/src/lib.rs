//! The plugin contract in Rust and JSON: the records that the WIT files declare, and the types around them that need
//! neither a host nor a cart. These are ids and digests, texts, errors, hooks, forms and their settings, grants,
//! clocks, the rules of named JSON, and the traits that a commerce platform implements.

pub mod address;
pub mod articles;
pub mod clock;
pub mod endpoint;
pub mod error;
pub mod extras;
pub mod grants;
pub mod hook;
pub mod ids;
pub mod metadata;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod order;
pub mod outcome;
pub mod platform;
pub mod records;
pub mod settings;
pub mod text;
