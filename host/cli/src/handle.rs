//! `cartwright handle`: runs an order hook on files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use cartwright::durable::{Answer, Entry, JournaledBody, MAX_CONTINUATIONS, MemoryJournal, Record};
use cartwright::types::{Article, Next, Order, OrderEvent, OrderEventKind, Outcome};
use cartwright::{
    AccountId, AccountSetup, Blobs as _, Cartwright, Clock as _, Grants, LogLine, MemoryBlobs, MemoryOrderBook,
    SimulatedClock, describe,
};
use cartwright_service::grants::Grant;
use cartwright_service::{grants, output, source};
use serde_json::{Map, Value, json};
use url::Url;

use crate::failure::Failure;
use crate::files::{Catalog, json_file, parse_strict};

/// Send an order event to a plugin's order hook, as a shop would, and print its outcomes.
///
/// The hook runs with a journal in memory, and its waits end at once on a simulated clock. Its requests are real: it
/// reaches the servers that --grant names, and nothing is granted by default. A hook that returns `unavailable` ends here;
/// in a shop it would run again later. Prints the outcomes and exits with 0, or prints the typed error as JSON on
/// standard error and exits with 1.
#[derive(clap::Args)]
#[command(after_help = "\
Files:
  settings       {\"url\": \"https://erp.example/orders\", \"token\": \"…\"}: by field name, secrets too (see `cartwright inspect`)
  order          the contract's record `order` (wit/0.1/types.wit) as JSON, each line with its `bill_of_materials` if it has one;
                 tests/guests/order-hook/order.json is one that we made up
  configuration  what the configurator's page handed over, as it is

Example:
  cartwright handle --plugin hook.wasm --settings s.json --order order.json --grant erp.example --explain")]
pub(crate) struct Arguments {
    /// The plugin: a component's file, or `expivi` or `twikit`.
    #[arg(long)]
    plugin: String,
    /// The file of the account's settings.
    #[arg(long)]
    settings: PathBuf,
    /// The file of the order in its current state.
    #[arg(long)]
    order: PathBuf,
    /// The order event: `placed`, `paid`, `released`, `changed`, `cancelled`, … An event with a payload has it after a
    /// "=", as JSON: `forwarded={"name":"erp.made","json":"{}"}`.
    #[arg(long, default_value = "released", value_parser = kind)]
    event: OrderEventKind,
    /// The file of a raw configuration that a line of the order names by its digest.
    #[arg(long)]
    configuration: Vec<PathBuf>,
    /// A grant for the hook: a host, `http://` and a host without TLS, a network, or `personal-data`, without which it
    /// sees no address and nothing that the shopper wrote.
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<Grant>,
    /// The server to use instead of the vendor's. Sets the setting that determines the plugin's first host, and allows
    /// the address, without TLS too.
    #[arg(long)]
    vendor_url: Option<Url>,
    /// Print the journal request by request, and the plugin's log, also if the hook fails.
    #[arg(long)]
    explain: bool,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// Parses a kind of event in the contract's spelling.
fn kind(text: &str) -> Result<OrderEventKind, String> {
    let (name, kind) = match text.split_once('=') {
        None => (text, json!(text)),
        Some((name, more)) => {
            (name, json!({ name: serde_json::from_str::<Value>(more).unwrap_or_else(|_| json!(more)) }))
        }
    };
    parse_strict(&kind.to_string()).map_err(|error| match payload_hint(name) {
        Some(example) if name == text => {
            format!("this event has a payload after a \"=\"; for example: --event '{name}={example}'")
        }
        Some(example) => format!("{error}; for example: --event '{name}={example}'"),
        None => error.to_string(),
    })
}

/// Returns an example of the payload of a kind of event, for those that have one.
fn payload_hint(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "refunded" => r#"{"lines":[{"line":"1","quantity":1}],"amount":null}"#,
        "fulfilled" => r#"{"lines":[],"carrier":"DHL","tracking_id":"T-1"}"#,
        "forwarded" => r#"{"name":"erp.made","json":"{}"}"#,
        "other" => r#"{"name":"returned","json":"{}"}"#,
        _ => return None,
    })
}

