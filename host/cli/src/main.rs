//! The command `cartwright`: parses its arguments, runs the subcommand and reports the result. Each subcommand is a
//! module with its `Arguments` and its `run`.

// Output goes through `print_line!`, which handles a closed standard output.
#![warn(clippy::print_stdout, clippy::print_stderr)]

/// Prints a line on standard output, and ends the command if standard output is closed.
macro_rules! print_line {
    ($($text:tt)*) => { cartwright_service::output::line(format_args!($($text)*)) };
}

mod config;
mod database;
mod failure;
mod files;
mod handle;
mod inspect;
mod keys;
mod plan;
mod serve;
mod telemetry;

use std::process::ExitCode;

use cartwright_service::output;
use clap::{Parser, Subcommand};

/// Hosts product configurators as WASI components.
///
/// A shop sells products that shoppers configure in 3D, with a configurator that belongs to a vendor. Each vendor's
/// plugin is one component, which turns saved configurations into cart lines and hands paid orders to production.
///
#[cfg_attr(
    feature = "demo",
    doc = "Begin with `cartwright demo`, which opens two shops with fake vendors in your browser, then look at a plugin with `cartwright \
           inspect expivi`, and try one on your own files with `cartwright plan` and `cartwright handle`."
)]
#[cfg_attr(
    not(feature = "demo"),
    doc = "Inspect a plugin with `cartwright inspect expivi`, and try one on your own files with `cartwright plan` and `cartwright handle`."
)]
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
    Handle(Box<handle::Arguments>),
    Jobs(database::Jobs),
    Orders(database::Orders),
    Keys(keys::Keys),
    Serve(Box<serve::Arguments>),
    #[cfg(feature = "demo")]
    Demo(cartwright_demo::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // `serve` sets up logging itself, after it has read its configuration.
    if !matches!(command, Command::Serve(_)) {
        telemetry::log();
    }
    let result = match command {
        Command::Inspect(arguments) => inspect::run(arguments).await,
        Command::Plan(arguments) => plan::run(*arguments).await,
        Command::Handle(arguments) => handle::run(*arguments).await,
        Command::Jobs(arguments) => database::run_jobs(arguments).await,
        Command::Orders(arguments) => database::run_orders(arguments).await,
        Command::Keys(arguments) => keys::run(arguments).await,
        Command::Serve(arguments) => serve::run(*arguments).await,
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => cartwright_demo::run(arguments).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::print_error(&format!("error: {error:#}"));
            output::print_error("help: `cartwright help` lists the commands and their arguments");
            ExitCode::FAILURE
        }
    }
}
