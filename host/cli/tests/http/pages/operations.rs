//! Pages about keys, notifications, and plugin calls.

use cartwright_fake_vendors::{Outage, samples};
use serde_json::json;

use super::{Browser, ESCAPED, MARKUP, field, page_path, says, text};
use crate::ReplyAssertions as _;
use crate::shop::Shop;

#[tokio::test]
async fn a_key_is_made_exchanged_and_revoked_on_its_page() {
    let shop = Shop::new().await;
    let browser = Browser::sign_in(&shop.admin).await;
    let made = async |role: &str, of: &str, further: &[(&str, &str)]| {
        let mut fields = vec![("label", MARKUP), ("role", role), ("shop", of)];
        fields.extend_from_slice(further);
        browser.post("/admin/keys", &fields).await
    };
    assert_eq!(made("integrator", "", &[]).await.status, 422);
    assert_eq!(made("admin", &shop.id, &[]).await.status, 422);
    assert_eq!(made("integrator", &shop.id, &[("expires", "soon")]).await.status, 422);
    assert_eq!(made("integrator", &shop.id, &[("networks", "everywhere")]).await.status, 422);
    let page = text(&made("integrator", &shop.id, &[("networks", "127.0.0.1"), ("expires", "2999-01-01")]).await);
    says(&page, &["Copy this now. You won't see it again.", "Sets up one shop"]);
    let key = field(&page, "key").to_owned();
    let owner = shop.server.node.client(&key);
    owner.get(&shop.path("")).await.with(200);
    let signed_in = Browser::sign_in(&owner).await;
    let list = browser.page("/admin/keys").await;
    assert!(!list.contains(&key) && !list.contains("<script>") && list.contains(ESCAPED), "{list}");
    let id = key.split('_').nth(2).expect("an id");
    says(&list, &[id, "127.0.0.1/32", "2999-01-01"]);
    assert_eq!(browser.post(&format!("/admin/keys/{id}/rotate"), &[("overlap_seconds", "1")]).await.status, 422);
    let page = browser.post_text(&format!("/admin/keys/{id}/rotate"), &[("overlap_seconds", "0")]).await;
    let new = shop.server.node.client(field(&page, "key"));
    owner.get(&shop.path("")).await.problem(401, "access");
    new.get(&shop.path("")).await.with(200);
    assert_eq!(signed_in.get(&page_path(&shop, "")).await.status, 303, "its sessions ended");
    says(&browser.done(&format!("/admin/keys/{id}/revoke"), &[]).await, &["Key revoked."]);
    new.get(&shop.path("")).await.problem(401, "access");
}

#[tokio::test]
async fn a_notification_endpoint_shows_its_secret_once() {
    let shop = Shop::new().await;
    let browser = Browser::sign_in(&shop.admin).await;
    let here = page_path(&shop, "/notifications");
    assert_eq!(browser.post(&here, &[("url", "http://127.0.0.1/inside")]).await.status, 422);
    let page = browser.post_text(&here, &[("url", "https://shop.example/told")]).await;
    let secret = field(&page, "secret").to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    // An endpoint with a new URL keeps its secret.
    let page = browser.done(&here, &[("url", "https://shop.example/elsewhere")]).await;
    says(&page, &["https://shop.example/elsewhere", "All notifications delivered"]);
    assert!(!page.contains(&secret));
    let page = browser.post_text(&page_path(&shop, "/notifications/rotate"), &[]).await;
    assert_ne!(field(&page, "secret"), secret);
    let page = browser.done(&page_path(&shop, "/notifications/remove"), &[]).await;
    assert!(!page.contains("https://shop.example/elsewhere"), "{page}");
}

