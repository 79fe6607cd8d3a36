//! Carts that a platform returns in another state than the host produced: by a defect, by a race, or by a shopper who
//! tries to get a better price. The host responds with the real lines and prices, or with a typed error. It never
//! accepts a price that it did not seal for the line.

mod changes;
mod checks;
mod expired;
mod pins;

use cartwright::{CartLine, LineCheck, LineState, Visitor};
use cartwright_e2e::World;
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

/// Indices into [`CartTest::cart`]. Three children follow each bundle.
const RING: usize = 0;
const OAK: usize = 1;
const PANEL: usize = 2;
const HINGE: usize = 3;
const SCREW: usize = 4;
const ASH: usize = 5;

/// The prices of the lines: two rings, and two oak wardrobes of three panels, four hinges and four screws each.
const RINGS: i64 = 2 * 19_900;
const OAKS: i64 = 2 * (3 * 2_450 + 4 * 320 + 4 * 15);

/// The result for a line that differs from its seal.
const FORGED: &str = "configure again: the line was changed after it was sealed";

/// Changes a cart in a way that the host never does.
type Forge = fn(&mut Vec<CartLine>);

/// A cart of two rings, two oak wardrobes and an ash one, whose parts can be removed.
struct CartTest {
    world: World,
    cart: Vec<CartLine>,
}

impl CartTest {
    async fn new() -> Self {
        let world = World::new().await;
        let settings = json!({ "price-authority": "components", "child-removal": "repriced" });
        world.link("wardrobe", "1003", "bundle", settings).await;
        let mut cart = Vec::new();
        world.add("ring", samples::EXPIVI_SIMPLE, 2, &mut cart).await.expect("rings");
        world.add("wardrobe", samples::EXPIVI_BUNDLE, 2, &mut cart).await.expect("oak wardrobes");
        world.add("wardrobe", &ash(), 1, &mut cart).await.expect("an ash wardrobe");
        assert_eq!((cart[RING].price.total.minor, cart[OAK].price.total.minor), (RINGS, OAKS));
        Self { world, cart }
    }

    /// Returns a changed copy of the cart.
    fn forged(&self, forge: impl FnOnce(&mut Vec<CartLine>)) -> Vec<CartLine> {
        let mut cart = self.cart.clone();
        forge(&mut cart);
        cart
    }

    async fn check(&self, cart: &[CartLine]) -> Vec<LineCheck> {
        check(&self.world, cart).await
    }
}

async fn check(world: &World, cart: &[CartLine]) -> Vec<LineCheck> {
    world.host.check_cart(&world.shop, cart, &Visitor::default()).await.expect("checked")
}

fn ash() -> String {
    let mut value: Value = serde_json::from_str(samples::EXPIVI_BUNDLE).expect("a sample");
    value[0]["configuration"]["attributes"][0]["attribute_value_name"] = json!("Ash");
    value[0]["attributes"][0]["attribute_value_name"] = json!("Ash");
    value.to_string()
}

/// Returns the result for each line in short form.
fn check_texts(checks: &[LineCheck]) -> Vec<String> {
    let state = |check: &LineCheck| match &check.state {
        LineState::Ok => "ok".to_owned(),
        LineState::PriceChanged { old, new } => format!("{} to {}", old.minor, new.minor),
        LineState::Unavailable { reason } => format!("unavailable: {reason}"),
        LineState::MustReconfigure { reason } => format!("configure again: {reason}"),
    };
    checks.iter().map(state).collect()
}

/// Returns the cart after the shopper accepted the results: each checked line is replaced by the result's, or removed
/// if there is none.
fn accept_changes(cart: &[CartLine], checks: &[LineCheck]) -> Vec<CartLine> {
    let mut lines: Vec<CartLine> = Vec::new();
    for check in checks {
        match &check.state {
            LineState::Ok if check.lines.is_empty() => {
                lines.extend(cart.iter().find(|line| line.key == check.key).cloned());
                lines.extend(cart.iter().filter(|line| line.parent.as_ref() == Some(&check.key)).cloned());
            }
            _ => lines.extend(check.lines.iter().cloned()),
        }
    }
    lines
}

/// Returns keys, quantities and prices, which a forger would change.
fn line_values(cart: &[CartLine]) -> Vec<(&str, u32, i64)> {
    cart.iter().map(|line| (line.key.as_str(), line.quantity, line.price.total.minor)).collect()
}
