//! The story of the demo, step by step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use cartwright::types::{Event, EventKind, Outcome, PriceState};
use cartwright::{
    AccountId, AddToCart, CartChange, CartLine, CartOperation, Cartwright, LineState, MemoryCatalogue, MemoryOrderBook,
    ShopId, SimulatedClock, Visitor,
};
use cartwright_fake_vendors::twikit::{SavedConfiguration, Webhooks};
use cartwright_fake_vendors::{ExpiviConfig, FakeExpivi, FakeTwikit, TwikitConfig, samples};
use serde_json::json;

use super::{Steps, shops, webhooks};
use crate::plan::amount;
use crate::source;

pub(crate) async fn play(steps: &mut Steps) -> anyhow::Result<()> {
    let catalogue = Arc::new(MemoryCatalogue::new(shops::catalogue()));
    let orders = Arc::new(MemoryOrderBook::default());
    let mut builder =
        Cartwright::builder().catalogue(catalogue.clone()).order_book(orders.clone()).installation("demo");
    if let Some(cache) = source::cache() {
        builder = builder.cache(cache);
    }
    let host = Arc::new(builder.start()?);

    steps.chapter("Two vendors");
    let expivi = steps
        .step("start a fake Expivi", async {
            let fake = FakeExpivi::start(ExpiviConfig::default()).await?;
            let said = fake.base_url().to_owned();
            Ok((fake, said))
        })
        .await?;
    let twikit = steps
        .step("start a fake Twikit", async {
            let fake = FakeTwikit::start(TwikitConfig::default()).await?;
            let said = fake.base_url().to_owned();
            Ok((fake, said))
        })
        .await?;
    let mut digests = Vec::new();
    for name in ["expivi", "twikit"] {
        let plugin = steps
            .step(&format!("install {name}"), async {
                let plugin = source::install(&host, name).await?;
                let said = format!("{} bytes, {}", plugin.size(), plugin.digest());
                Ok((plugin, said))
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
        orders,
        visitor: Visitor::default(),
    };
    demo.set_up(steps, digests[0], digests[1]).await?;
    let cart = demo.shop_with_expivi(steps).await?;
    let jewels = demo.shop_with_twikit(steps).await?;
    demo.order_from_expivi(steps, &cart).await?;
    demo.order_from_twikit(steps, &jewels).await?;
    demo.swap_version(steps, &cart).await?;
    demo.swap_vendor(steps, &cart, digests[1]).await?;
    demo.expivi.stop().await;
    demo.twikit.stop().await;
    Ok(())
}

struct Demo {
    host: Arc<Cartwright>,
    /// Sells with Expivi.
    lumen: ShopId,
    /// Sells with Twikit.
    gems: ShopId,
    expivi_account: AccountId,
    twikit_account: AccountId,
    expivi: FakeExpivi,
    twikit: FakeTwikit,
    orders: Arc<MemoryOrderBook>,
    visitor: Visitor,
}

fn told(change: &CartChange) -> String {
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
            CartOperation::RequestQuotation { lines: asked } => format!("asked for an offer for {}", lines(asked)),
        })
        .collect();
    if operations.is_empty() { "nothing changed".to_owned() } else { operations.join(", ") }
}

/// What the page sends: the fake serves its pictures without TLS, which the plugin does not take, so they stand elsewhere.
fn envelope(saved: &SavedConfiguration) -> String {
    let mut envelope = saved.envelope();
    envelope["previewUrl"] = json!(format!("https://previews.twikit.example/{}.png", saved.configuration_id));
    envelope.to_string()
}