#[tokio::test]
async fn the_health_of_a_shops_plugins_is_shown_as_charts_and_text() {
    let (shop, fake) = Shop::with_expivi().await;
    shop.cart().await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let page = browser.page(&page_path(&shop, "/health")).await;
    says(&page, &["<h2>expivi</h2>", "no errors", "<svg class=\"chart\"", "class=\"calls\"", "Show as table"]);
    fake.faults().outage(Outage::Unavailable { retry_after: None });
    // A new quantity, because the price of the other one is cached.
    let add = json!({ "product": "ring", "configuration": samples::EXPIVI_SIMPLE, "quantity": 7 });
    shop.backend.post(&shop.path("/cart/add"), &add).await.problem(503, "vendor-unavailable");
    let page = browser.page(&page_path(&shop, "/health?level=debug")).await;
    says(&page, &["1 error", "class=\"errors\""]);
    let all = Browser::sign_in(&shop.admin).await.page("/admin/health").await;
    says(&all, &["<span class=\"state bad\">1</span>", &format!("href=\"{}\"", page_path(&shop, "/health"))]);
    assert_eq!(browser.get(&page_path(&shop, "/health?level=loud")).await.status, 400);
    let another = Shop::new().await;
    let empty = Browser::sign_in(&another.integrator).await.page(&page_path(&another, "/health")).await;
    says(&empty, &["No plugin calls in the last hour"]);
}

#[tokio::test]
async fn an_integrator_reads_that_only_an_admin_grants_personal_data() {
    let (shop, _fake) = Shop::with_twikit().await;
    let (admin, integrator) = (Browser::sign_in(&shop.admin).await, Browser::sign_in(&shop.integrator).await);
    let component = shop.component("twikit").await;
    let component = component.as_str().expect("a digest");
    let new = page_path(&shop, &format!("/accounts/new?component={component}"));
    assert!(admin.page(&new).await.contains("name=\"personal_data\""));
    let page = integrator.page(&new).await;
    says(&page, &["Ask an admin to allow it"]);
    assert!(!page.contains("name=\"personal_data\""), "{page}");
    // A rejected submission keeps its input.
    let fields =
        [("id", "second"), ("component", component), ("personal_data", "true"), ("setting.api-url", "https://x")];
    let refused = integrator.post(&page_path(&shop, "/accounts"), &fields).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    says(&text(&refused), &["turn on grants.personal_data: it reveals names and addresses", "value=\"second\""]);
    // An admin has granted it here: it can be given up, and goes to no further host.
    let account = page_path(&shop, "/accounts/twikit");
    let page = integrator.page(&account).await;
    says(&page, &["name=\"personal_data\"", "only an admin can add hosts"]);
    let version = page.split("name=\"version\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let fields =
        [("version", version.expect("a version")), ("personal_data", "true"), ("further_hosts", "mine.example")];
    let refused = integrator.post(&account, &fields).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    says(&text(&refused), &["further grants.hosts are reserved for the role admin"]);
    let read = shop.integrator.get(&shop.path("/accounts/twikit")).await.ok();
    assert!(!read.to_string().contains("mine.example"), "{read:#}");
}

#[tokio::test]
async fn a_missing_permission_is_added_with_a_button_by_those_who_may_grant_it() {
    let (shop, _fake) = Shop::with_twikit().await;
    let allow = page_path(&shop, "/accounts/twikit/allow");
    let (admin, integrator) = (Browser::sign_in(&shop.admin).await, Browser::sign_in(&shop.integrator).await);
    let plain = [("grant", "http://plain.example")];
    assert_eq!(integrator.post(&allow, &plain).await.status, 403);
    assert_eq!(admin.post(&allow, &[("grant", "plain.example/path")]).await.status, 422);
    let grants = async || shop.admin.get(&shop.path("/accounts/twikit")).await.ok().to_string();
    assert!(!grants().await.contains("plain.example"));
    says(&admin.done(&allow, &plain).await, &["Permission added"]);
    assert!(grants().await.contains("plain.example"));
    // The account sees names and addresses, so that an integrator gives it no further host.
    assert_eq!(integrator.post(&allow, &[("grant", "files.example")]).await.status, 403);
    assert!(!grants().await.contains("files.example"));
}