/// Everything that a run can show, whether it succeeded or failed.
#[derive(Default)]
struct HandleRun {
    clock: Arc<SimulatedClock>,
    /// One journal for each round.
    journals: Vec<Arc<MemoryJournal>>,
    log: Vec<LogLine>,
}

#[allow(clippy::indexing_slicing, reason = "`Failure::typed` returns a JSON object")]
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut run = HandleRun::default();
    let result = handle(&arguments, &mut run).await;
    if arguments.explain && !arguments.json {
        explain(&run);
    }
    if let Err(failed) = result {
        let mut typed = failed.typed()?;
        if arguments.json {
            typed["course"] = as_json(&run);
        }
        output::print_error(&serde_json::to_string_pretty(&typed)?);
        return Ok(ExitCode::FAILURE);
    }
    if arguments.json {
        print_line!("{}", serde_json::to_string_pretty(&as_json(&run))?);
        return Ok(ExitCode::SUCCESS);
    }
    let outcomes = outcomes(&run);
    for outcome in &outcomes {
        print_line!("{}", describe_outcome(outcome));
    }
    if outcomes.is_empty() {
        print_line!("no outcomes");
    }
    let waits = run.clock.slept();
    if !waits.is_empty() {
        let seconds: u64 = waits.iter().map(|seconds| u64::from(*seconds)).sum();
        print_line!("skipped {} waits of {seconds} s in total on a simulated clock", waits.len());
    }
    Ok(ExitCode::SUCCESS)
}

async fn handle(arguments: &Arguments, run: &mut HandleRun) -> Result<(), Failure> {
    let (order, bills_of_materials) = read_order(&arguments.order)?;
    let (orders, blobs) = (Arc::new(MemoryOrderBook::default()), Arc::new(MemoryBlobs::default()));
    let mut builder = Cartwright::builder().order_book(orders.clone()).blobs(blobs.clone());
    if let Some(cache) = source::cache() {
        builder = builder.cache(cache);
    }
    let host = builder.start().context("cannot start the host")?;
    let plugin = source::install(&host, &arguments.plugin).await?;
    let total = &order.total;
    let shop = Catalog::empty(total.currency.clone(), total.scale, order.locale.clone()).shop()?;
    let id = shop.id.clone();
    host.add_shop(shop)?;
    for path in &arguments.configuration {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        blobs.put(&id, bytes, "application/json").await.context("cannot store the configuration")?;
    }
    let mut settings: Map<String, Value> = json_file(&arguments.settings)?;
    if let Some(url) = &arguments.vendor_url {
        settings.insert(grants::url_setting(&plugin)?.to_owned(), json!(url.as_str()));
    }
    let server = arguments.vendor_url.iter().flat_map(grants::server);
    let granted: Vec<Grant> = server.chain(arguments.grants.iter().cloned()).collect();
    let account: AccountId = plugin.id().as_str().parse().context("the account's id")?;
    let setup = AccountSetup { id: account.clone(), settings, grants: grants::add_grants(Grants::default(), &granted) };
    host.set_account(&id, plugin.digest(), setup).await?;
    orders.put(&id, &account, order.clone());
    for (line_reference, articles) in bills_of_materials {
        orders.put_bill_of_materials(&id, &line_reference, articles);
    }
    let event = OrderEvent {
        id: format!("{}:event", order.reference),
        at: order.placed_at.clone(),
        kind: arguments.event.clone(),
        order,
        previous_outcomes: Vec::new(),
        memos: Vec::new(),
        extra: Vec::new(),
    };
    let mut journal = Arc::new(MemoryJournal::default());
    let mut state: Option<String> = None;
    for _ in 0..=MAX_CONTINUATIONS {
        run.journals.push(journal.clone());
        let clock = run.clock.clone();
        let handled =
            host.handle_order_in(journal.clone(), &id, &account, &event, state.as_deref(), clock.clone()).await;
        let mut handled = handled.inspect_err(|error| {
            if let cartwright::SetupError::Hook(error) = error {
                run.log.extend(error.emitted.log.iter().cloned());
            }
        })?;
        run.log.append(&mut handled.log);
        match handled.next {
            Next::Done => return Ok(()),
            Next::ContinueLater(later) => {
                clock.sleep(later.seconds).await;
                journal = Arc::new(journal.next().context("the journal")?);
                state = Some(later.state);
            }
        }
    }
    Err(anyhow::anyhow!("the hook returned `continue-later` more than {MAX_CONTINUATIONS} times and was stopped")
        .into())
}