impl Demo {
    async fn set_up(
        &self,
        steps: &mut Steps,
        expivi: cartwright::Digest,
        twikit: cartwright::Digest,
    ) -> anyhow::Result<()> {
        steps.chapter("Two shops");
        for shop in ["lumen", "gems"] {
            self.host.add_shop(shops::shop(shop)?)?;
        }
        steps
            .step("a wrong setting is refused beside its field", async {
                let mut setup = shops::expivi_account(&self.expivi)?;
                setup.settings.insert("viewer-tokn".to_owned(), json!("x"));
                match self.host.set_account(&self.lumen, expivi, setup).await {
                    Err(error) if error.to_string().contains("viewer-tokn") => {
                        Ok(((), "viewer-tokn: no such setting".to_owned()))
                    }
                    other => bail!("{other:?}"),
                }
            })
            .await?;
        steps
            .step("lumen sets up Expivi", async {
                self.host.set_account(&self.lumen, expivi, shops::expivi_account(&self.expivi)?).await?;
                self.connected(&self.lumen, &self.expivi_account).await
            })
            .await?;
        steps
            .step("gems sets up Twikit", async {
                self.host.set_account(&self.gems, twikit, shops::twikit_account(&self.twikit)?).await?;
                self.connected(&self.gems, &self.twikit_account).await
            })
            .await?;
        steps
            .step("Expivi's products are found", async {
                let found = self.host.search_products(&self.lumen, &self.expivi_account, "", None).await?;
                ensure!(found.products.iter().any(|product| product.id == "1001"), "{found:?}");
                Ok(((), format!("{} products", found.products.len())))
            })
            .await?;
        steps
            .step("products are linked", async {
                for (product, vendor_product, strategy, settings) in [
                    ("ring", "1001", "simple", json!({ "price-authority": "vendor" })),
                    ("shirt", "1002", "variation", json!({ "sku-prefix": "SHIRT-" })),
                    ("wardrobe", "1003", "bundle", json!({ "price-authority": "components" })),
                ] {
                    let link = shops::link(json!({
                        "shop_product": product, "account": "expivi", "vendor_product": vendor_product,
                        "settings": settings, "strategy": { "name": strategy },
                    }))?;
                    self.host.link(&self.lumen, link).await?;
                }
                let link = shops::link(json!({
                    "shop_product": "jewel", "account": "twikit", "vendor_product": "diamond-letter-jewel",
                    "allowed_skus": ["JEWEL-A"],
                }))?;
                self.host.link(&self.gems, link).await?;
                Ok(((), "ring, shirt and wardrobe to Expivi, jewel to Twikit".to_owned()))
            })
            .await?;
        for (shop, product) in [(&self.lumen, "ring"), (&self.gems, "jewel")] {
            steps
                .step(&format!("the page of {product} gets what it needs"), async {
                    let embed = self.host.embed(shop, product, None, &self.visitor).await?;
                    ensure!(!embed.scripts.is_empty() && !embed.start.paths.is_empty(), "{embed:?}");
                    Ok(((), format!("{} scripts, starts with {}", embed.scripts.len(), embed.start.paths.join(" or "))))
                })
                .await?;
        }
        Ok(())
    }

    async fn connected(&self, shop: &ShopId, account: &AccountId) -> anyhow::Result<((), String)> {
        let diagnoses = self.host.test_connection(shop, account).await?;
        let failed: Vec<&str> = diagnoses
            .iter()
            .filter(|diagnosis| !diagnosis.passed)
            .map(|diagnosis| diagnosis.check.text.as_str())
            .collect();
        ensure!(failed.is_empty(), "did not pass: {failed:?}");
        let passed: Vec<&str> = diagnoses.iter().map(|diagnosis| diagnosis.check.text.as_str()).collect();
        Ok(((), passed.join("; ")))
    }

    fn add(&self, product: &str, configuration: &str, quantity: u32, lines: &[CartLine]) -> AddToCart {
        AddToCart {
            product: product.to_owned(),
            configuration: Some(configuration.as_bytes().to_vec()),
            quantity,
            strategy: None,
            lines: lines.to_vec(),
            visitor: self.visitor.clone(),
        }
    }

