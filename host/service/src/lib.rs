//! Functions that the HTTP API, the admin pages and the command line share: [installations](installation) and their
//! [databases](database), [plugins](source) and their [grants], [tables of product links](links_table), and jobs,
//! journals and outcomes as [JSON](documents) and in [words].

pub mod database;
pub mod documents;
pub mod grants;
pub mod input;
pub mod installation;
pub mod links_table;
pub mod output;
pub mod source;
pub mod words;
