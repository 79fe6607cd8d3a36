//! Strategies that exceed a limit, or end without a result.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cartwright_plugin::strategy::{PlanRequest, PlanResult};
use cartwright_plugin::types::{CallError, NamedJson, PlanEntry, SkuQuery};
use cartwright_plugin::{catalog, internal, log, message};

use crate::{entries, line, plan};

const MEGABYTE: usize = 1 << 20;

pub fn endless_loop(_: PlanRequest) -> Result<PlanResult, CallError> {
    loop {
        black_box(());
    }
}

pub fn endless_recursion(request: PlanRequest) -> Result<PlanResult, CallError> {
    fn deeper(depth: u64) -> u64 {
        // Work after the call prevents the compiler from making it a loop.
        let below = if black_box(true) { deeper(black_box(depth + 1)) } else { 0 };
        black_box(below) + 1
    }
    let depth = deeper(0);
    Err(internal(format!("{} ended after {depth} calls", request.strategy)))
}

pub fn memory(_: PlanRequest) -> Result<PlanResult, CallError> {
    let mut kept = Vec::new();
    loop {
        // Written to, so that the memory is really used.
        kept.push(vec![1u8; MEGABYTE]);
        black_box(&kept);
    }
}

pub fn huge_text(request: PlanRequest) -> Result<PlanResult, CallError> {
    let mut line = line(&request);
    line.title = Some("x".repeat(64 * MEGABYTE));
    plan(line)
}

pub fn many_operations(_: PlanRequest) -> Result<PlanResult, CallError> {
    entries(vec![PlanEntry::Other(NamedJson { name: String::new(), json: String::new() }); 1_000_000])
}

pub fn many_warnings(request: PlanRequest) -> Result<PlanResult, CallError> {
    let planned = plan(line(&request))?;
    // Long texts, so that memory ends before the computing time does.
    Ok(PlanResult { warnings: vec![message("again", "And again.".repeat(100), &[]); 1_000_000], ..planned })
}

pub fn log_flood(_: PlanRequest) -> Result<PlanResult, CallError> {
    let text = "x".repeat(1000);
    loop {
        log::write(log::Level::Error, &text);
    }
}

pub fn log_huge_line(request: PlanRequest) -> Result<PlanResult, CallError> {
    log::write(log::Level::Error, &"x".repeat(32 * MEGABYTE));
    plan(line(&request))
}

pub fn standard_error_flood(_: PlanRequest) -> Result<PlanResult, CallError> {
    let text = "x".repeat(1000);
    loop {
        eprintln!("{text}");
    }
}

pub fn catalog_flood(_: PlanRequest) -> Result<PlanResult, CallError> {
    let mut number = 0u64;
    loop {
        catalog::resolve(&[query(number.to_string())])?;
        number += 1;
    }
}

pub fn catalog_huge_query(request: PlanRequest) -> Result<PlanResult, CallError> {
    catalog::resolve(&vec![query("x".repeat(1000)); 100_000])?;
    plan(line(&request))
}

pub fn catalog_too_many_queries(request: PlanRequest) -> Result<PlanResult, CallError> {
    catalog::resolve(&vec![query("A".to_owned()); 1_001])?;
    plan(line(&request))
}

fn query(sku: String) -> SkuQuery {
    SkuQuery { sku, within_product: None, ignore_case: false }
}

pub fn clock_spin(request: PlanRequest) -> Result<PlanResult, CallError> {
    let start = Instant::now();
    // Each reading of the clock takes a millisecond of the guest's time.
    while start.elapsed() < Duration::from_secs(365 * 86_400) {}
    plan(line(&request))
}

pub fn thread_sleep(request: PlanRequest) -> Result<PlanResult, CallError> {
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(3600));
    assert!(start.elapsed() >= Duration::from_secs(3600), "no time has passed");
    plan(line(&request))
}

pub fn sleep_again_and_again(_: PlanRequest) -> Result<PlanResult, CallError> {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

pub fn trap(_: PlanRequest) -> Result<PlanResult, CallError> {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}

pub fn panic(_: PlanRequest) -> Result<PlanResult, CallError> {
    panic!("as it was asked to")
}

/// Fails like a JavaScript exception: the message comes first, and the long trace after it.
pub fn long_trace(request: PlanRequest) -> Result<PlanResult, CallError> {
    println!("planning");
    log::write(log::Level::Info, "planning");
    eprintln!("Exception while calling plan: TypeError: item is undefined");
    for depth in 0..40 {
        eprintln!("    at step {depth} of a long way (strategy.js:{depth}:1)");
    }
    trap(request)
}

pub fn loud_refusal(_: PlanRequest) -> Result<PlanResult, CallError> {
    log::write(log::Level::Warn, "it is sold out");
    Err(CallError::Rejected(message("sold-out", "It is sold out.", &[])))
}

pub fn exit(_: PlanRequest) -> Result<PlanResult, CallError> {
    std::process::exit(0)
}