    async fn shop_with_expivi(&self, steps: &mut Steps) -> anyhow::Result<Vec<CartLine>> {
        steps.chapter("A cart at lumen, configured with Expivi");
        let mut cart = Vec::new();
        let price: serde_json::Value = serde_json::from_str(samples::EXPIVI_SIMPLE)?;
        let expected = self.expivi.expected_price(&price[0], None).context("the fake knows no price")?;
        cart = steps
            .step("a simple line, priced by Expivi", async {
                let change =
                    self.host.add_to_cart(&self.lumen, self.add("ring", samples::EXPIVI_SIMPLE, 1, &cart)).await?;
                let mut cart = cart.clone();
                change.apply(&mut cart);
                ensure!(cart[0].price.total.minor == expected, "{} is not {expected}", cart[0].price.total.minor);
                ensure!(cart[0].thumbnail.is_some(), "the picture is not stored");
                ensure!(!cart[0].shown.iter().any(|part| part.value.contains('@')), "{:?}", cart[0].shown);
                Ok((cart, told(&change)))
            })
            .await?;
        cart = steps
            .step("the same again makes two of it", async {
                let change =
                    self.host.add_to_cart(&self.lumen, self.add("ring", samples::EXPIVI_SIMPLE, 1, &cart)).await?;
                let mut cart = cart.clone();
                change.apply(&mut cart);
                ensure!(cart.len() == 1 && cart[0].quantity == 2, "{} lines", cart.len());
                ensure!(cart[0].price.total.minor == 2 * expected, "{:?}", cart[0].price);
                Ok((cart, told(&change)))
            })
            .await?;
        cart = steps
            .step("a variation, found by the keys of its options", async {
                let change =
                    self.host.add_to_cart(&self.lumen, self.add("shirt", samples::EXPIVI_VARIATION, 3, &cart)).await?;
                let mut cart = cart.clone();
                change.apply(&mut cart);
                let line = cart.last().context("no line")?;
                ensure!(line.sku.as_deref() == Some("SHIRT-R-L"), "{:?}", line.sku);
                ensure!(line.price.total.minor == 3 * 2_495, "{:?}", line.price);
                Ok((cart, told(&change)))
            })
            .await?;
        cart = steps
            .step("a bundle, at the sum of its parts", async {
                let change =
                    self.host.add_to_cart(&self.lumen, self.add("wardrobe", samples::EXPIVI_BUNDLE, 2, &cart)).await?;
                let mut cart = cart.clone();
                change.apply(&mut cart);
                let parent = cart.iter().find(|line| line.child_removal.is_some()).context("no bundle")?;
                let children: Vec<&CartLine> =
                    cart.iter().filter(|line| line.parent.as_ref() == Some(&parent.key)).collect();
                let sum: i64 = children.iter().map(|child| child.price.total.minor).sum();
                ensure!(sum == parent.price.total.minor && sum == 2 * (3 * 2_450 + 4 * 320 + 4 * 15), "{sum}");
                Ok((cart, told(&change)))
            })
            .await?;
        cart = steps
            .step("an edit keeps quantity and place", async {
                let other = samples::EXPIVI_SIMPLE.replace("Bob", "Alice");
                let change =
                    self.host.edit_line(&self.lumen, &cart[0].key, None, self.add("ring", &other, 1, &cart)).await?;
                let old = cart[0].key.clone();
                let mut cart = cart.clone();
                change.apply(&mut cart);
                ensure!(cart[0].quantity == 2 && cart[0].key != old, "{:?}", cart[0]);
                Ok((cart, told(&change)))
            })
            .await?;
        steps
            .step("a failed edit keeps the old line", async {
                let wrong = self.add("ring", samples::EXPIVI_VARIATION, 1, &cart);
                match self.host.edit_line(&self.lumen, &cart[0].key, None, wrong).await {
                    Err(error) => Ok(((), error.to_string())),
                    Ok(change) => bail!("another product was taken: {}", told(&change)),
                }
            })
            .await?;
        steps
            .step("a quotation is asked for", async {
                let change = self
                    .host
                    .request_quotation(&self.lumen, self.add("ring", samples::EXPIVI_SIMPLE, 50, &cart))
                    .await?;
                ensure!(matches!(change.operations[..], [CartOperation::RequestQuotation { .. }]), "{change:?}");
                Ok(((), told(&change)))
            })
            .await?;
        steps.step("the cart checks out", self.checked(&self.lumen, &cart)).await?;
        steps
            .step("a price that a browser changed is seen", async {
                let mut forged = cart.clone();
                forged[0].price.total.minor = 1;
                let checks = self.host.check_cart(&self.lumen, &forged, &self.visitor).await?;
                match &checks[0].state {
                    LineState::PriceChanged { old, new } => {
                        Ok(((), format!("{} is {} in truth", amount(old), amount(new))))
                    }
                    other => bail!("{other:?}"),
                }
            })
            .await?;
        Ok(cart)
    }

