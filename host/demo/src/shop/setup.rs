//! Set-up of the shops: does over HTTP what an integrator does in the admin pages, and creates a key each for server
//! and pages.

use std::net::SocketAddr;

use anyhow::Context as _;
use cartwright::AccountSetup;
use cartwright_fake_vendors::twikit::Webhooks;
use cartwright_fake_vendors::{FakeExpivi, FakeTwikit};
use serde_json::{Value, json};

use super::client::Host;
use super::line::Money;
use super::platform::Platform;
use super::profile::{Product, Shop};
use crate::shops;

const CURRENCY: &str = "EUR";

/// The definition of a shop.
struct Plan {
    id: &'static str,
    title: &'static str,
    vendor: &'static str,
    about: &'static str,
    /// Configurable products: id, title, text.
    products: &'static [(&'static str, &'static str, &'static str)],
    /// Products that are sold as parts of those.
    parts: &'static [&'static str],
    account: AccountSetup,
    links: Value,
}

/// Sets both shops up at the host, and returns them with Twikit's webhook URLs.
pub(crate) async fn open(
    host_url: &str,
    admin: &str,
    expivi: &FakeExpivi,
    twikit: &FakeTwikit,
    at: SocketAddr,
) -> anyhow::Result<(Platform, Vec<(String, String)>)> {
    let admin = Host::new(host_url, admin);
    let plans = [
        Plan {
            id: "lumen",
            title: "Lumen",
            vendor: "Expivi",
            about: "Rings, shirts and wardrobes, each made as you like it.",
            products: &[
                ("ring", "Engraved ring", "Silver or gold, with your own words inside."),
                ("shirt", "Shirt", "In two colors, cut in two sizes."),
                ("wardrobe", "Wardrobe", "Built from panels: choose finish, height and doors."),
            ],
            parts: &["panel", "hinge", "screw"],
            account: shops::expivi_account(expivi)?,
            links: Value::Array(shops::expivi_links("vendor").into()),
        },
        Plan {
            id: "gems",
            title: "Gems",
            vendor: "Twikit",
            about: "Jewels, printed in metal for you alone.",
            products: &[
                ("jewel", "Letter jewel", "Your letter on a chain, with or without a stone."),
                ("pendant", "Pendant", "A heart, a star or a drop."),
            ],
            parts: &[],
            account: shops::twikit_account(twikit)?,
            links: json!([
                { "shop_product": "jewel", "account": "twikit", "vendor_product": "diamond-letter-jewel",
                    "allowed_skus": ["JEWEL-A", "JEWEL-B"] },
                { "shop_product": "pendant", "account": "twikit", "vendor_product": "pendant",
                    "allowed_skus": ["PENDANT-A"] },
            ]),
        },
    ];
    let mut opened = Vec::new();
    for plan in plans {
        let id = plan.id;
        opened.push(set_up(&admin, plan, at).await.with_context(|| format!("cannot set up the shop {id}"))?);
    }
    twikit.set_webhooks(webhooks(&admin).await.context("cannot create Twikit's webhook URLs")?);
    let urls = opened
        .iter()
        .map(|shop| (format!("{}, a shop with {}", shop.title, shop.vendor), format!("http://{at}/{}/", shop.id)));
    let urls = urls.collect();
    Ok((Platform::new(opened), urls))
}

#[allow(clippy::indexing_slicing, reason = "a JSON value without the member is indexed as null")]
async fn set_up(admin: &Host, plan: Plan, at: SocketAddr) -> anyhow::Result<Shop> {
    let Plan { id, title, vendor, about, products, parts, account, links } = plan;
    let path = |rest: &str| format!("/v1/shops/{id}{rest}");
    let shop = json!({ "currencies": [{ "code": CURRENCY, "scale": 2 }], "locale": "en", "prices_include_tax": true, "release": "paid" });
    admin.put(&path(""), &shop).await?;

    let plugins: Value = admin.get("/v1/plugins").await?;
    let mut plugins = plugins.as_array().into_iter().flatten();
    let component = plugins.find(|plugin| plugin["about"]["id"] == account.id.as_str());
    let component = component.with_context(|| format!("the plugin {} is not installed", account.id))?["digest"].clone();
    let body = json!({ "component": component, "settings": account.settings, "grants": account.grants });
    admin.put(&path(&format!("/accounts/{}", account.id)), &body).await?;

    let sold = |product: &str| products.iter().any(|(id, ..)| *id == product) || parts.contains(&product);
    let variants: Vec<Value> = shops::VARIANTS.iter().filter(|(_, product, ..)| sold(product)).map(variant).collect();
    admin.put(&path("/catalog"), &json!({ "variants": variants, "replace_all": true })).await?;
    admin.put(&path("/product-links"), &links).await?;
    // A browser may use either name of the address.
    let origins = json!([format!("http://{at}"), format!("http://localhost:{}", at.port())]);
    admin.put(&path("/origins"), &origins).await?;

    let products = products.iter().map(|(id, title, about)| Product { id, title, about, from: cheapest(id) });
    Ok(Shop {
        id,
        title,
        vendor,
        about,
        currency: CURRENCY,
        products: products.collect(),
        host: Host::new(&admin.url, &make_key(admin, "backend", id).await?),
        storefront: make_key(admin, "storefront", id).await?,
    })
}

fn variant((sku, product, title, cents): &(&str, &str, &str, i64)) -> Value {
    json!({
        "id": format!("variant-{}", sku.to_lowercase()), "product": product, "sku": sku, "title": title,
        "prices": [price(*cents)], "purchasable": true,
    })
}

fn price(cents: i64) -> Money {
    Money { minor: cents, scale: 2, currency: CURRENCY.to_owned() }
}

fn cheapest(product: &str) -> Money {
    let cents = shops::VARIANTS.iter().filter(|(_, of, ..)| *of == product).map(|(.., cents)| *cents);
    price(cents.min().unwrap_or_default())
}

async fn make_key(admin: &Host, role: &str, shop: &str) -> anyhow::Result<String> {
    let body = json!({ "role": { "role": role, "shop": shop }, "label": format!("demo, {role} of {shop}") });
    let made: Value = admin.post("/v1/access-keys", &body).await?;
    Ok(made.get("key").and_then(Value::as_str).context("no key was made")?.to_owned())
}

/// Creates the webhook URLs for Twikit.
async fn webhooks(admin: &Host) -> anyhow::Result<Webhooks> {
    let made = async |endpoint: &str| -> anyhow::Result<Option<String>> {
        let body = json!({ "account": "twikit", "endpoint": endpoint });
        let made: Value = admin.post("/v1/shops/gems/webhook-urls", &body).await?;
        Ok(made.get("url").and_then(Value::as_str).map(str::to_owned))
    };
    Ok(Webhooks {
        payment_verification: made("payment-verification").await?,
        production_completed: made("production-completion").await?,
        order_completed: made("order-completion").await?,
        website_published: made("website-publication").await?,
    })
}
