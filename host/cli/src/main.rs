//! The command `cartwright`: reads its arguments, runs the command that they name, and says how it ended. Each command is a module with
//! its `Arguments` and its `run`.

// `say!` knows what to do when nobody reads any more.
#![warn(clippy::print_stdout, clippy::print_stderr)]

/// Says a line on standard output; ends the command when that cannot be done.
macro_rules! print_line {
    ($($text:tt)*) => { cartwright_service::output::line(format_args!($($text)*)) };
}

mod config;
mod desk;
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

/// Hosts configurator vendors as WASI components.
///
/// A shop sells things that people configure in 3D; the configurator belongs to a vendor. Each vendor is one component that
/// turns what its configurator saved into cart lines, and hands paid orders to production.
///
#[cfg_attr(
    feature = "demo",
    doc = "Begin with `cartwright demo`, which opens two shops with fake vendors in your browser, then look at a plugin with `cartwright \
           inspect expivi`, and try one on your own files with `cartwright plan` and `cartwright handle`."
)]
#[cfg_attr(
    not(feature = "demo"),
    doc = "Look at a plugin with `cartwright inspect expivi`, and try one on your own files with `cartwright plan` and `cartwright handle`."
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
    Jobs(desk::Jobs),
    Orders(desk::Orders),
    Keys(keys::Keys),
    Serve(Box<serve::Arguments>),
    #[cfg(feature = "demo")]
    Demo(cartwright_demo::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // A node logs as its configuration says, which it reads first.
    if !matches!(command, Command::Serve(_)) {
        telemetry::log();
    }
    let result = match command {
        Command::Inspect(arguments) => inspect::run(arguments).await,
        Command::Plan(arguments) => plan::run(*arguments).await,
        Command::Handle(arguments) => handle::run(*arguments).await,
        Command::Jobs(arguments) => desk::run_jobs(arguments).await,
        Command::Orders(arguments) => desk::run_orders(arguments).await,
        Command::Keys(arguments) => keys::run(arguments).await,
        Command::Serve(arguments) => serve::run(*arguments).await,
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => cartwright_demo::run(arguments).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::print_error(&format!("error: {error:#}"));
            output::print_error("help: `cartwright help` shows every command and what it wants");
            ExitCode::FAILURE
        }
    }
}
