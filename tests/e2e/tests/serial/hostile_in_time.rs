//! Each hostile guest ends in its own typed error within its limit, while other calls go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cartwright::{AccountId, AddToCart, Breach, CartChange, CartError, Failure, Limits, StrategyChoice};
use cartwright_e2e::{HOSTILE, ONE_LINE, World};
use cartwright_fake_vendors::samples;
use serde_json::json;

const CPU: Duration = Duration::from_millis(100);
/// Far from the other, so that computing on a machine with a tenth of its time to spare still ends by its own limit.
const DEADLINE: Duration = Duration::from_millis(1000);
/// Everything beyond a limit itself: the rest of the path, and the ticks of a clock that is not exact.
const TOLERANCE: Duration = Duration::from_millis(50);
/// Other work on the machine can hold up any single call, and no host can help it. A host that is too slow is too slow each
/// time, so that the best of a few attempts tells the two apart. Each attempt must end in the right error.
const ATTEMPTS: usize = 5;

/// How long this thread was ready to run and the kernel let others run, where it says so (Linux). A limit on computing is not
/// about that time: on a machine that builds something meanwhile it is more than the limit itself. The test's own task stays on
/// one thread, so that this is about the hostile call.
fn scheduling_delay() -> Duration {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// How a kind must end.
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

/// What computes, or hands over too much, is held to its computing time; nothing of it may wait for the deadline.
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

/// Honest calls on the same host, one after the other, until told to stop.
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

/// Lets a misdeed happen until it ends within its limit, and gives how long it took at best.
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
    // Time passes at once for a guest that waits; one that waits for ever comes to its limits all the same.
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
