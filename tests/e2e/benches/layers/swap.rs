//! A version switch every 10 ms while two tasks add to carts without a pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cartwright::{AddToCart, NewHostPolicy};
use cartwright_e2e::World;

use super::micros;

pub async fn print(world: World, raw: &str) {
    let world = Arc::new(world);
    let first = world.digest;
    let mut other = cartwright_bundled::EXPIVI.to_vec();
    other.extend([0, 6, 5, b'b', b'e', b'n', b'c', b'h']);
    let second = world.host.install(&other, None).await.expect("another version").digest();
    let mut phases = Vec::new();
    let mut held = Duration::ZERO;
    for swapping in [false, true] {
        let stop = Arc::new(AtomicBool::new(false));
        let failed = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let (world, stop, failed) = (world.clone(), stop.clone(), failed.clone());
                let request: AddToCart = world.request("any", raw, 1, &[]);
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        if world.host.add_to_cart(&world.shop, request.clone()).await.is_err() {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                        times.push(micros(began));
                    }
                    times
                })
            })
            .collect();
        for round in 0..200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if swapping {
                let to = if round % 2 == 0 { second } else { first };
                let swapped = world
                    .host
                    .switch_version(&world.shop, &world.account, to, NewHostPolicy::Reject)
                    .await
                    .expect("swapped");
                held = held.max(swapped.lock_duration);
            }
        }
        stop.store(true, Ordering::Relaxed);
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.expect("a task"));
        }
        let calls = times.len();
        let p99 = percentile(&mut times, 0.99);
        phases.push((p99, calls, failed.load(Ordering::Relaxed)));
    }
    let [(calm, calls, calm_failed), (swapped, swapped_calls, swap_failed)] = phases[..] else { return };
    println!(
        "swap: 200 swaps under full load: {swap_failed} of {swapped_calls} calls failed (calm: {calm_failed} of {calls}); pointer \
         held {:.1} µs at most; p99 {swapped:.0} µs, {:.2} of calm",
        held.as_secs_f64() * 1e6,
        swapped / calm
    );
}

fn percentile(samples: &mut [f64], part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[((samples.len() - 1) as f64 * part) as usize]
}
