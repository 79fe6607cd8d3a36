//! A plugin's settings form: the handling of its input, and the vendor's choices.

use cartwright_test_guests::{ONE_LINE, WEBHOOKS};
use serde_json::json;

use super::{Browser, page_path, says, text};
use crate::ReplyAssertions as _;
use crate::shop::Shop;

const LOST: &str = "For security this was not kept. Enter it again.";

/// Returns what is drawn beside the input of a setting.
fn beside<'a>(page: &'a str, field: &str) -> &'a str {
    let rest = page.split(&format!("<div id=\"setting-{field}-help\">")).nth(1).unwrap_or_else(|| panic!("{page}"));
    rest.split("</div>").next().expect("its end")
}

#[tokio::test]
async fn an_unsaved_secret_must_be_entered_again_and_a_box_stays_ticked() {
    let shop = Shop::new().await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let component = shop.component("expivi").await;
    let component = component.as_str().expect("a digest");
    let fresh = browser.page(&page_path(&shop, &format!("/accounts/new?component={component}"))).await;
    assert!(!fresh.contains(LOST), "{fresh}");
    let accounts = page_path(&shop, "/accounts");
    let entered = [("component", component), ("id", "expivi"), ("setting.server-token", "kept-by-nobody")];
    let refused = browser.post(&accounts, &entered).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let page = text(&refused);
    says(beside(&page, "viewer-token"), &["is required"]);
    says(beside(&page, "server-token"), &[LOST]);
    assert!(!page.contains("kept-by-nobody"), "a secret is not written into a page: {page}");
    // Only entered secrets are reported as lost.
    let refused = text(&browser.post(&accounts, &entered[..2]).await);
    says(beside(&refused, "viewer-token"), &["is required"]);
    assert!(!refused.contains(LOST), "{refused}");

    let viewer = ("setting.viewer-token", "viewer");
    let page = browser.done(&accounts, &[&entered[..], &[viewer]].concat()).await;
    says(&page, &["Enter a new value to replace"]);
    assert!(!page.contains(LOST), "{page}");
    let version = page.split("name=\"version\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let version = ("version", version.expect("a version"));
    let account = page_path(&shop, "/accounts/expivi");
    let refused = text(&browser.post(&account, &[version, ("setting.server-token", "another")]).await);
    says(beside(&refused, "server-token"), &[LOST]);
    let refused = text(&browser.post(&account, &[version, ("setting.server-token.remove", "on")]).await);
    says(&refused, &["name=\"setting.server-token.remove\" checked"]);
    let saved = browser.done(&account, &[version, viewer, ("setting.server-token.remove", "on")]).await;
    assert!(!saved.contains("Enter a new value to replace"), "{saved}");
}

#[tokio::test]
async fn choices_of_a_vendor_are_offered_for_an_account_and_for_a_product() {
    let shop = Shop::new().await;
    let component = shop.install("webhooks", WEBHOOKS).await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let new = browser.page(&page_path(&shop, &format!("/accounts/new?component={component}"))).await;
    says(beside(&new, "finish"), &["Save to load options from the vendor."]);
    shop.set_account("webhooks", json!({}), json!({})).await;
    let link = page_path(&shop, "/links/edit?product=ring&account=webhooks");
    for path in [page_path(&shop, "/accounts/webhooks"), link.clone()] {
        let page = browser.page(&path).await;
        // The vendor returns two choices at a time.
        for (value, label) in [("m", "Matt"), ("g", "Gloss"), ("s", "Satin")] {
            says(&page, &[&format!("<option value=\"{value}\">{label}</option>")]);
        }
        for (value, label) in [("b", "Box"), ("r", "Ribbon"), ("c", "Card")] {
            says(&page, &[&format!("name=\"setting.extras\" value=\"{value}\"> {label}</label>")]);
        }
        // A value beyond the listed choices can be entered.
        says(&page, &["<option value=\"c499\">Colour 499</option>", "list=\"setting-colour-choices\""]);
        assert!(!page.contains("Colour 500") && !page.contains("Save to load options"), "{page}");
        says(beside(&page, "colour"), &["Not all options are listed"]);
        assert!(!beside(&page, "finish").contains("options"), "{page}");
    }
    let chosen = |strategy| {
        [
            ("product", "ring"),
            ("account", "webhooks"),
            ("vendor_product", "1"),
            ("strategy", strategy),
            ("setting.finish", "s"),
            ("setting.colour", "c999"),
            ("setting.extras", "b"),
            ("setting.extras", "c"),
        ]
    };
    // It has no strategy of its own, and no list of its products.
    let page = browser.page(&link).await;
    assert!(!page.contains("Connection default") && !page.contains("Vendor catalog"), "{page}");
    let refused = browser.post(&page_path(&shop, "/links/edit"), &chosen("/")).await;
    assert_eq!(refused.status, 422);
    says(&text(&refused), &["webhooks has no cart strategy; choose a strategy of another account."]);
    shop.install("one-line", ONE_LINE).await;
    shop.set_account("one-line", json!({}), json!({})).await;
    browser.done(&page_path(&shop, "/links/edit"), &chosen("one-line/one-line")).await;
    let kept = shop.integrator.get(&shop.path("/product-links/ring")).await.ok();
    assert_eq!(kept["settings"], json!({ "finish": "s", "colour": "c999", "extras": ["b", "c"] }), "{kept:#}");
    let page = browser.page(&link).await;
    says(&page, &["<option value=\"s\" selected>Satin</option>", "value=\"c999\"", "value=\"c\" checked> Card"]);

    // An API client requests the choices itself.
    let ask = async |query: &str| {
        let choices = shop.integrator.get(&shop.path(&format!("/accounts/webhooks/choices/{query}"))).await.ok();
        let values = choices["choices"].as_array().expect("a list").iter().map(|choice| choice["value"].clone());
        (json!(values.collect::<Vec<_>>()), choices["cursor"].clone())
    };
    assert_eq!(ask("finish").await, (json!(["m", "g"]), json!("2")));
    assert_eq!(ask("finish?cursor=2").await, (json!(["s"]), json!(null)));
    assert_eq!(ask("finish?search=ATT").await, (json!(["m"]), json!(null)));

    // Values can be entered although the vendor does not respond.
    shop.set_account("webhooks", json!({ "name": "away" }), json!({})).await;
    let page = browser.page(&link).await;
    says(beside(&page, "finish"), &["Couldn't load options"]);
    says(&page, &["id=\"setting-finish\" name=\"setting.finish\" value=\"s\""]);
}

#[tokio::test]
async fn a_group_of_settings_is_folded_while_it_is_as_it_comes() {
    let (shop, _fake) = Shop::with_expivi().await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let component = shop.component("expivi").await;
    let component = component.as_str().expect("a digest");
    let new = browser.page(&page_path(&shop, &format!("/accounts/new?component={component}"))).await;
    // A required field is expanded, and the default is the placeholder of the empty input.
    says(
        &new,
        &[
            "<details class=\"fold\" open><summary>Account</summary>",
            "<details class=\"fold\"><summary>Production</summary>",
        ],
    );
    says(
        &new,
        &["placeholder=\"Default: https://expivi.net/api/\"", "<option value=\"\">Default (Add to cart)</option>"],
    );
    let account = browser.page(&page_path(&shop, "/accounts/expivi")).await;
    says(&account, &["<summary>Account <span class=\"mark\">"]);
    assert!(account.contains(" changed</span></summary>"), "{account}");
}

#[tokio::test]
async fn webhook_endpoints_and_the_feed_of_an_account_are_shown() {
    let shop = Shop::new().await;
    shop.install("webhooks", WEBHOOKS).await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let grants = json!({ "feed_interval_seconds": 60 });
    shop.set_account("webhooks", json!({ "name": "few" }), grants).await;
    let endpoints = shop.integrator.get(&shop.path("/accounts/webhooks/webhook-endpoints")).await.ok();
    let names: Vec<&str> =
        endpoints.as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["tell"]);
    says(&browser.page(&page_path(&shop, "/webhooks")).await, &["<h3>tell "]);
    let removed = json!({ "account": "webhooks", "endpoint": "ask" });
    let refused = shop.integrator.post(&shop.path("/webhook-urls"), &removed).await.with(422);
    assert!(refused.to_string().contains("under its settings it has: tell"), "{refused}");

    let feed = shop.integrator.get(&shop.path("/accounts/webhooks/feed")).await.ok();
    assert_eq!((&feed["interval_seconds"], &feed["last_polled_at"]), (&json!(60), &json!(null)), "{feed:#}");
    let page = browser.page(&page_path(&shop, "/accounts/webhooks")).await;
    says(&page, &["<h2 id=\"feed\">Updates</h2>", "Last polled", "name=\"feed_interval_seconds\"", "from 30 to 86400"]);
}
