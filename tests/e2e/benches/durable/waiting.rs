//! Waiting orders, in a process that does nothing else.

use cartwright_e2e::load::{WaitingUsage, waiting_orders};

/// The argument that makes this program hold waiting orders, print their cost, and end.
pub const CHILD: &str = "waiting-orders";

pub async fn print() {
    let folder = tempfile::tempdir().expect("a folder");
    let [fewer, more] = waiting_orders(folder.path(), 1_000, 10_000).await;
    println!("orders that wait for a slow vendor, on SQLite");
    for WaitingUsage { orders, resident_kb, instances } in [fewer, more] {
        println!("  {orders:>6}: {:>7} kB resident, {} guest instances", known(resident_kb), known(instances));
    }
    if let (Some(fewer), Some(more)) = (fewer.resident_kb, more.resident_kb) {
        println!("  ratio {:.2} (target 1.1)", more as f64 / fewer as f64);
    }
}

fn known(number: Option<u64>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}
