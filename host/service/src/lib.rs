//! What the server does, for its API, its pages and its command line alike: [installations](installation) and their
//! [databases](database), [plugins](source) and what they are [granted](grants), [tables of links](links_table), and jobs, journals and
//! outcomes as [JSON](documents) and in [words].

pub mod database;
pub mod documents;
pub mod grants;
pub mod input;
pub mod installation;
pub mod links_table;
pub mod output;
pub mod source;
pub mod words;
