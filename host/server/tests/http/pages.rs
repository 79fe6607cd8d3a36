//! The admin pages as a browser sees them: who may look, what they say, and that no other page sends their forms.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cartwright_fake_vendors::client::Reply;
use cartwright_fake_vendors::twikit::Webhooks;
use cartwright_fake_vendors::{FakeTwikit, Outage, samples};
use serde_json::json;
use url::form_urlencoded;

use crate::Answer as _;
use crate::server::Client;
use crate::shop::{Shop, paid};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// What a vendor may write anywhere.
const MARKUP: &str = "<script>alert(1)</script>";
const ESCAPED: &str = "&lt;script&gt;alert(1)&lt;/script&gt;";

/// Where the pages' forms are sent to. A form that is not here fails `every_form_of_a_page_is_known_here`.
const POSTS: [&str; 30] = [
    "/admin/sign-out",
    "/admin/shops",
    "/admin/shops/{shop}",
    "/admin/shops/{shop}/origins",
    "/admin/shops/{shop}/accounts",
    "/admin/shops/{shop}/accounts/{account}",
    "/admin/shops/{shop}/accounts/{account}/test",
    "/admin/shops/{shop}/accounts/{account}/swap",
    "/admin/shops/{shop}/approvals/approve",
    "/admin/shops/{shop}/approvals/refuse",
    "/admin/shops/{shop}/approvals/seen",
    "/admin/shops/{shop}/webhooks",
    "/admin/shops/{shop}/webhooks/end",
    "/admin/shops/{shop}/orders/{order}/settle",
    "/admin/shops/{shop}/orders/{order}/close",
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
/// Those that take a file.
const POSTS_OF_FILES: [&str; 2] = ["/admin/shops/{shop}/links/table", "/admin/plugins"];
/// Those of a key are asked with a key that is there.
const POSTS_OF_KEY: [&str; 2] = ["/admin/keys/{key}/rotate", "/admin/keys/{key}/revoke"];

/// Somebody who has signed in.
struct Browser {
    nobody: Client,
    cookie: String,
    csrf: String,
}

impl Browser {
    async fn sign_in(somebody: &Client) -> Self {
        let nobody = Client { base: somebody.base.clone(), key: None };
        let key = somebody.key.as_deref().expect("a key");
        let reply = nobody.ask("POST", "/admin/sign-in", &[FORM], encoded(&[("key", key)])).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        let cookie = reply.header("set-cookie").expect("a cookie").to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().expect("a value").to_owned();
        let mut browser = Self { nobody, cookie, csrf: String::new() };
        let first = browser.get("/admin").await;
        let home = first.header("location").expect("a first page").to_owned();
        let page = browser.page(&home).await;
        let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        browser.csrf = token.expect("a token").to_owned();
        browser
    }

    async fn get(&self, path: &str) -> Reply {
        self.nobody.ask("GET", path, &[("cookie", &self.cookie)], "").await
    }

    /// A page that is there.
    async fn page(&self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
        let policy = reply.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        text(&reply)
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)], csrf: &str, headers: &[(&str, &str)]) -> Reply {
        let mut fields = fields.to_vec();
        fields.push(("csrf", csrf));
        let mut all = vec![("cookie", self.cookie.as_str()), FORM];
        all.extend_from_slice(headers);
        self.nobody.ask("POST", path, &all, encoded(&fields)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(path, fields, &self.csrf, &[]).await
    }

    /// Sends a form with a file, which stands behind the token.
    async fn upload(&self, path: &str, csrf: &str, file: &[u8]) -> Reply {
        let mut body = format!(
            "--x\r\ncontent-disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n--x\r\ncontent-disposition: form-data; \
             name=\"file\"; filename=\"file\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--x--\r\n");
        let headers = [("cookie", self.cookie.as_str()), ("content-type", "multipart/form-data; boundary=x")];
        self.nobody.ask("POST", path, &headers, body).await
    }

    /// Sends a form that is taken, and gives the page that it leads to.
    async fn done(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.post(path, fields).await;
        assert_eq!(reply.status, 303, "{path}: {}", text(&reply));
        self.page(reply.header("location").expect("a page")).await
    }

    /// Sends a form that is answered at once: with what is shown once.
    async fn told(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.post(path, fields).await;
        assert_eq!(reply.status, 200, "{path}: {}", text(&reply));
        text(&reply)
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

/// The value of the field with this id.
fn field<'a>(page: &'a str, id: &str) -> &'a str {
    let rest = page.split(&format!("id=\"{id}\" readonly value=\"")).nth(1).unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().expect("a value")
}

