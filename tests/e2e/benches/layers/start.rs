//! A process from its start to its first plan, with both guests loaded from the cache: timed from outside, by running
//! this program again.

use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use cartwright::{AccountSetup, AddToCart, Cartwright, Grants, MemoryCatalog, ProductLink};
use cartwright_e2e::{catalog, members, shop};
use cartwright_fake_vendors::samples;
use serde_json::json;

use super::{median, micros};

/// The argument that makes this program plan once and end.
pub const CHILD: &str = "first-plan";
const RUNS: usize = 20;

pub fn print() {
    let program = std::env::current_exe().expect("this program");
    let once = |argument: &str| {
        let began = Instant::now();
        let status = Command::new(&program).arg(argument).status().expect("a process");
        assert!(status.success());
        micros(began) / 1000.0
    };
    // The first run fills the cache.
    once(CHILD);
    let whole = median((0..RUNS).map(|_| once(CHILD)).collect());
    println!(
        "start: a process with both guests from the cache has planned and ended after {whole:.1} ms (median of {RUNS}; target 25)"
    );
}

/// Loads both guests, sets a shop up and plans.
pub async fn first_plan() {
    let host = Cartwright::builder()
        .catalog(Arc::new(MemoryCatalog::new(catalog())))
        .cache(std::env::temp_dir().join("cartwright-bench-cache"))
        .start()
        .expect("a host");
    let expivi = host.install(cartwright_bundled::EXPIVI, None).await.expect("Expivi");
    host.install(cartwright_bundled::TWIKIT, None).await.expect("Twikit");
    let shop = shop("shop");
    let id = shop.id.clone();
    host.add_shop(shop).expect("a shop");
    let setup = AccountSetup {
        id: "expivi".parse().expect("an account id"),
        settings: members(json!({ "viewer-token": "viewer-token" })),
        grants: Grants::default(),
    };
    host.set_account(&id, expivi.digest(), setup).await.expect("an account");
    let link = json!({ "shop_product": "table", "account": "expivi", "vendor_product": "1010" });
    let link: ProductLink = serde_json::from_value(link).expect("a link");
    host.link(&id, &[link]).await.expect("linked");
    let add = AddToCart {
        product: "table".to_owned(),
        configuration: Some(samples::generated(12, 8).into_bytes()),
        quantity: 1,
        ..AddToCart::default()
    };
    host.add_to_cart(&id, add).await.expect("a line");
}
