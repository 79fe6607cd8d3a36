//! `cartwright orders`: shows the orders that the database stores.

use std::process::ExitCode;

use anyhow::Context as _;
use cartwright::ShopId;
use cartwright::types::Order;
use cartwright_service::json::{JobDocument, OutcomeDocument};
use cartwright_service::orders::{self, OrderOverview};
use cartwright_service::words::amount;
use cartwright_store::{JobSummary, StoredOutcome};
use serde_json::json;

use super::arguments::Database;
use super::{jobs, outcomes};

/// Inspect stored orders.
#[derive(clap::Args)]
pub(crate) struct Orders {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Show(Show),
}

/// Show an order: its lines and their status, its jobs, and what its vendors reported.
///
/// Addresses are not shown, and `--json` omits them too.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  cartwright orders show 1001 --shop rings --database sqlite:cartwright.db --key-file cartwright.key"
)]
struct Show {
    /// The platform's id of the order.
    order: String,
    /// The shop of the order.
    #[arg(long)]
    shop: ShopId,
    #[command(flatten)]
    database: Database,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Orders) -> anyhow::Result<ExitCode> {
    let Command::Show(Show { order: id, shop, database, json }) = arguments.command;
    let store = database.open().await?;
    let missing = || format!("order {id} of the shop {shop} not found; its platform has not reported it yet");
    let overview = orders::overview(&store, &shop, &id).await?.with_context(missing)?;
    let OrderOverview { order, jobs, outcomes } = overview;
    let order = Order { billing: None, delivery: None, shop_address: None, ..order };
    if json {
        let jobs: Vec<_> = jobs.iter().map(JobDocument::from).collect();
        let outcomes: Vec<_> = outcomes.iter().map(OutcomeDocument::from).collect();
        let all = json!({ "order": order, "jobs": jobs, "outcomes": outcomes });
        print_line!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print(&order, &jobs, &outcomes);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(order: &Order, jobs: &[JobSummary], outcomes: &[StoredOutcome]) {
    print_line!("{} ({})", order.number, order.reference);
    print_line!("  placed    {}", order.placed_at);
    print_line!("  version   {}", order.version);
    print_line!("  paid      {} of {}", amount(&order.paid), amount(&order.total));
    if order.refunded.minor > 0 {
        print_line!("  refunded  {}", amount(&order.refunded));
    }
    if let Some(shipping) = &order.shipping {
        print_line!("  shipping  {}, {}", shipping.title, amount(&shipping.amount));
    }
    print_line!("  released  {}", if order.released { "yes" } else { "not yet" });
    if order.cancelled {
        print_line!("  cancelled");
    }
    print_line!("lines");
    for line in &order.lines {
        let account = line.account.as_deref().unwrap_or("not configured");
        let held = if order.released && !line.released { ", on hold for the merchant's approval" } else { "" };
        print_line!("  {} {} × {}: {account}, {}{held}", line.id, line.cart_line.quantity, line.title, line.status);
    }
    if !jobs.is_empty() {
        print_line!("jobs");
        jobs::print_list(jobs);
    }
    if !outcomes.is_empty() {
        print_line!("outcomes");
        outcomes::print(outcomes);
    }
}
