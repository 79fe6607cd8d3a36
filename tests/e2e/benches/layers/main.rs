//! The cost of each layer, as ratios within one run: machines are noisy, so only ratios are quoted.
//!
//! For one configuration with 12 attributes and 8 articles, planned as a simple line: native Rust with the same decode
//! and plan; a warm bare wasmtime instance; a fresh one for each call; our `plan` call; our complete add-to-cart. Then
//! 1, 10 and 100 configurations in one cart, the start of a cold process, and a version switch under full load.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

use std::hint::black_box;
use std::time::Instant;

use cartwright::CartChange;
use cartwright_e2e::{World, variant};
use cartwright_fake_vendors::samples;
use serde_json::json;

mod bare;
mod native;
mod start;
mod swap;

const RUNS: usize = 3000;

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

fn stage(change: &CartChange, name: &str) -> f64 {
    change.stages.iter().find(|stage| stage.stage == name).map_or(0.0, |stage| stage.duration_micros as f64)
}

/// The duration of each stage of the plan pipeline, in order.
#[derive(Default)]
struct Stages(Vec<(String, Vec<f64>)>);

impl Stages {
    fn add(&mut self, change: CartChange) {
        for stage in change.stages {
            let time = stage.duration_micros as f64;
            match self.0.iter_mut().find(|(name, _)| *name == stage.stage) {
                Some((_, times)) => times.push(time),
                None => self.0.push((stage.stage, vec![time])),
            }
        }
    }

    fn medians(self) -> String {
        let medians = self.0.into_iter().map(|(name, times)| format!("{name} {:.0}", median(times)));
        medians.collect::<Vec<_>>().join(", ")
    }
}

async fn world() -> World {
    let world = World::new().await;
    world.catalog.change(|variants| {
        variants.push(variant("ANY", "any", 1_000));
        variants.extend((0..64).map(|number| variant(&format!("ART-{number}"), &format!("art-{number}"), 100)));
    });
    world.link("any", "1010", "simple", json!({})).await;
    world
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == start::CHILD) {
        return start::first_plan().await;
    }
    let world = world().await;
    let bare = bare::Bare::new(cartwright_bundled::EXPIVI, same_context(&world), same_product_link());
    println!("configured products of 12 attributes and 8 articles each, medians in µs");
    for count in [1, 10, 100] {
        layers(&world, &bare, count).await;
    }
    start::print();
    swap::print(world, &samples::generated(12, 8)).await;
}

/// Measures all layers on one configuration of this number of products.
async fn layers(world: &World, bare: &bare::Bare, count: usize) {
    let raw = many(count);
    let runs = (RUNS / count).max(60);
    let (context, product_link) = (native::context(), native::product_link());
    let request = bare.request(raw.as_bytes()).await;
    let mut instance = bare.instance().await;
    let mut times: [Vec<f64>; 6] = Default::default();
    let [native, warm, fresh, decode, ours, whole] = &mut times;
    let mut stages = Stages::default();
    for _ in 0..runs {
        // In turn, so that a change of the machine's speed affects all of them.
        let began = Instant::now();
        black_box(native::decode_and_plan(&context, &product_link, raw.as_bytes()));
        native.push(micros(began));

        let began = Instant::now();
        black_box(bare.plan(&mut instance, &request).await);
        warm.push(micros(began));

        let began = Instant::now();
        let mut one = bare.instance().await;
        black_box(bare.plan(&mut one, &request).await);
        drop(one);
        fresh.push(micros(began));

        let began = Instant::now();
        let mut one = bare.instance().await;
        black_box(bare.decode(&mut one, raw.as_bytes()).await);
        drop(one);
        decode.push(micros(began));

        let add = world.request("any", &raw, 1, &[]);
        let began = Instant::now();
        let change = world.host.add_to_cart(&world.shop, add).await.expect("lines");
        whole.push(micros(began));
        ours.push(stage(&change, "plan"));
        stages.add(change);
    }
    let [native, warm, fresh, decode, ours, whole] = times.map(median);
    println!("{count} configured, {} bytes, {runs} runs", raw.len());
    println!("  native Rust, decode and plan      {native:>8.1}");
    println!("  bare wasmtime, warm, plan         {warm:>8.1}");
    println!("  bare wasmtime, fresh, plan        {fresh:>8.1}");
    println!("  bare wasmtime, fresh, decode      {decode:>8.1}");
    println!("  our plan call                     {ours:>8.1}   {:.2} of bare fresh (target 1.3)", ours / fresh);
    println!(
        "  our whole add-to-cart             {whole:>8.1}   {:.2} of our plan (target 2.5), {:.2} of both bare calls",
        whole / ours,
        whole / (fresh + decode)
    );
    println!("    of which {}", stages.medians());
}

/// Returns the context of the host, with every setting that the form fills in, so that both layers pass the same.
fn same_context(world: &World) -> bare::Context {
    let plugin = world.host.plugin(&world.digest).expect("the plugin");
    let settings = plugin
        .metadata()
        .form
        .0
        .iter()
        .filter_map(|field| Some(bare::setting(&field.name, field.default_value.clone()?)))
        .collect();
    bare::Context {
        shop: bare::Shop {
            id: "shop".to_owned(),
            currencies: vec![bare::Currency { code: "EUR".to_owned(), scale: 2 }],
            base_country: None,
            prices_include_tax: true,
            rounding: bare::Rounding::HalfUp,
            time_zone: None,
        },
        account: "expivi".to_owned(),
        visitor: Some(bare::Visitor {
            currency: bare::Currency { code: "EUR".to_owned(), scale: 2 },
            country: None,
            region: None,
            customer_groups: Vec::new(),
        }),
        locale: "en".to_owned(),
        now: "2026-01-01T00:00:00Z".to_owned(),
        settings,
        grants: Vec::new(),
        extra: Vec::new(),
    }
}

fn same_product_link() -> bare::ProductLink {
    bare::ProductLink {
        shop_product: "any".to_owned(),
        vendor_product: "1010".to_owned(),
        additional_vendor_products: Vec::new(),
        preset: None,
        allowed_skus: Vec::new(),
        extra: Vec::new(),
    }
}

/// Returns a configuration of this number of products.
fn many(count: usize) -> String {
    let one: serde_json::Value = serde_json::from_str(&samples::generated(12, 8)).expect("a sample");
    let products: Vec<serde_json::Value> = (0..count)
        .map(|number| {
            let mut product = one[0].clone();
            product["uuid"] = json!(format!("00000000-0000-4000-8000-{number:012}"));
            product["attributes"][0]["attribute_value_name"] = json!(format!("value {number}"));
            product
        })
        .collect();
    serde_json::Value::Array(products).to_string()
}
