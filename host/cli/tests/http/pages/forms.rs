//! Forms of other sites are rejected.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Browser, FORM, page_path, pages, says, shipped, text};
use crate::ReplyAssertions as _;
use crate::shop::Shop;

/// The addresses of all forms. A form that is missing here fails `every_form_of_a_page_is_known_here`.
const POSTS: [&str; 32] = [
    "/admin/sign-out",
    "/admin/shops",
    "/admin/shops/{shop}/settings",
    "/admin/shops/{shop}/origins",
    "/admin/shops/{shop}/accounts",
    "/admin/shops/{shop}/accounts/{account}",
    "/admin/shops/{shop}/accounts/{account}/test",
    "/admin/shops/{shop}/accounts/{account}/allow",
    "/admin/shops/{shop}/accounts/{account}/swap",
    "/admin/shops/{shop}/approvals/approve",
    "/admin/shops/{shop}/approvals/refuse",
    "/admin/shops/{shop}/approvals/seen",
    "/admin/shops/{shop}/webhooks",
    "/admin/shops/{shop}/webhooks/end",
    "/admin/shops/{shop}/orders/{order}/settle",
    "/admin/shops/{shop}/orders/{order}/close",
    "/admin/shops/{shop}/jobs",
    "/admin/shops/{shop}/jobs/{job}/replay",
    "/admin/shops/{shop}/jobs/{job}/cancel",
    "/admin/shops/{shop}/notifications",
    "/admin/shops/{shop}/notifications/rotate",
    "/admin/shops/{shop}/notifications/remove",
    "/admin/shops/{shop}/notifications/send-again",
    "/admin/keys",
    "/admin/shops/{shop}/links/edit",
    "/admin/shops/{shop}/links/remove",
    "/admin/shops/{shop}/preview",
    "/admin/shops/{shop}/vendor-swap",
    "/admin/shops/{shop}/quotations/{quotation}/offer",
    "/admin/shops/{shop}/quotations/{quotation}/withdraw",
    "/admin/plugins/{plugin}/swap",
    "/admin/plugins/{plugin}/revoke",
];
/// The addresses of forms with a file.
const POSTS_OF_FILES: [&str; 2] = ["/admin/shops/{shop}/links/table", "/admin/plugins"];
/// The addresses of forms about an existing key.
const POSTS_OF_KEY: [&str; 2] = ["/admin/keys/{key}/rotate", "/admin/keys/{key}/revoke"];

