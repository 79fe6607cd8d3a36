//! wasmtime's settings, with their reasons.

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

/// Creates wasmtime's engine. If the address space for the pool cannot be reserved, instances are created on demand: slower, and
/// the same in every other way.
pub(crate) fn wasmtime_engine(limits: &Limits) -> wasmtime::Result<Engine> {
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