/// Bills of materials, each with the reference of its line.
type BillsOfMaterials = Vec<(String, Vec<Article>)>;

/// Reads the order's file. Returns the order, and the bills of materials that stand beside its lines.
fn read_order(path: &Path) -> anyhow::Result<(Order, BillsOfMaterials)> {
    let mut file: Value = json_file(path)?;
    let mut bills_of_materials = Vec::new();
    for line in file.get_mut("lines").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(members) = line.as_object_mut() else { continue };
        let Some(articles) = members.remove("bill_of_materials") else { continue };
        let articles: Vec<Article> = parse_strict(&articles.to_string())
            .with_context(|| format!("a `bill_of_materials` in {} is invalid", path.display()))?;
        let reference = members.get("reference").and_then(Value::as_str).unwrap_or_default();
        bills_of_materials.push((reference.to_owned(), articles));
    }
    let order = parse_strict(&file.to_string()).with_context(|| format!("{} is invalid", path.display()))?;
    Ok((order, bills_of_materials))
}

fn outcomes(run: &HandleRun) -> Vec<Outcome> {
    // The last journal contains the outcomes of all earlier ones.
    run.journals.last().map(|journal| journal.outcomes()).unwrap_or_default()
}

fn as_json(run: &HandleRun) -> Value {
    let journals: Vec<Vec<Record>> = run.journals.iter().map(|journal| journal.records()).collect();
    json!({
        "outcomes": outcomes(run),
        "log": run.log,
        "skipped_seconds": run.clock.slept(),
        "journals": journals,
    })
}

fn explain(run: &HandleRun) {
    let mut began: Option<SystemTime> = None;
    for record in run.journals.iter().flat_map(|journal| journal.records()) {
        let since = record.at.duration_since(*began.get_or_insert(record.at)).unwrap_or_default();
        if let Some(text) = entry(&record.entry) {
            print_line!("{:>8} s  {text}", since.as_secs());
        }
    }
    for line in &run.log {
        print_line!("{:>12}{}: {}", "", line.level, line.text.trim_end());
    }
    if !run.journals.is_empty() {
        print_line!("");
    }
}

/// Formats an entry of the journal as one line, without wake-ups and retries.
fn entry(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::RunStart(_) => "the hook begins".to_owned(),
        Entry::Intent { call, attempt: 0 | 1, .. } => call.to_string(),
        Entry::Intent { call, attempt, .. } => format!("{call} (attempt {attempt})"),
        Entry::Responded { answer: Answer::Returned(response), .. } => {
            let body = match &response.body {
                JournaledBody::Inline(stored) => short(&json!(stored).to_string()),
                JournaledBody::Stored(stored) => short(&json!(stored).to_string()),
            };
            format!("  answered {} {body}", response.status)
        }
        Entry::Responded { answer: Answer::Failed(error), .. } => format!("  failed: {}", describe(error)),
        Entry::Returned { call, answer: Answer::Returned(stored) } => {
            format!("{call}: {}", short(&json!(stored).to_string()))
        }
        Entry::Returned { call, answer: Answer::Failed(error) } => format!("{call}: failed: {}", describe(error)),
        Entry::Emitted { outcome, .. } => format!("says {}", describe_outcome(outcome)),
        Entry::SleepStarted { call, .. } => format!("{call}: skipped"),
        Entry::SleepEnded { .. } | Entry::Retried { .. } => return None,
    })
}

/// Formats an outcome: its case and its content.
fn describe_outcome(outcome: &Outcome) -> String {
    match json!(outcome) {
        Value::Object(case) => case.iter().map(|(name, held)| format!("{name} {}", short(&held.to_string()))).collect(),
        other => other.to_string(),
    }
}

/// Shortens a text to a recognizable beginning.
fn short(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let excerpt: String = text.chars().take(MAX_CHARS).collect();
    if excerpt.len() < text.len() { format!("{excerpt}…") } else { excerpt }
}
