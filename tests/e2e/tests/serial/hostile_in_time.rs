//! Each hostile guest ends with its own typed error within its limit, while other calls continue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cartwright::{AccountId, AddToCart, Breach, CartChange, CartError, Failure, Limits, StrategyChoice};
use cartwright_e2e::{HOSTILE, ONE_LINE, World};
use cartwright_fake_vendors::samples;
use serde_json::json;

const CPU: Duration = Duration::from_millis(100);
/// Far from the computing limit, so that computing on a machine with a tenth of its time free still ends by its own
/// limit.
const DEADLINE: Duration = Duration::from_millis(1000);
/// Allowance beyond a limit: the rest of the call, and the ticks of an inexact clock.
const TOLERANCE: Duration = Duration::from_millis(50);
/// Number of attempts, of which the fastest counts. Other work on the machine can delay any single call, whereas a host
/// that is too slow is slow each time. Each attempt must end with the right error.
const ATTEMPTS: usize = 5;

/// Returns how long this thread was runnable while the kernel ran others, if it is known (Linux). A limit on computing
/// excludes that time, which on a busy machine exceeds the limit itself. The test's own task stays on one thread, so
/// that this measures the hostile call.
fn scheduling_delay() -> Duration {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Checks the failure of a misdeed.
type Ends = fn(&Failure) -> bool;

fn cpu(failure: &Failure) -> bool {
    matches!(failure, Failure::Limit(Breach::GuestCpu { allowed_ms: 100 }))
}

fn memory(failure: &Failure) -> bool {
    matches!(failure, Failure::Limit(Breach::Memory { .. }))
}

fn bytes_out(failure: &Failure) -> bool {
    matches!(failure, Failure::Limit(Breach::BytesOut { .. }))
}

fn log_bytes(failure: &Failure) -> bool {
    matches!(failure, Failure::Limit(Breach::LogBytes { .. }))
}

fn host_calls(failure: &Failure) -> bool {
    matches!(failure, Failure::Limit(Breach::HostCalls { .. }))
}

/// Misdeeds that compute, or pass too much data, are stopped by the computing limit, never by the deadline.
const CPU_MISDEEDS: [(&str, Ends); 15] = [
    ("endless-loop", cpu),
    ("clock-spin", cpu),
    ("endless-recursion", |failure| matches!(failure, Failure::Limit(Breach::Stack { .. }))),
    ("memory", memory),
    ("huge-text", bytes_out),
    ("many-operations", memory),
    ("many-warnings", memory),
    ("log-flood", log_bytes),
    ("log-huge-line", bytes_out),
    ("standard-error-flood", log_bytes),
    ("catalog-flood", host_calls),
    ("catalog-huge-query", memory),
    ("trap", |failure| matches!(failure, Failure::Trap(_))),
    ("panic", |failure| matches!(failure, Failure::Trap(text) if text.contains("as it was asked to"))),
    ("exit", |failure| matches!(failure, Failure::Trap(_))),
];

fn request(world: &World, account: &AccountId, strategy: &str) -> AddToCart {
    let mut request = world.request("ring", samples::EXPIVI_SIMPLE, 1, &[]);
    request.strategy = Some(StrategyChoice { account: Some(account.clone()), name: Some(strategy.to_owned()) });
    request
}

/// Honest calls on the same host, one after the other, until they are stopped.
struct OtherCalls {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl OtherCalls {
    fn start(world: &Arc<World>, account: AccountId) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (world, stopped, counted) = (world.clone(), stop.clone(), done.clone());
        let task = tokio::spawn(async move {
            let honest = request(&world, &account, "one-line");
            while !stopped.load(Ordering::Relaxed) {
                world.host.add_to_cart(&world.shop, honest.clone()).await.expect("an honest call");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, done, task }
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }
}

/// Repeats a misdeed until it ends within its limit, and returns the fastest duration.
async fn fastest(
    world: &World,
    account: &AccountId,
    others: &OtherCalls,
    name: &str,
    limit: Duration,
    is_right: impl Fn(&Result<CartChange, CartError>) -> bool,
) -> Duration {
    let mut fastest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let before = others.done();
        let (began, held_before) = (Instant::now(), scheduling_delay());
        let ended = world.host.add_to_cart(&world.shop, request(world, account, name)).await;
        let took = began.elapsed().saturating_sub(scheduling_delay().saturating_sub(held_before));
        assert!(is_right(&ended), "{name}: {ended:?}");
        assert!(took < CPU || others.done() > before, "{name}: no other call was answered in {took:?}");
        fastest = fastest.min(took);
        if fastest < limit + TOLERANCE {
            break;
        }
    }
    fastest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hostile_guest_ends_in_its_own_error_in_time_while_other_calls_go_on() {
    let _running = crate::RUNNING.lock().await;
    let limits = Limits {
        guest_cpu: CPU,
        guest_cpu_per_line: Duration::ZERO,
        deadline: DEADLINE,
        memory: 72 << 20,
        ..Limits::default()
    };
    let world = Arc::new(World::with(|builder| builder.limits(limits), json!({})).await);
    let hostile = world.strategy(HOSTILE).await;
    let others = OtherCalls::start(&world, world.strategy(ONE_LINE).await);
    let mut late = Vec::new();
    let mut judge = |name, limit: Duration, took: Duration| {
        if took >= limit + TOLERANCE {
            late.push(format!("{name} took {took:?} of {limit:?}"));
        }
    };
    for (name, ends) in CPU_MISDEEDS {
        let is_right = |ended: &Result<_, _>| matches!(ended, Err(CartError::Hook(error)) if ends(&error.failure));
        judge(name, CPU, fastest(&world, &hostile, &others, name, CPU, is_right).await);
    }
    let deadline = |failure: &Failure| matches!(failure, Failure::Limit(Breach::Deadline { allowed_ms: 1000 }));
    // A guest's wait takes no time; an endless one ends by the guest's limits nevertheless.
    let never = |ended: &Result<_, _>| match ended {
        Err(CartError::Hook(error)) => cpu(&error.failure) || deadline(&error.failure),
        _ => false,
    };
    let name = "sleep-again-and-again";
    judge(name, DEADLINE, fastest(&world, &hostile, &others, name, DEADLINE, never).await);
    others.stop.store(true, Ordering::Relaxed);
    others.task.await.expect("every honest call");
    assert!(late.is_empty(), "{late:#?}");
}
