//! `cartwright demo`: two shops, two vendors, from an empty host to produced orders.

mod kept;
mod node;
mod serve;
mod shops;
mod story;

use std::future::Future;
use std::process::ExitCode;
use std::time::Instant;

/// Play the main job against fake vendors and say of each step whether it held.
///
/// Starts a fake Expivi and a fake Twikit on this machine (written from the vendors' documents), two shops, and plays: set up
/// accounts, link products, add simple, variation and bundle lines, price, edit, ask for a quotation, check the cart, pay,
/// kill the process that hands the orders to the vendors and start another, produce, swap a plugin version under load, swap a shop's
/// vendor. Exits with 0 only if every step held. Leaves nothing behind.
#[derive(clap::Args)]
#[command(override_usage = "cartwright demo --check")]
pub(crate) struct Arguments {
    /// Play the story and exit. (The pages to browse come with the server.)
    #[arg(long, required_unless_present = "node")]
    check: bool,
    /// Be a node of the story, on this database.
    #[arg(long, hide = true, conflicts_with = "check", value_name = "URL")]
    node: Option<String>,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(url) = arguments.node {
        node::work(url).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut steps = Steps::default();
    if let Err(error) = story::play(&mut steps).await {
        // A step that did not hold has said so, and is counted.
        if steps.failed == 0 {
            say!("the story broke off: {error:#}");
            steps.failed = 1;
        }
    }
    say!("\n{} steps held, {} did not", steps.held, steps.failed);
    Ok(if steps.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Counts and prints the steps.
#[derive(Default)]
pub(crate) struct Steps {
    held: usize,
    failed: usize,
}

impl Steps {
    pub(crate) fn chapter(&self, title: &str) {
        say!("\n{title}");
    }

    /// Does a step, prints what came of it, and goes on with its result. A step that did not hold ends the story.
    pub(crate) async fn step<T>(
        &mut self,
        name: &str,
        doing: impl Future<Output = anyhow::Result<(T, String)>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        match doing.await {
            Ok((value, outcome)) => {
                self.held += 1;
                say!("  held    {name}: {outcome} ({} ms)", began.elapsed().as_millis());
                Ok(value)
            }
            Err(error) => {
                self.failed += 1;
                say!("  FAILED  {name}: {error:#}");
                Err(error.context(name.to_owned()))
            }
        }
    }
}
