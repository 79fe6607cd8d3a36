//! The story of the demo: the two vendors, and one file for each chapter.
#![allow(
    clippy::indexing_slicing,
    reason = "the story is a scripted check of the demo, and a missing element fails it"
)]

mod expivi_cart;
mod orders;
mod twikit_cart;
mod two_shops;
mod vendor_swap;
mod version_swap;

use std::sync::Arc;

use anyhow::ensure;
use cartwright::{
    AccountId, AddToCart, CartChange, CartLine, CartOperation, Cartwright, LineState, MemoryCatalog, ShopId, Visitor,
};
use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi, FakeTwikit, TwikitConfig};
use cartwright_service::source;
use cartwright_service::words::amount;

use super::setup::{self, StoredDemo};
use super::{Steps, shops};

pub(crate) async fn play(steps: &mut Steps, stored: &StoredDemo) -> anyhow::Result<()> {
    let catalog = Arc::new(MemoryCatalog::new(shops::catalog()));
    let host = Arc::new(setup::builder(&stored.store, &stored.secret).catalog(catalog).start()?);

    steps.chapter("Two vendors")?;
    let expivi = steps
        .step("start a fake Expivi", async {
            let fake = FakeExpivi::start(ExpiviConfig::default()).await?;
            let report = fake.base_url().to_owned();
            Ok((fake, report))
        })
        .await?;
    let twikit = steps
        .step("start a fake Twikit", async {
            let fake = FakeTwikit::start(TwikitConfig::default()).await?;
            let report = fake.base_url().to_owned();
            Ok((fake, report))
        })
        .await?;
    let mut digests = Vec::new();
    for name in ["expivi", "twikit"] {
        let plugin = steps
            .step(&format!("install {name}"), async {
                let plugin = source::install(&host, name).await?;
                let report = format!("{} bytes, {}", plugin.size(), plugin.digest());
                Ok((plugin, report))
            })
            .await?;
        digests.push(plugin.digest());
    }

    let demo = Demo {
        host: host.clone(),
        lumen: "lumen".parse()?,
        gems: "gems".parse()?,
        expivi_account: "expivi".parse()?,
        twikit_account: "twikit".parse()?,
        expivi,
        twikit,
        stored,
        visitor: Visitor::default(),
    };
    demo.set_up(steps, digests[0], digests[1]).await?;
    let cart = demo.shop_with_expivi(steps).await?;
    let jewels = demo.shop_with_twikit(steps).await?;
    demo.order(steps, &cart, &jewels).await?;
    demo.switch_version(steps, &cart).await?;
    demo.switch_vendor(steps, &cart, digests[1]).await?;
    demo.expivi.stop().await;
    demo.twikit.stop().await;
    Ok(())
}

struct Demo<'a> {
    host: Arc<Cartwright>,
    /// The shop that sells with Expivi.
    lumen: ShopId,
    /// The shop that sells with Twikit.
    gems: ShopId,
    expivi_account: AccountId,
    twikit_account: AccountId,
    expivi: FakeExpivi,
    twikit: FakeTwikit,
    stored: &'a StoredDemo,
    visitor: Visitor,
}

fn describe(change: &CartChange) -> String {
    let lines = |lines: &[CartLine]| match lines.first() {
        Some(first) => format!("{} × {} at {}", first.quantity, first.title, amount(&first.price.total)),
        None => "nothing".to_owned(),
    };
    let operations: Vec<String> = change
        .operations
        .iter()
        .map(|operation| match operation {
            CartOperation::Add { lines: added } if added.len() > 1 => {
                format!("added {} with {} parts", lines(added), added.len() - 1)
            }
            CartOperation::Add { lines: added } => format!("added {}", lines(added)),
            CartOperation::Replace { lines: new, .. } => format!("replaced by {}", lines(new)),
            CartOperation::Update { lines: new } => format!("now {}", lines(new)),
            CartOperation::Remove { keys } => format!("removed {} lines", keys.len()),
            CartOperation::RequestQuote { lines: asked } => format!("requested a quote for {}", lines(asked)),
        })
        .collect();
    if operations.is_empty() { "nothing changed".to_owned() } else { operations.join(", ") }
}

impl Demo<'_> {
    fn add(&self, product: &str, configuration: &str, quantity: u32, lines: &[CartLine]) -> AddToCart {
        AddToCart {
            product: product.to_owned(),
            configuration: Some(configuration.as_bytes().to_vec()),
            variant: None,
            quantity,
            strategy: None,
            lines: lines.to_vec(),
            visitor: self.visitor.clone(),
            stages: None,
        }
    }

    async fn checked(&self, shop: &ShopId, cart: &[CartLine]) -> anyhow::Result<((), String)> {
        let checks = self.host.check_cart(shop, cart, &self.visitor).await?;
        for check in &checks {
            ensure!(check.state == LineState::Ok, "{}: {:?}", check.key, check.state);
        }
        Ok(((), format!("{} lines can be ordered unchanged", checks.len())))
    }
}