#[track_caller]
fn says(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "it does not say {text:?}: {page}");
    }
}

/// The pages of a shop that everybody who sets it up sees, and those that only an admin does.
fn pages(shop: &Shop) -> (Vec<String>, Vec<String>) {
    let at = |path: &str| format!("/admin/shops/{}{path}", shop.id);
    let integrators = [
        "",
        "/accounts",
        "/accounts/new",
        "/links",
        "/preview",
        "/vendor-swap",
        "/approvals",
        "/webhooks",
        "/log",
        "/health",
    ]
    .map(at)
    .to_vec();
    let mut admins = ["/orders", "/jobs", "/jobs?state=done", "/quotations", "/notifications"].map(at).to_vec();
    let of_all =
        ["/admin/shops", "/admin/plugins", "/admin/plugins/twikit", "/admin/keys", "/admin/log", "/admin/health"];
    admins.extend(of_all.map(str::to_owned));
    (integrators, admins)
}

fn at(shop: &Shop, path: &str) -> String {
    format!("/admin/shops/{}{path}", shop.id)
}

#[tokio::test]
async fn who_has_not_signed_in_is_asked_to() {
    let shop = Shop::new().await;
    let nobody = shop.server.node.nobody();
    let (integrators, admins) = pages(&shop);
    for path in integrators.iter().chain(&admins) {
        let reply = nobody.get(path).await;
        assert_eq!(reply.status, 303, "{path}");
        assert!(reply.header("location").is_some_and(|to| to.starts_with("/admin/sign-in?next=")), "{path}: {reply:?}");
    }
    for client in [&shop.backend, &shop.storefront] {
        let key = client.key.as_deref().expect("a key");
        let reply = nobody.ask("POST", "/admin/sign-in", &[FORM], encoded(&[("key", key)])).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (403, None), "{reply:?}");
    }
}