#[tokio::test]
async fn a_form_that_is_not_the_sessions_own_is_refused_everywhere() {
    let (shop, _fake) = Shop::with_twikit().await;
    let (mine, another) = (Browser::sign_in(&shop.admin).await, Browser::sign_in(&shop.admin).await);
    assert_ne!(mine.csrf, another.csrf);
    let made =
        shop.admin.post("/v1/access-keys", &json!({ "role": { "role": "admin" }, "label": "kept" })).await.with(201);
    let (key, key_id) = (made["key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
    let before = shop.admin.get(&shop.path("/audit-log")).await.ok();
    for path in POSTS.iter().chain(&POSTS_OF_KEY) {
        let path = path.replace("{shop}", &shop.id).replace("{account}", "twikit").replace("{key}", key_id);
        let path = path.replace("{order}", "1").replace("{job}", "1").replace("{quotation}", "1");
        let path = path.replace("{plugin}", "twikit");
        for csrf in ["", "0", &another.csrf] {
            let reply = mine.send(&path, &[], csrf, &[]).await;
            assert_eq!(reply.status, 403, "{path}: {}", text(&reply));
            says(&text(&reply), &["This form has expired or belongs to another page"]);
        }
        for origin in ["https://evil.example", "null"] {
            let reply = mine.send(&path, &[], &mine.csrf, &[("origin", origin)]).await;
            assert_eq!(reply.status, 403, "{path} from {origin}");
        }
        // A form that a browser sends without a preflight, and one without a session.
        let plain = [("cookie", mine.cookie.as_str()), ("content-type", "text/plain")];
        let reply = mine.anonymous.ask("POST", &path, &plain, format!("csrf={}", mine.csrf)).await;
        assert_eq!(reply.status, 415, "{path}");
        let reply = mine.anonymous.ask("POST", &path, &[FORM], format!("csrf={}", mine.csrf)).await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/admin/sign-in")), "{path}");
    }
    for path in POSTS_OF_FILES.map(|path| path.replace("{shop}", &shop.id)) {
        for csrf in ["", "0", &another.csrf] {
            let reply = mine.upload(&path, csrf, b"shop_product,account,vendor_product\n").await;
            assert_eq!(reply.status, 403, "{path}: {}", text(&reply));
        }
        // A file that is not a table or not a component is rejected for its content.
        assert_eq!(mine.upload(&path, &mine.csrf, b"\xff").await.status, 422, "{path}");
    }
    assert_eq!(shop.admin.get(&shop.path("/audit-log")).await.ok(), before, "nothing was done");
    shop.server.node.client(key).get("/v1/shops").await.with(200);
    mine.page("/admin/shops").await;
    another.page("/admin/shops").await;
}

/// Returns the addresses of the forms of a page.
fn forms(page: &str) -> impl Iterator<Item = &str> {
    page.split("<form").skip(1).filter_map(|form| {
        let tag = form.split('>').next()?;
        let action = tag.split("action=\"").nth(1)?.split('"').next()?;
        tag.contains("method=\"post\"").then_some(action)
    })
}

#[tokio::test]
async fn every_form_of_a_page_is_known_here() {
    let (shop, fake, order) = shipped(&[]).await;
    let browser = Browser::sign_in(&shop.admin).await;
    fake.website_published("https://elsewhere.example/1.js", &["diamond-letter-jewel"]).await;
    let job =
        shop.backend.get(&shop.path("/jobs")).await.ok()["jobs"][0]["id"].as_str().expect("a job").replace(':', "%3A");
    let (mut paths, admins) = pages(&shop);
    paths.extend(admins);
    paths.extend(
        ["/accounts/twikit", &format!("/orders/{order}"), &format!("/jobs/{job}")].map(|path| page_path(&shop, path)),
    );
    let component = shop.component("twikit").await;
    paths.push(page_path(&shop, &format!("/accounts/new?component={}", component.as_str().expect("a digest"))));
    paths.push(page_path(&shop, "/links/edit?product=jewel"));
    let known: BTreeSet<&str> = POSTS.iter().chain(&POSTS_OF_KEY).chain(&POSTS_OF_FILES).copied().collect();
    for path in paths {
        let page = browser.page(&path).await;
        for action in forms(&page) {
            let action = action
                .replace(&job, "{job}")
                .replace(&format!("/shops/{}", shop.id), "/shops/{shop}")
                .replace("/accounts/twikit", "/accounts/{account}")
                .replace("/plugins/twikit", "/plugins/{plugin}")
                .replace(&format!("/orders/{order}"), "/orders/{order}");
            let action = match action.strip_prefix("/admin/keys/").and_then(|rest| rest.split_once('/')) {
                Some((_, what)) => format!("/admin/keys/{{key}}/{what}"),
                None => action,
            };
            assert!(known.contains(action.as_str()), "{path} sends to {action}");
        }
    }
}

#[tokio::test]
async fn a_form_has_so_many_fields_and_no_more() {
    let shop = Shop::new().await;
    let browser = Browser::sign_in(&shop.admin).await;
    let path = page_path(&shop, "/origins");
    let many = vec![("origins", ""); 9_000];
    assert_eq!(browser.post(&path, &many).await.status, 303);
    let too_many = vec![("origins", ""); 10_001];
    assert_eq!(browser.post(&path, &too_many).await.status, 413);
}

#[tokio::test]
async fn a_plugins_name_that_leads_elsewhere_names_nothing() {
    let shop = Shop::new().await;
    let browser = Browser::sign_in(&shop.admin).await;
    let long = "x".repeat(300);
    for name in ["..%2fkeys", "a%2Fb", "%00", "a%5Cb", "%ff", "%20", "nobody", &long] {
        let page = browser.get(&format!("/admin/plugins/{name}")).await;
        assert!(matches!(page.status, 400 | 404), "{name}: {page:?}");
        for what in ["swap", "revoke"] {
            let fields = [("component", "0"), ("digest", "0")];
            let reply = browser.post(&format!("/admin/plugins/{name}/{what}"), &fields).await;
            assert!(matches!(reply.status, 400 | 404 | 422), "{name}: {reply:?}");
        }
    }
}