    async fn checked(&self, shop: &ShopId, cart: &[CartLine]) -> anyhow::Result<((), String)> {
        let checks = self.host.check_cart(shop, cart, &self.visitor).await?;
        for check in &checks {
            ensure!(check.state == LineState::Ok, "{}: {:?}", check.key, check.state);
        }
        Ok(((), format!("{} lines can be ordered as they are", checks.len())))
    }

    async fn shop_with_twikit(&self, steps: &mut Steps) -> anyhow::Result<Vec<CartLine>> {
        steps.chapter("A cart at gems, configured with Twikit");
        let saved = self.twikit.save_configuration("diamond-letter-jewel", "JEWEL-A", 49.0);
        let cart = steps
            .step("a configuration that Twikit keeps becomes a line", async {
                let add = self.add("jewel", &envelope(&saved), 2, &[]);
                let change = self.host.add_to_cart(&self.gems, add).await?;
                let mut cart = Vec::new();
                change.apply(&mut cart);
                ensure!(
                    cart[0].reference.as_deref() == Some(saved.configuration_id.to_string().as_str()),
                    "{:?}",
                    cart[0]
                );
                ensure!(
                    cart[0].price.state == PriceState::Verified && cart[0].price.total.minor == 9_800,
                    "{:?}",
                    cart[0].price
                );
                Ok((cart, told(&change)))
            })
            .await?;
        steps
            .step("another SKU than the linked one is refused", async {
                let cheap = self.twikit.save_configuration("diamond-letter-jewel", "TOTEM", 1.0);
                match self.host.add_to_cart(&self.gems, self.add("jewel", &envelope(&cheap), 1, &cart)).await {
                    Err(error) => Ok(((), error.to_string())),
                    Ok(change) => bail!("it was taken: {}", told(&change)),
                }
            })
            .await?;
        steps.step("the cart checks out", self.checked(&self.gems, &cart)).await?;
        Ok(cart)
    }

    fn released(&self, shop: &ShopId, account: &AccountId, order: &str, lines: &[CartLine]) -> Event {
        let order = shops::paid_order(&self.host, shop, order, lines);
        self.orders.put(shop, account, order.clone());
        Event {
            id: format!("{}-released", order.id),
            at: "2026-01-01T12:00:00Z".to_owned(),
            kind: EventKind::Released,
            order,
            earlier: Vec::new(),
            remembered: Vec::new(),
            extra: Vec::new(),
        }
    }

