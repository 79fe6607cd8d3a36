//! A plugin's settings form: what becomes of what was typed.

use super::{Browser, at, says, text};
use crate::shop::Shop;

const LOST: &str = "What you entered here was not kept: enter it again.";

/// What stands beside the input of a setting.
fn beside<'a>(page: &'a str, field: &str) -> &'a str {
    let rest = page.split(&format!("<div id=\"setting-{field}-help\">")).nth(1).unwrap_or_else(|| panic!("{page}"));
    rest.split("</div>").next().expect("its end")
}

#[tokio::test]
async fn a_secret_that_is_not_kept_is_asked_for_again_and_a_box_stays_ticked() {
    let shop = Shop::new().await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let component = shop.component("expivi").await;
    let component = component.as_str().expect("a digest");
    let fresh = browser.page(&at(&shop, &format!("/accounts/new?component={component}"))).await;
    assert!(!fresh.contains(LOST), "{fresh}");
    let accounts = at(&shop, "/accounts");
    let entered = [("component", component), ("id", "expivi"), ("setting.server-token", "kept-by-nobody")];
    let refused = browser.post(&accounts, &entered).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let page = text(&refused);
    says(beside(&page, "viewer-token"), &["is required"]);
    says(beside(&page, "server-token"), &[LOST]);
    assert!(!page.contains("kept-by-nobody"), "a secret is not written into a page: {page}");
    // What was not typed is not said to be lost.
    let refused = text(&browser.post(&accounts, &entered[..2]).await);
    says(beside(&refused, "viewer-token"), &["is required"]);
    assert!(!refused.contains(LOST), "{refused}");

    let viewer = ("setting.viewer-token", "viewer");
    let page = browser.done(&accounts, &[&entered[..], &[viewer]].concat()).await;
    says(&page, &["Set. Enter another to replace it."]);
    assert!(!page.contains(LOST), "{page}");
    let version = page.split("name=\"version\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let version = ("version", version.expect("a version"));
    let account = at(&shop, "/accounts/expivi");
    let refused = text(&browser.post(&account, &[version, ("setting.server-token", "another")]).await);
    says(beside(&refused, "server-token"), &[LOST]);
    let refused = text(&browser.post(&account, &[version, ("setting.server-token.remove", "on")]).await);
    says(&refused, &["name=\"setting.server-token.remove\" checked"]);
    let saved = browser.done(&account, &[version, viewer, ("setting.server-token.remove", "on")]).await;
    assert!(!saved.contains("Set. Enter another"), "{saved}");
}
