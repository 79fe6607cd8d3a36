//! `cartwright jobs`: lists, shows, retries and cancels jobs.

use std::process::ExitCode;
use std::time::SystemTime;

use cartwright::{AccountId, Digest, ShopId, timestamp};
use cartwright_service::json::{JobDetailDocument, JobDocument};
use cartwright_service::words::responsible_text;
use cartwright_store::{JobDetail, JobFilter, JobState, JobStateKind, JobSummary, RetryMode};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::arguments::Database;
use super::{Actor, journal, outcomes};

/// Inspect the order events that plugins handle, and decide about jobs that stopped.
///
/// A job is one event of one order for one account. It runs without supervision, retries while a vendor is unavailable,
/// and stops only where a person must decide: `jobs list --state stopped` and `jobs list --state needs-merchant` list
/// those jobs, and `jobs show` explains one.
#[derive(clap::Args)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    List(List),
    Show(Show),
    Retry(RetryArguments),
    Cancel(Cancel),
}

/// List jobs, the oldest first.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  cartwright jobs list --database sqlite:cartwright.db --key-file cartwright.key --state stopped"
)]
struct List {
    #[command(flatten)]
    database: Database,
    /// Only jobs of this shop.
    #[arg(long)]
    shop: Option<ShopId>,
    /// Only jobs of the order with this platform id.
    #[arg(long)]
    order: Option<String>,
    /// Only jobs of this account.
    #[arg(long)]
    account: Option<AccountId>,
    /// Only jobs in this state.
    #[arg(long, value_parser = state_parser())]
    state: Option<JobStateKind>,
    /// Maximum number of jobs to list.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Continue after the job with this id, the last of the previous page.
    #[arg(long, value_name = "JOB")]
    after: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Show a job: the reason for its state, its requests with their responses, and its outcomes.
///
/// The journal is shown request by request: when it was sent, which attempt it was, and the response. Bodies and
/// secrets are not shown.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  cartwright jobs show rings:expivi:e1 --database sqlite:cartwright.db --key-file cartwright.key"
)]
struct Show {
    /// The job's id.
    job: String,
    #[command(flatten)]
    database: Database,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Retry a job as soon as a worker is free.
///
/// The job continues where it stopped and repeats its last request. A request that is not safe to repeat, and that may
/// already have reached the vendor, is sent again: check at the vendor first.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  cartwright jobs retry rings:expivi:e1 --database sqlite:cartwright.db --key-file cartwright.key"
)]
struct RetryArguments {
    /// The job's id.
    job: String,
    #[command(flatten)]
    database: Database,
    /// Start from the beginning with the current settings. Outcomes that are already recorded are not repeated.
    #[arg(long)]
    restart: bool,
    /// Start from the beginning on another version of the plugin, named by its component's digest, and stay on it.
    #[arg(long, value_name = "DIGEST", conflicts_with = "restart")]
    on: Option<Digest>,
    #[command(flatten)]
    actor: Actor,
}

/// Cancel a job after its current step.
///
/// A plugin that waits is notified and may clean up. Later events of the order continue.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  cartwright jobs cancel rings:expivi:e1 --database sqlite:cartwright.db --key-file cartwright.key"
)]
struct Cancel {
    /// The job's id.
    job: String,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    actor: Actor,
}

pub(crate) async fn run(arguments: Jobs) -> anyhow::Result<ExitCode> {
    let now = SystemTime::now();
    match arguments.command {
        Command::List(list) => run_list(list).await?,
        Command::Show(Show { job, database, json }) => {
            let detail = database.open().await?.jobs().get(&job).await?;
            if json {
                print_line!("{}", serde_json::to_string_pretty(&JobDetailDocument::from(&detail))?)
            } else {
                print(&detail)
            }
        }
        Command::Retry(RetryArguments { job, database, restart, on, actor }) => {
            let how = match on {
                Some(component) => RetryMode::RestartOn(component),
                None if restart => RetryMode::Restart,
                None => RetryMode::Resume,
            };
            database.open().await?.jobs().retry(&job, how, &actor.name(), now).await?;
            print_line!("{job} runs as soon as a worker is free; see its result with `cartwright jobs show`");
        }
        Command::Cancel(Cancel { job, database, actor }) => {
            let store = database.open().await?;
            store.jobs().cancel(&job, &actor.name(), now).await?;
            let summary = store.jobs().get(&job).await?.summary;
            print_line!("{job} is {}", if summary.is_cancelling { "being cancelled" } else { summary.state.name() });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn state_parser() -> impl TypedValueParser<Value = JobStateKind> {
    PossibleValuesParser::new(JobStateKind::ALL.map(JobStateKind::name)).try_map(|name| name.parse::<JobStateKind>())
}

async fn run_list(list: List) -> anyhow::Result<()> {
    let List { database, shop, order, account, state, limit, after, json } = list;
    let filter = JobFilter { shop, order, account, state, after };
    let jobs = database.open().await?.jobs().list(&filter, limit).await?;
    if json {
        print_line!("{}", serde_json::to_string_pretty(&jobs.iter().map(JobDocument::from).collect::<Vec<_>>())?);
        return Ok(());
    }
    if jobs.is_empty() {
        print_line!("no job");
    }
    print_list(&jobs);
    if let Some(last) = jobs.last().filter(|_| u32::try_from(jobs.len()) == Ok(limit)) {
        print_line!("there may be more: --after {}", last.id);
    }
    Ok(())
}

pub(super) fn print_list(jobs: &[JobSummary]) {
    let widest = jobs.iter().map(|job| job.id.len()).max().unwrap_or_default();
    for job in jobs {
        let waits = job.blocked_by.as_ref().map_or(String::new(), |holder| format!(", behind {holder}"));
        print_line!("{:<widest$}  {:<20} order {}  {}{waits}", job.id, job.kind, job.order, state(job));
    }
}

/// Formats the state of a job with its time.
fn state(job: &JobSummary) -> String {
    let name = job.state.name();
    let text = match job.state {
        JobState::Queued { due } => format!("{name} since {}", timestamp(due)),
        JobState::Sleeping { until } => format!("{name} until {}", timestamp(until)),
        JobState::Retrying { counters: failures, until } => {
            let failed = failures.outages + failures.limit_breaches;
            format!("{name} at {}, failed {failed} times", timestamp(until))
        }
        _ => format!("{name} since {}", timestamp(job.changed)),
    };
    if job.is_cancelling { format!("{text}, being cancelled") } else { text }
}

fn print(detail: &JobDetail) {
    let job = &detail.summary;
    print_line!("{}", job.id);
    print_line!("  state    {}", state(job));
    if let Some(holder) = &job.blocked_by {
        print_line!("  behind   {holder}");
    }
    if let Some(reason) = &detail.reason {
        print_line!("  why      {}", reason.text);
        if let Some(responsible) = reason.responsible {
            print_line!("  fix      {}; then: cartwright jobs retry {}", responsible_text(responsible), job.id);
        }
    }
    print_line!("  event    {} {}, of {}", job.kind, job.event, timestamp(job.created));
    print_line!("  order    {} of the shop {}", job.order, job.shop);
    print_line!("  account  {}, component {}", job.account, job.plugin);
    if let Some(worker) = &job.worker {
        print_line!("  worker   {worker}");
    }
    for (number, records) in &detail.journals {
        journal::print(*number, records);
    }
    if !detail.outcomes.is_empty() {
        print_line!("outcomes");
        outcomes::print(&detail.outcomes);
    }
}
