//! `cartwright jobs` and `cartwright orders`: what a host's database holds, for whoever runs it.

mod database;
mod jobs;
mod journal;
mod orders;
mod outcomes;

pub(crate) use database::Database;
pub(crate) use jobs::{Jobs, run as run_jobs};
pub(crate) use orders::{Orders, run as run_orders};

/// Who decides.
#[derive(clap::Args)]
pub(crate) struct Actor {
    /// Who decided, for the log of changes; your login unless given.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

impl Actor {
    pub(crate) fn name(&self) -> String {
        let login = || std::env::var("USER").ok().filter(|name| !name.is_empty());
        self.actor.clone().or_else(login).unwrap_or_else(|| "command line".to_owned())
    }
}
