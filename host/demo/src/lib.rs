//! `cartwright demo`: two shops and two vendors to browse, or with `--check` a story whose steps are checked. [`run`]
//! is the command, and [`Arguments`] are its arguments. The program that contains it must call it `demo`, because the
//! story starts nodes by that name.

// Output goes through a macro that ends the demo in order when standard output is closed.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod live;
mod node;
mod production;
mod serve;
mod setup;
mod shop;
mod shops;
mod story;

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use cartwright_service::output::{OutputClosed, try_line};
use tokio::signal::unix::{SignalKind, signal};

use self::setup::StoredDemo;

/// Try Cartwright in a browser: a host, two small shops and two fake vendors, all on this machine.
///
/// Starts a fake Expivi and a fake Twikit (written from the vendors' documents), the host with an embedded database as
/// `cartwright serve` runs it, and two shops that call it over HTTP, as any platform would. Prints the addresses to
/// open. Ctrl-C stops the demo and removes its files.
///
/// With `--check` it plays a story instead and reports for each step whether it held: set up accounts, link products,
/// add simple, variation and bundle lines, price, edit, request a quote, check the cart, pay, kill the process that
/// hands the orders to the vendors and start another, produce, switch a plugin version under load, switch a shop's
/// vendor. Exits with 0 only if every step held.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  cartwright demo\n  cartwright demo --listen 127.0.0.1:0 --shops 127.0.0.1:0\n  \
    cartwright demo --check")]
pub struct Arguments {
    /// Play the story and exit.
    #[arg(long)]
    check: bool,
    /// The address of the host. Port 0 chooses a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8700", conflicts_with = "check")]
    listen: SocketAddr,
    /// The address of the shops. Port 0 chooses a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8701", conflicts_with = "check")]
    shops: SocketAddr,
    /// Run a node of the story on this database.
    #[arg(long, hide = true, conflicts_with_all = ["check", "listen", "shops"], value_name = "URL")]
    node: Option<String>,
}

/// Runs the demo until it is interrupted, or plays its story.
///
/// # Errors
/// If something cannot be started. A step of the story that fails is reported, and is not an error.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(url) = arguments.node {
        node::work(url).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // Installed first, so that an interruption always removes the folder.
    let interrupted = interrupted()?;
    let stored = StoredDemo::new().await?;
    let code = if arguments.check {
        // Dropping the story ends its node.
        tokio::select! {
            code = play_story(&stored) => Ok(code.unwrap_or_else(|closed| closed.code().into())),
            code = interrupted => Ok(code),
        }
    } else {
        live::run(&stored, arguments.listen, arguments.shops, interrupted).await
    };
    stored.remove().await?;
    match code.map_err(anyhow::Error::downcast::<OutputClosed>) {
        Ok(code) => Ok(code),
        Err(Ok(closed)) => Ok(closed.code().into()),
        Err(Err(error)) => Err(error),
    }
}

/// Plays the story and reports the result.
async fn play_story(stored: &StoredDemo) -> Result<ExitCode, OutputClosed> {
    let mut steps = Steps::default();
    if let Err(error) = story::play(&mut steps, stored).await {
        let error = match error.downcast::<OutputClosed>() {
            Ok(closed) => return Err(closed),
            Err(error) => error,
        };
        // A failed step has been reported and counted already.
        if steps.failed == 0 {
            try_line(format_args!("the story stopped early: {error:#}"))?;
            steps.failed = 1;
        }
    }
    try_line(format_args!("\n{} steps held, {} did not", steps.succeeded, steps.failed))?;
    Ok(if steps.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Installs the signal handlers, and returns a future that completes with the first signal and yields the exit code
/// that a shell reports: 128 + the signal.
fn interrupted() -> anyhow::Result<impl Future<Output = ExitCode>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => ExitCode::from(130),
            _ = terminate.recv() => ExitCode::from(143),
        }
    })
}

/// Prints and counts the steps.
#[derive(Default)]
pub(crate) struct Steps {
    succeeded: usize,
    failed: usize,
}

impl Steps {
    pub(crate) fn chapter(&self, title: &str) -> Result<(), OutputClosed> {
        try_line(format_args!("\n{title}"))
    }

    /// Runs a step, prints its outcome and returns its result. A failed step ends the story.
    pub(crate) async fn step<T>(
        &mut self,
        name: &str,
        doing: impl Future<Output = anyhow::Result<(T, String)>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        match doing.await {
            Ok((value, outcome)) => {
                self.succeeded += 1;
                try_line(format_args!("  held    {name}: {outcome} ({} ms)", began.elapsed().as_millis()))?;
                Ok(value)
            }
            Err(error) => {
                self.failed += 1;
                try_line(format_args!("  FAILED  {name}: {error:#}"))?;
                Err(error.context(name.to_owned()))
            }
        }
    }
}
