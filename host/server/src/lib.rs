//! What the command `cartwright` does. A library only so that its readers of strangers' bytes can be fuzzed; its one function is the
//! whole program.

// `say!` knows what to do when nobody reads any more.
#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod output;

mod demo;
mod desk;
mod documents;
mod failed;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod inspect;
mod keys;
mod order;
mod plan;
mod serve;
mod source;
mod telemetry;
mod typed;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Hosts configurator vendors as WASI components.
///
/// A shop sells things that people configure in 3D; the configurator belongs to a vendor. Each vendor is one component that
/// turns what its configurator saved into cart lines, and hands paid orders to production.
///
/// Begin with `cartwright demo`, which opens two shops with fake vendors in your browser, then look at a plugin with `cartwright
/// inspect expivi`, and try one on your own files with `cartwright plan` and `cartwright order`.
#[derive(Parser)]
#[command(name = "cartwright", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Plan(Box<plan::Arguments>),
    Order(Box<order::Arguments>),
    Jobs(desk::Jobs),
    Orders(desk::Orders),
    Keys(keys::Keys),
    Serve(Box<serve::Arguments>),
    Demo(demo::Arguments),
}

/// Reads the process's arguments, runs the command that they name, and says how it ended.
#[tokio::main]
pub async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // A node logs as its configuration says, which it reads first.
    if !matches!(command, Command::Serve(_)) {
        telemetry::log();
    }
    let result = match command {
        Command::Inspect(arguments) => inspect::run(arguments).await,
        Command::Plan(arguments) => plan::run(*arguments).await,
        Command::Order(arguments) => order::run(*arguments).await,
        Command::Jobs(arguments) => desk::run_jobs(arguments).await,
        Command::Orders(arguments) => desk::run_orders(arguments).await,
        Command::Keys(arguments) => keys::run(arguments).await,
        Command::Serve(arguments) => serve::run(*arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            output::complain("help: `cartwright help` shows every command and what it wants");
            ExitCode::FAILURE
        }
    }
}
