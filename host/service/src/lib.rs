//! The use cases of the server, which the HTTP API, the admin pages and the command line share.
//!
//! A use case validates what goes beyond the form of a request, checks whether the actor may make the change, changes
//! the installation or its store, and returns a typed error. The API, the pages and the command line translate between
//! use cases and JSON, forms and arguments. Where a use case would add nothing, they call the store or the host
//! directly. This crate does not depend on HTTP.
//!
//! - Use cases: [access keys](access_keys), [accounts], [jobs], [notification endpoints](notifications), [orders],
//!   [shops], [webhook URLs and pushed settings](webhooks), and the [audit log](audit_log) as each role may read it. An
//!   [`Actor`](actor::Actor) makes a change.
//! - Start of a node or a command: [installations](installation) and their [databases](database), [plugins](source) and
//!   their [grants].
//! - Formats: [tables of product links](links_table), [input] that people type, jobs, journals and outcomes as
//!   [JSON](json) and in [words], and the [output] of commands.

pub mod access_keys;
pub mod accounts;
pub mod actor;
pub mod audit_log;
pub mod database;
pub mod grants;
pub mod input;
pub mod installation;
pub mod jobs;
pub mod json;
pub mod links_table;
pub mod notifications;
pub mod orders;
pub mod output;
pub mod shops;
pub mod source;
pub mod webhooks;
pub mod words;
