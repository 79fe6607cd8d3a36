//! The rules of carts, each with Expivi's plugin and through the whole pipeline. They include every known defect of the
//! vendor's official plugin for another platform.

mod exact;
mod large;
mod lines;
mod pictures;
mod prepared;
mod prices;
mod several;
mod vendor_data;

use cartwright::CartLine;
use cartwright_e2e::{World, added_lines};
use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

fn changed(sample: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(sample).expect("a sample");
    change(&mut value);
    value.to_string()
}

/// Returns rings of one configuration, each with its own name and an engraving.
fn saved(rings: &[(&str, &str)]) -> String {
    let ring = |name: &str, engraved: &str| {
        let one = changed(samples::EXPIVI_SIMPLE, |value| value[0]["uuid"] = json!(name));
        serde_json::from_str::<Vec<Value>>(&one.replace("Bob", engraved)).expect("a sample").remove(0)
    };
    Value::Array(rings.iter().map(|(name, engraved)| ring(name, engraved)).collect()).to_string()
}

/// Returns the engraving and the quantity of each line.
fn engraved(cart: &[CartLine]) -> Vec<(String, u32)> {
    let of = |line: &CartLine| {
        let part = line.shown.iter().find(|part| part.name == "Engraving").expect("an engraving");
        (part.value.clone(), line.quantity)
    };
    cart.iter().map(of).collect()
}

/// Restricts the quantities in which the shop sells a variant.
fn sell(world: &World, sku: &str, minimum: u32, maximum: Option<u32>) {
    world.catalog.change(|variants| {
        let variant = variants.iter_mut().find(|variant| variant.sku == sku).expect("a variant");
        (variant.minimum, variant.maximum) = (minimum, maximum);
    });
}

async fn one(world: &World, product: &str, configuration: &str) -> CartLine {
    let change = world.add(product, configuration, 1, &mut Vec::new()).await.expect("a line");
    added_lines(&change).remove(0)
}
