//! `cartwright jobs` and `cartwright orders`: the operator's view of a host's database.

mod arguments;
mod jobs;
mod journal;
mod orders;
mod outcomes;

pub(crate) use arguments::Database;
pub(crate) use jobs::{Jobs, run as run_jobs};
pub(crate) use orders::{Orders, run as run_orders};

/// The actor of a change.
#[derive(clap::Args)]
pub(crate) struct Actor {
    /// The actor that the audit log records. Default: your login name.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

impl Actor {
    pub(crate) fn name(&self) -> String {
        let login = || std::env::var("USER").ok().filter(|name| !name.is_empty());
        self.actor.clone().or_else(login).unwrap_or_else(|| "command line".to_owned())
    }
}
