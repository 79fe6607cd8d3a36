//! What the server does, for its HTTP API, its admin pages and its command line alike.
//!
//! A use case stands here once: it validates what goes beyond the form of a request, checks whether the actor may do it,
//! changes the installation or its store, and returns a typed error. The API, the pages and the command line translate
//! between it and JSON, forms and arguments. Where a use case would add nothing, they call the store or the host
//! themselves. Nothing here knows HTTP.
//!
//! - Use cases: [access keys](access_keys), [accounts], [jobs], [notification endpoints](notifications), [orders],
//!   [shops], [webhook URLs and pushed settings](webhooks), and what each role reads in the [audit log](audit_log). The
//!   one who makes a change is an [`Actor`](actor::Actor).
//! - Start of a node or a command: [installations](installation) and their [databases](database), [plugins](source) and
//!   their [grants].
//! - Forms of data: [tables of product links](links_table), what people [type](input), jobs, journals and outcomes as
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
