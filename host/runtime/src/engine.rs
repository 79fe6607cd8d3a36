//! The engine of a host: wasmtime's settings with their reasons, and the thread that measures guest time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm,
    WasmFeatures,
};

use crate::limits::{Limits, STACK_BYTES};

/// Maximum number of concurrent guest calls. Each uses a slot of the instance pool.
pub const MAX_CONCURRENT_CALLS: u32 = 256;
/// Maximum number of core instances, memories and tables of one component. A JavaScript guest uses 6, a Python guest
/// 20.
const CORE_INSTANCES_PER_COMPONENT: u32 = 40;
/// One tick of guest time.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// Number of ticks without a call after which the ticker stops, so that an idle host does not wake the processor.
const MAX_IDLE_TICKS: u32 = 100;

/// Returns the proposals that are refused: wasmtime is built without support for them, or no toolchain for 32-bit
/// components needs them. The validator refuses them, so they never reach code of wasmtime that does not expect them.
fn refused_proposals() -> WasmFeatures {
    WasmFeatures::GC
        | WasmFeatures::GC_TYPES
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::THREADS
        | WasmFeatures::MEMORY64
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_features(refused_proposals(), false);
    // No WASI 0.3 guest is supported; without this, a warm call takes 158 ns instead of 558 ns.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK_BYTES);
    config.async_stack_size(STACK_BYTES + (1 << 20));
    config.cranelift_opt_level(OptLevel::Speed);
    config.cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking);
    // Replay on another machine must compute identical bits.
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    config.wasm_backtrace_max_frames(None);
    config.memory_init_cow(true);
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_CONCURRENT_CALLS)
        .total_core_instances(MAX_CONCURRENT_CALLS * 6)
        .total_memories(MAX_CONCURRENT_CALLS * 2)
        .total_tables(MAX_CONCURRENT_CALLS * 6)
        .total_stacks(MAX_CONCURRENT_CALLS)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(8)
        .max_tables_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .table_elements(limits.table_elements)
        .max_memory_size(limits.memory)
        // Keeping pages resident slows small guests down unless the kernel reports the touched pages.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Creates the engine. If the address space for the pool cannot be reserved, instances are created on demand, which is
/// slower but otherwise equivalent.
pub(crate) fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    match Engine::new(&pooled) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!(%error, "the instance pool cannot be reserved; instances are created on demand");
            Engine::new(&config())
        }
    }
}

/// Advances the engine's epoch each millisecond while calls are made. An OS thread, because a guest that never yields would
/// starve a task.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    calls: AtomicU64,
    is_parked: AtomicBool,
    should_stop: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let engine = engine.weak();
        let seen = shared.clone();
        let handle = thread::Builder::new().name("cartwright-ticker".into()).spawn(move || {
            let (mut last, mut idle) = (0, 0);
            while !seen.should_stop.load(Ordering::Acquire) {
                thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                let calls = seen.calls.load(Ordering::Acquire);
                idle = if calls == last && in_flight(calls) == 0 { idle + 1 } else { 0 };
                last = calls;
                if idle > MAX_IDLE_TICKS {
                    seen.is_parked.store(true, Ordering::SeqCst);
                    if in_flight(seen.calls.load(Ordering::SeqCst)) == 0 && !seen.should_stop.load(Ordering::Acquire) {
                        thread::park_timeout(Duration::from_secs(1));
                    }
                    seen.is_parked.store(false, Ordering::SeqCst);
                    idle = 0;
                }
            }
        })?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Registers a call. It ends when the guard is dropped.
    pub(crate) fn enter(&self) -> CallGuard {
        // The upper half counts started calls, the lower half calls in flight.
        self.shared.calls.fetch_add((1 << 32) | 1, Ordering::SeqCst);
        if self.shared.is_parked.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        CallGuard(self.shared.clone())
    }
}

fn in_flight(calls: u64) -> u64 {
    calls & u64::from(u32::MAX)
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.should_stop.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

pub(crate) struct CallGuard(Arc<Shared>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}