    async fn order_from_expivi(&self, steps: &mut Steps, cart: &[CartLine]) -> anyhow::Result<()> {
        steps.chapter("Orders are paid and handed to the vendors");
        steps
            .step("Expivi gets the order's configurations", async {
                let event = self.released(&self.lumen, &self.expivi_account, "1001", cart);
                let clock = Arc::new(SimulatedClock::default());
                let handled =
                    self.host.handle_order(&self.lumen, &self.expivi_account, &event, None, clock.clone()).await?;
                let uploaded = self.expivi.uploaded();
                ensure!(!uploaded.is_empty(), "nothing was uploaded: {:?}", handled.outcomes);
                let materials =
                    handled.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::BillOfMaterials(_))).count();
                ensure!(materials > 0, "no bill of materials: {:?}", handled.outcomes);
                Ok(((), format!("{} products uploaded, {materials} bills of materials", uploaded.len())))
            })
            .await
    }

    async fn order_from_twikit(&self, steps: &mut Steps, cart: &[CartLine]) -> anyhow::Result<()> {
        let (base, outcomes) =
            webhooks::start(self.host.clone(), self.gems.clone(), self.twikit_account.clone()).await?;
        let address = |endpoint: &str| Some(format!("{base}/{endpoint}"));
        self.twikit.set_webhooks(Webhooks {
            payment_verification: address("payment-verification"),
            production_completed: address("production-completion"),
            order_completed: address("order-completion"),
            website_published: address("website-publication"),
        });
        let event = self.released(&self.gems, &self.twikit_account, "2001", cart);
        let reference = event.order.reference.clone();
        steps
            .step("Twikit verifies the payment while the order is out, and creates it", async {
                let clock = Arc::new(SimulatedClock::default());
                let handled = self.host.handle_order(&self.gems, &self.twikit_account, &event, None, clock).await?;
                let order = self.twikit.order(&reference).with_context(|| format!("{:?}", handled.outcomes))?;
                let verified = self.twikit.sent_webhooks();
                ensure!(verified.iter().any(|attempt| attempt.judgement.is_ok()), "{verified:?}");
                Ok(((), format!("{} is {:?}", reference, order.state)))
            })
            .await?;
        steps
            .step("Twikit says that it is printed and shipped", async {
                let printed = self.twikit.production_completed(&reference, "https://track.example/1", true, "").await?;
                let shipped = self.twikit.order_completed(&reference, "https://track.example/1", "T-1").await?;
                ensure!(printed.accepted() && shipped.accepted(), "{printed:?} {shipped:?}");
                let outcomes = outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let shipment = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Shipment(_)));
                let produced = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Production(_)));
                ensure!(shipment && produced, "{outcomes:?}");
                Ok(((), format!("{} outcomes, a shipment among them", outcomes.len())))
            })
            .await?;
        steps
            .step("a webhook about nobody's order is refused", async {
                let forged = json!({ "identifier": "demo:gems:9999", "url": "", "success": true, "error": "" });
                let delivery =
                    self.twikit.send(cartwright_fake_vendors::twikit::Webhook::ProductionCompleted, &forged).await;
                ensure!(!delivery.accepted(), "{delivery:?}");
                Ok(((), "answered with an error".to_owned()))
            })
            .await
    }

    /// Swaps Expivi's version back and forth while a shopper adds to the cart.
    async fn swap_version(&self, steps: &mut Steps, cart: &[CartLine]) -> anyhow::Result<()> {
        steps.chapter("A version is swapped while shoppers go on");
        let first = self.host.running(&self.lumen, &self.expivi_account)?.digest();
        steps
            .step("a broken version leaves the old one serving", async {
                let whole = source::bytes("expivi")?;
                let refused = match self.host.install(&whole[..whole.len() / 2], None).await {
                    Err(error) => error.to_string(),
                    Ok(_) => bail!("half a component was installed"),
                };
                ensure!(self.host.running(&self.lumen, &self.expivi_account)?.digest() == first, "it was swapped");
                Ok(((), refused.chars().take(100).collect()))
            })
            .await?;
        let second = steps
            .step("install another version", async {
                // The same component with a note in it: another digest, the same code.
                let mut bytes = source::bytes("expivi")?;
                bytes.extend([0, 5, 4, b'd', b'e', b'm', b'o']);
                let plugin = self.host.install(&bytes, None).await?;
                ensure!(plugin.digest() != first, "the digest is the same");
                Ok((plugin.digest(), plugin.digest().to_string()))
            })
            .await?;
        steps
            .step("swap and roll back ten times under load", async {
                let stop = Arc::new(AtomicBool::new(false));
                let (added, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                let adding: Vec<_> = (0..2)
                    .map(|_| {
                        let (host, shop, add) = (
                            self.host.clone(),
                            self.lumen.clone(),
                            self.add("shirt", samples::EXPIVI_VARIATION, 1, &[]),
                        );
                        let (stop, added, failed) = (stop.clone(), added.clone(), failed.clone());
                        tokio::spawn(async move {
                            while !stop.load(Ordering::Relaxed) {
                                match host.add_to_cart(&shop, add.clone()).await {
                                    Ok(_) => added.fetch_add(1, Ordering::Relaxed),
                                    Err(_) => failed.fetch_add(1, Ordering::Relaxed),
                                };
                            }
                        })
                    })
                    .collect();
                let mut held = Duration::ZERO;
                for round in 0..10 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let to = if round % 2 == 0 { second } else { first };
                    held = held.max(self.host.swap_version(&self.lumen, &self.expivi_account, to).await?.held);
                }
                stop.store(true, Ordering::Relaxed);
                for task in adding {
                    task.await?;
                }
                let (added, failed) = (added.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
                ensure!(failed == 0 && added > 0, "{failed} of {added} failed");
                Ok((
                    (),
                    format!("{added} carts planned, none failed, the pointer was held {} µs at most", held.as_micros()),
                ))
            })
            .await?;
        self.host.swap_version(&self.lumen, &self.expivi_account, second).await?;
        steps
            .step("old lines go on with the version that made them", async {
                let change = self.host.change_quantity(&self.lumen, &cart[0].key, 3, cart, &self.visitor).await?;
                match &change.operations[..] {
                    [CartOperation::Update { lines }] if lines[0].pin.digest == first => Ok(((), told(&change))),
                    other => bail!("{other:?}"),
                }
            })
            .await
    }

    /// Moves lumen's ring from Expivi to Twikit.
    async fn swap_vendor(
        &self,
        steps: &mut Steps,
        cart: &[CartLine],
        twikit: cartwright::Digest,
    ) -> anyhow::Result<()> {
        steps.chapter("A shop changes its vendor");
        self.host.set_account(&self.lumen, twikit, shops::twikit_account(&self.twikit)?).await?;
        let mapped = |skus: &[&str]| {
            shops::link(json!({
                "shop_product": "ring", "account": "twikit", "vendor_product": "diamond-letter-jewel", "allowed_skus": skus,
            }))
        };
        steps
            .step("a mapping that is not ready says why", async {
                let readiness = self.host.readiness(&self.lumen, &self.expivi_account, &[mapped(&[])?]).await?;
                ensure!(!readiness.is_ready(), "{readiness:?}");
                let why = readiness.products[0].issues.first().map(|issue| issue.message.text.clone());
                Ok(((), why.unwrap_or_default()))
            })
            .await?;
        steps
            .step("a mapping that is ready is switched", async {
                let link = mapped(&["RING"])?;
                let readiness =
                    self.host.readiness(&self.lumen, &self.expivi_account, std::slice::from_ref(&link)).await?;
                ensure!(readiness.is_ready(), "{readiness:?}");
                let began = Instant::now();
                let held = self.host.swap_vendor(&self.lumen, vec![link]).await?;
                Ok((
                    (),
                    format!(
                        "ring is Twikit's after {} µs, {} products stay with Expivi",
                        began.elapsed().as_micros().max(held.as_micros()),
                        readiness.unmapped.len()
                    ),
                ))
            })
            .await?;
        steps
            .step("new lines come from Twikit", async {
                let saved = self.twikit.save_configuration("diamond-letter-jewel", "RING", 199.0);
                let add = self.add("ring", &envelope(&saved), 1, cart);
                let change = self.host.add_to_cart(&self.lumen, add).await?;
                match &change.operations[..] {
                    [CartOperation::Add { lines }] if lines[0].pin.account == self.twikit_account => {
                        Ok(((), told(&change)))
                    }
                    other => bail!("{other:?}"),
                }
            })
            .await?;
        steps
            .step("old lines are still served by Expivi", async {
                let change = self.host.change_quantity(&self.lumen, &cart[0].key, 4, cart, &self.visitor).await?;
                match &change.operations[..] {
                    [CartOperation::Update { lines }] if lines[0].pin.account == self.expivi_account => {
                        Ok(((), told(&change)))
                    }
                    other => bail!("{other:?}"),
                }
            })
            .await?;
        steps.step("the cart still checks out", self.checked(&self.lumen, cart)).await
    }
}