#[tokio::test]
async fn an_integrator_sees_their_shop_and_nothing_that_is_an_admins() {
    let (shop, other) = (Shop::new().await, Shop::new().await);
    let (admin, integrator) = (Browser::sign_in(&shop.admin).await, Browser::sign_in(&shop.integrator).await);
    let (own, admins) = pages(&shop);
    for path in &own {
        let (all, part) = (admin.page(path).await, integrator.page(path).await);
        for page in [&all, &part] {
            assert_eq!(page.matches("<h1>").count(), 1, "{path}");
        }
        assert!(all.contains("/admin/keys") && !part.contains("/admin/keys"), "{path}");
        assert!(!part.contains(&format!("href=\"{}\"", at(&shop, "/orders"))), "{path}");
    }
    for path in &admins {
        admin.page(path).await;
        assert_eq!(integrator.get(path).await.status, 403, "{path}");
    }
    for path in pages(&other).0 {
        let reply = integrator.get(&path).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    // What is not a GET's is not an integrator's either.
    for (path, fields) in [
        (at(&shop, "/orders/1/close"), vec![]),
        (at(&shop, "/jobs/1/cancel"), vec![]),
        (at(&shop, "/notifications"), vec![("url", "https://shop.example/told")]),
        ("/admin/keys".to_owned(), vec![("label", "mine"), ("role", "admin")]),
    ] {
        assert_eq!(integrator.post(&path, &fields).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_form_that_is_not_the_sessions_own_is_refused_everywhere() {
    let (shop, _fake) = Shop::with_twikit().await;
    let (mine, another) = (Browser::sign_in(&shop.admin).await, Browser::sign_in(&shop.admin).await);
    assert_ne!(mine.csrf, another.csrf);
    let made = shop.admin.post("/v1/keys", &json!({ "role": { "role": "admin" }, "label": "kept" })).await.with(201);
    let (key, key_id) = (made["key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
    let before = shop.admin.get(&shop.at("/log")).await.ok();
    for path in POSTS.iter().chain(&POSTS_OF_KEY) {
        let path = path.replace("{shop}", &shop.id).replace("{account}", "twikit").replace("{key}", key_id);
        let path = path.replace("{order}", "1").replace("{job}", "1").replace("{quotation}", "1");
        let path = path.replace("{plugin}", "twikit");
        for csrf in ["", "0", &another.csrf] {
            let reply = mine.send(&path, &[], csrf, &[]).await;
            assert_eq!(reply.status, 403, "{path}: {}", text(&reply));
            says(&text(&reply), &["this form is not of this page"]);
        }
        for origin in ["https://evil.example", "null"] {
            let reply = mine.send(&path, &[], &mine.csrf, &[("origin", origin)]).await;
            assert_eq!(reply.status, 403, "{path} from {origin}");
        }
        // A form that a browser sends without asking, and one without a session.
        let plain = [("cookie", mine.cookie.as_str()), ("content-type", "text/plain")];
        let reply = mine.nobody.ask("POST", &path, &plain, format!("csrf={}", mine.csrf)).await;
        assert_eq!(reply.status, 415, "{path}");
        let reply = mine.nobody.ask("POST", &path, &[FORM], format!("csrf={}", mine.csrf)).await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/admin/sign-in")), "{path}");
    }
    for path in POSTS_OF_FILES.map(|path| path.replace("{shop}", &shop.id)) {
        for csrf in ["", "0", &another.csrf] {
            let reply = mine.upload(&path, csrf, b"shop_product,account,vendor_product\n").await;
            assert_eq!(reply.status, 403, "{path}: {}", text(&reply));
        }
        // What is no table and no component is refused for what it is.
        assert_eq!(mine.upload(&path, &mine.csrf, b"\xff").await.status, 422, "{path}");
    }
    assert_eq!(shop.admin.get(&shop.at("/log")).await.ok(), before, "nothing was done");
    shop.server.node.client(key).get("/v1/shops").await.with(200);
    mine.page("/admin/shops").await;
    another.page("/admin/shops").await;
}

/// The places that the forms of a page are sent to.
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
        shop.backend.get(&shop.at("/jobs")).await.ok()["jobs"][0]["id"].as_str().expect("a job").replace(':', "%3A");
    let (mut paths, admins) = pages(&shop);
    paths.extend(admins);
    paths
        .extend(["/accounts/twikit", &format!("/orders/{order}"), &format!("/jobs/{job}")].map(|path| at(&shop, path)));
    let component = shop.component("twikit").await;
    paths.push(at(&shop, &format!("/accounts/new?component={}", component.as_str().expect("a digest"))));
    paths.push(at(&shop, "/links/edit?product=jewel"));
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

/// A shop with an order that Twikit made and sent, tracked under these ids.
async fn shipped(tracking: &[&str]) -> (Shop, FakeTwikit, &'static str) {
    let (shop, fake) = Shop::with_twikit().await;
    let made = async |endpoint: &str| {
        let body = json!({ "account": "twikit", "endpoint": endpoint });
        let made = shop.integrator.post(&shop.at("/webhook-addresses"), &body).await.with(201);
        made["url"].as_str().map(str::to_owned)
    };
    fake.set_webhooks(Webhooks {
        payment_verification: made("payment-verification").await,
        production_completed: made("production-completion").await,
        order_completed: made("order-completion").await,
        website_published: made("website-publication").await,
    });
    let mut cart = Vec::new();
    let body = json!({ "product": "jewel", "configuration": samples::TWIKIT_SAVED, "quantity": 2, "lines": [] });
    shop.change(&mut cart, "add", body).await;
    shop.backend.post(&shop.at("/events"), &paid("2001", &cart)).await.ok();
    let order = shop.handled("2001").await;
    let reference = order["order"]["reference"].as_str().expect("a reference").to_owned();
    for tracking in tracking {
        let told = fake.production_completed(&reference, "", false, tracking).await.expect("an order");
        assert!(told.accepted(), "{told:?}");
        let told = fake.order_completed(&reference, "https://track.example/1", tracking).await.expect("an order");
        assert!(told.accepted(), "{told:?}");
    }
    (shop, fake, "2001")
}

#[tokio::test]
async fn an_order_is_found_and_its_page_tells_what_happened_without_an_address() {
    let (shop, fake) = Shop::with_expivi().await;
    let cart = shop.cart().await;
    shop.backend.post(&shop.at("/events"), &paid("1001", &cart)).await.ok();
    shop.handled("1001").await;
    assert!(!fake.uploaded().is_empty());
    let browser = Browser::sign_in(&shop.admin).await;
    for search in ["", "?search=1001", "?search=%23100", "?search=00"] {
        let list = browser.page(&at(&shop, &format!("/orders{search}"))).await;
        let found = list.contains(&format!("href=\"{}\"", at(&shop, "/orders/1001")));
        assert_eq!(found, search != "?search=%23100", "{search}: {list}");
    }
    let page = browser.page(&at(&shop, "/orders/1001")).await;
    says(
        &page,
        &[
            "Order 1001",
            "May be produced",
            "it was paid in full",
            "began with",
            "asked <code>POST http://",
            "answered 20",
        ],
    );
    says(&page, &["is done with", "gave the file", "<time datetime=\"2026-01-01T12:00:00Z\">"]);
    for personal in ["Ada", "ada@example.com", "Sample Street"] {
        assert!(!page.contains(personal), "{personal}: {page}");
    }
    // A file is fetched by a link that is made when it is followed.
    let files = page.split("href=\"").filter_map(|rest| rest.split('"').next());
    let file = files.into_iter().find(|path| path.contains("/documents/")).expect("a file");
    let link = browser.get(file).await;
    assert_eq!(link.status, 303, "{link:?}");
    let link =
        link.header("location").and_then(|url| url.strip_prefix(&shop.server.node.base)).expect("a link").to_owned();
    assert!(shop.server.node.nobody().get(&link).await.body.starts_with(b"%PDF"));
    assert_eq!(browser.get(&file.replace("1001", "1002")).await.status, 404);
    assert_eq!(browser.get(&at(&shop, "/orders/1002")).await.status, 404);
    // Closed, it says so and is not closed again.
    let closed = browser.done(&at(&shop, "/orders/1001/close"), &[]).await;
    says(&closed, &["The order is closed.", "Closed</span>"]);
    assert!(!closed.contains("/orders/1001/close"));
    let log = browser.page(&at(&shop, "/log")).await;
    says(&log, &["close order", "1001", "<dt>1 › vendor_product</dt>"]);
}

#[tokio::test]
async fn what_a_vendor_writes_is_text() {
    let (shop, fake, order) = shipped(&[MARKUP]).await;
    let browser = Browser::sign_in(&shop.admin).await;
    fake.website_published("https://elsewhere.example/2.js", &[MARKUP]).await;
    let began = Instant::now();
    let approvals = loop {
        let page = browser.page(&at(&shop, "/approvals")).await;
        if page.contains("elsewhere.example") {
            break page;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    says(&approvals, &["Script address", "https://scripts.twikit.example/1/plugin.js"]);
    let account = browser.page(&at(&shop, "/accounts/twikit")).await;
    says(&approvals, &[ESCAPED]);
    let page = browser.page(&at(&shop, &format!("/orders/{order}"))).await;
    let link = format!("<a href=\"https://track.example/1\" rel=\"noopener noreferrer\">{ESCAPED}</a>");
    says(&page, &[&link, "the vendor sent a webhook to order-completion, answered 200"]);
    // What waits for a person waits no longer when it is said to be done, and only on its own order's page.
    let held =
        page.split("name=\"outcome\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("it waits");
    let settle = |order: &str| at(&shop, &format!("/orders/{order}/settle"));
    assert_eq!(browser.post(&settle("2002"), &[("outcome", held)]).await.status, 404);
    let settled = browser.done(&settle(order), &[("outcome", held)]).await;
    assert!(settled.contains("Noted.") && !settled.contains("This waits for somebody"), "{settled}");
    let list = browser.page(&at(&shop, "/orders?search=%3Cscript%3Ealert(1)%3C%2Fscript%3E")).await;
    let log = browser.page(&at(&shop, "/log")).await;
    for page in [approvals, account, page, list, log] {
        assert!(!page.contains("<script>"), "{page}");
    }
}

#[tokio::test]
async fn what_a_vendor_pushed_is_compared_and_approved_or_refused() {
    let (shop, fake, _) = shipped(&[]).await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let pushed = async |number: u32| {
        let url = format!("https://elsewhere.example/{number}.js");
        fake.website_published(&url, &["diamond-letter-jewel"]).await;
        let began = Instant::now();
        loop {
            let page = browser.page(&at(&shop, "/approvals")).await;
            let id = page.split("name=\"id\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
            if let Some(id) = id.filter(|_| page.contains(&url)) {
                return id.to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{page}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let script = async || shop.admin.get(&shop.at("/accounts/twikit")).await.ok()["settings"]["script-url"].clone();
    let first = pushed(1).await;
    says(&browser.page(&at(&shop, "")).await, &["1 changes that a vendor pushed"]);
    let page = browser.done(&at(&shop, "/approvals/refuse"), &[("id", &first)]).await;
    says(&page, &["Refused.", "Nothing waits."]);
    assert_eq!(script().await, "https://scripts.twikit.example/1/plugin.js");
    let second = pushed(2).await;
    assert_eq!(browser.post(&at(&shop, "/approvals/approve"), &[("id", &first)]).await.status, 404);
    says(&browser.done(&at(&shop, "/approvals/approve"), &[("id", &second)]).await, &["Approved."]);
    assert_eq!(script().await, "https://elsewhere.example/2.js");
    let log = browser.page(&at(&shop, "/log")).await;
    says(
        &log,
        &[
            "approve settings",
            "https://scripts.twikit.example/1/plugin.js</del>",
            "https://elsewhere.example/2.js</ins>",
        ],
    );
}

#[tokio::test]
async fn a_webhook_address_is_shown_once_and_ended() {
    let (shop, _fake) = Shop::with_twikit().await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let here = at(&shop, "/webhooks");
    says(&browser.page(&here).await, &["Payment Verification", "Make an address"]);
    let page = browser.told(&here, &[("account", "twikit"), ("endpoint", "order-completion")]).await;
    says(&page, &["It is shown now and never again"]);
    let address = field(&page, "address").to_owned();
    let path = address.strip_prefix(&shop.server.node.base).expect("an address of this server");
    assert!(path.starts_with("/webhooks/"), "{address}");
    let list = browser.page(&here).await;
    assert!(!list.contains(&address), "{list}");
    says(&list, &["Open</span>"]);
    assert_eq!(browser.post(&here, &[("account", "twikit"), ("endpoint", "nowhere")]).await.status, 422);
    let id = list.split("name=\"address\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    let page = browser.done(&at(&shop, "/webhooks/end"), &[("address", id)]).await;
    says(&page, &["The address has ended.", "Ended</span>"]);
}

#[tokio::test]
async fn a_job_that_stands_says_why_and_is_cancelled_and_run_again() {
    let (shop, fake) = Shop::with_expivi().await;
    let cart = shop.cart().await.split_off(2);
    fake.faults().outage(Outage::Unavailable { retry_after: None });
    shop.backend.post(&shop.at("/events"), &paid("1", &cart)).await.ok();
    let browser = Browser::sign_in(&shop.admin).await;
    let began = Instant::now();
    let path = loop {
        let page = browser.page(&at(&shop, "/jobs")).await;
        let start = format!("href=\"{}", at(&shop, "/jobs/"));
        let job = page.split(&start).nth(1).and_then(|rest| rest.split('"').next());
        if let Some(job) = job {
            break at(&shop, &format!("/jobs/{job}"));
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let page = browser.page(&path).await;
    says(&page, &["Tries again", "503", "From the beginning", "http.send", "Why</h2>"]);
    assert!(!page.contains("Sample Street"), "{page}");
    assert_eq!(browser.get(&at(&shop, "/jobs?state=lost")).await.status, 404);
    // Another shop has no such job.
    let other = Shop::new().await;
    for what in ["", "/cancel", "/replay"] {
        let path = format!("{}{what}", path.replace(&format!("/shops/{}/", shop.id), &format!("/shops/{}/", other.id)));
        let reply = match what {
            "" => browser.get(&path).await,
            _ => browser.post(&path, &[("from", "beginning")]).await,
        };
        assert_eq!(reply.status, 404, "{path}");
    }
    says(&browser.done(&format!("{path}/cancel"), &[]).await, &["The job is cancelled, or ends"]);
    while !browser.page(&path).await.contains("Cancelled</span>") {
        assert!(began.elapsed() < Duration::from_secs(40), "{}", browser.page(&path).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    says(&browser.page(&at(&shop, "/log")).await, &["cancel job", "test ("]);
    fake.faults().clear();
    assert_eq!(browser.post(&format!("{path}/replay"), &[("from", "nowhere")]).await.status, 422);
    browser.done(&format!("{path}/replay"), &[("from", "beginning")]).await;
    shop.handled("1").await;
    assert_eq!(fake.uploaded().len(), 1);
    says(&browser.page(&path).await, &["Done</span>", "What it did from the beginning again"]);
}

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
    says(&page, &["It is shown now and never again", "sets one shop up"]);
    let key = field(&page, "key").to_owned();
    let owner = shop.server.node.client(&key);
    owner.get(&shop.at("")).await.with(200);
    let signed_in = Browser::sign_in(&owner).await;
    let list = browser.page("/admin/keys").await;
    assert!(!list.contains(&key) && !list.contains("<script>") && list.contains(ESCAPED), "{list}");
    let id = key.split('_').nth(2).expect("an id");
    says(&list, &[id, "127.0.0.1/32", "2999-01-01"]);
    assert_eq!(browser.post(&format!("/admin/keys/{id}/rotate"), &[("both_seconds", "1")]).await.status, 422);
    let page = browser.told(&format!("/admin/keys/{id}/rotate"), &[("both_seconds", "0")]).await;
    let new = shop.server.node.client(field(&page, "key"));
    owner.get(&shop.at("")).await.problem(401, "access");
    new.get(&shop.at("")).await.with(200);
    assert_eq!(signed_in.get(&at(&shop, "")).await.status, 303, "its sessions ended");
    says(&browser.done(&format!("/admin/keys/{id}/revoke"), &[]).await, &["The key is revoked"]);
    new.get(&shop.at("")).await.problem(401, "access");
}

#[tokio::test]
async fn a_platform_is_told_at_an_address_whose_secret_is_shown_once() {
    let shop = Shop::new().await;
    let browser = Browser::sign_in(&shop.admin).await;
    let here = at(&shop, "/notifications");
    assert_eq!(browser.post(&here, &[("url", "http://127.0.0.1/inside")]).await.status, 422);
    let page = browser.told(&here, &[("url", "https://shop.example/told")]).await;
    let secret = field(&page, "secret").to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    // Moved, it keeps its secret.
    let page = browser.done(&here, &[("url", "https://shop.example/elsewhere")]).await;
    says(&page, &["https://shop.example/elsewhere", "Everything was told."]);
    assert!(!page.contains(&secret));
    let page = browser.told(&at(&shop, "/notifications/rotate"), &[]).await;
    assert_ne!(field(&page, "secret"), secret);
    let page = browser.done(&at(&shop, "/notifications/remove"), &[]).await;
    assert!(!page.contains("https://shop.example/elsewhere"), "{page}");
}

#[tokio::test]
async fn how_a_shops_plugins_do_is_drawn_and_told() {
    let (shop, fake) = Shop::with_expivi().await;
    shop.cart().await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let page = browser.page(&at(&shop, "/health")).await;
    says(&page, &["<h2>expivi</h2>", "none failed", "<svg class=\"chart\"", "class=\"calls\"", "As a table"]);
    fake.faults().outage(Outage::Unavailable { retry_after: None });
    let add = json!({ "product": "ring", "configuration": samples::EXPIVI_SIMPLE, "quantity": 1 });
    shop.backend.post(&shop.at("/cart/add"), &add).await.problem(503, "vendor-unavailable");
    let page = browser.page(&at(&shop, "/health?level=debug")).await;
    says(&page, &["1 failed", "class=\"errors\""]);
    let all = Browser::sign_in(&shop.admin).await.page("/admin/health").await;
    says(&all, &["1 failed", &format!("href=\"{}\"", at(&shop, "/health"))]);
    assert_eq!(browser.get(&at(&shop, "/health?level=loud")).await.status, 400);
    let another = Shop::new().await;
    let empty = Browser::sign_in(&another.integrator).await.page(&at(&another, "/health")).await;
    says(&empty, &["No plugin was called in the last hour."]);
}
