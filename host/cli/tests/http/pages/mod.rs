//! The admin pages as a browser sees them: access, content, and the rejection of other sites' forms.

mod forms;
mod input;
mod markup;
mod operations;
mod orders;
mod settings;

use cartwright_fake_vendors::client::Reply;
use cartwright_fake_vendors::twikit::Webhooks;
use cartwright_fake_vendors::{FakeTwikit, samples};
use serde_json::json;
use url::form_urlencoded;

use crate::ReplyAssertions as _;
use crate::server::Client;
use crate::shop::{Shop, paid};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// A text that a vendor may use anywhere.
const MARKUP: &str = "<script>alert(1)</script>";
const ESCAPED: &str = "&lt;script&gt;alert(1)&lt;/script&gt;";

/// A browser with a session.
struct Browser {
    anonymous: Client,
    cookie: String,
    csrf: String,
}

impl Browser {
    async fn sign_in(somebody: &Client) -> Self {
        let anonymous = Client { base: somebody.base.clone(), key: None };
        let key = somebody.key.as_deref().expect("a key");
        let reply = anonymous.ask("POST", "/admin/sign-in", &[FORM], encoded(&[("key", key)])).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        let cookie = reply.header("set-cookie").expect("a cookie").to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().expect("a value").to_owned();
        let mut browser = Self { anonymous, cookie, csrf: String::new() };
        let first = browser.get("/admin").await;
        let home = first.header("location").expect("a first page").to_owned();
        let page = browser.page(&home).await;
        let csrf_field = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        browser.csrf = csrf_field.expect("a token").to_owned();
        browser
    }

    async fn get(&self, path: &str) -> Reply {
        self.anonymous.ask("GET", path, &[("cookie", &self.cookie)], "").await
    }

    /// Returns a page that must exist.
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
        self.anonymous.ask("POST", path, &all, encoded(&fields)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(path, fields, &self.csrf, &[]).await
    }

    /// Sends a form with a file, which follows the token.
    async fn upload(&self, path: &str, csrf: &str, file: &[u8]) -> Reply {
        let mut body = format!(
            "--x\r\ncontent-disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n--x\r\ncontent-disposition: form-data; \
             name=\"file\"; filename=\"file\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--x--\r\n");
        let headers = [("cookie", self.cookie.as_str()), ("content-type", "multipart/form-data; boundary=x")];
        self.anonymous.ask("POST", path, &headers, body).await
    }

    /// Sends a form that is accepted, and returns the page that it redirects to.
    async fn done(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.post(path, fields).await;
        assert_eq!(reply.status, 303, "{path}: {}", text(&reply));
        self.page(reply.header("location").expect("a page")).await
    }

    /// Sends a form whose response is a page with a one-time secret.
    async fn post_text(&self, path: &str, fields: &[(&str, &str)]) -> String {
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

/// Returns the value of the field with this id.
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

/// Returns the pages of a shop for integrators, and those for admins only.
fn pages(shop: &Shop) -> (Vec<String>, Vec<String>) {
    let page = |path: &str| page_path(shop, path);
    let integrators = [
        "",
        "/accounts",
        "/accounts/new",
        "/links",
        "/preview",
        "/vendor-swap",
        "/approvals",
        "/webhooks",
        "/orders",
        "/jobs",
        "/jobs?state=done",
        "/log",
        "/health",
        "/origins",
    ]
    .map(page)
    .to_vec();
    let mut admins = ["/quotations", "/notifications", "/settings"].map(page).to_vec();
    let of_all =
        ["/admin/shops", "/admin/plugins", "/admin/plugins/twikit", "/admin/keys", "/admin/log", "/admin/health"];
    admins.extend(of_all.map(str::to_owned));
    (integrators, admins)
}

fn page_path(shop: &Shop, path: &str) -> String {
    format!("/admin/shops/{}{path}", shop.id)
}

#[tokio::test]
async fn a_visitor_without_a_session_is_sent_to_the_sign_in_page() {
    let shop = Shop::new().await;
    let anonymous = shop.server.node.anonymous();
    let (integrators, admins) = pages(&shop);
    for path in integrators.iter().chain(&admins) {
        let reply = anonymous.get(path).await;
        assert_eq!(reply.status, 303, "{path}");
        assert!(reply.header("location").is_some_and(|to| to.starts_with("/admin/sign-in?next=")), "{path}: {reply:?}");
    }
    for client in [&shop.backend, &shop.storefront] {
        let key = client.key.as_deref().expect("a key");
        let reply = anonymous.ask("POST", "/admin/sign-in", &[FORM], encoded(&[("key", key)])).await;
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
        assert!(!part.contains(&format!("href=\"{}\"", page_path(&shop, "/quotations"))), "{path}");
    }
    for path in &admins {
        admin.page(path).await;
        assert_eq!(integrator.get(path).await.status, 403, "{path}");
    }
    for path in pages(&other).0 {
        let reply = integrator.get(&path).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    // Requests other than GET are not for integrators either.
    for (path, fields) in [
        (page_path(&shop, "/orders/1/close"), vec![]),
        (page_path(&shop, "/jobs/1/cancel"), vec![]),
        (page_path(&shop, "/notifications"), vec![("url", "https://shop.example/told")]),
        ("/admin/keys".to_owned(), vec![("label", "mine"), ("role", "admin")]),
    ] {
        assert_eq!(integrator.post(&path, &fields).await.status, 403, "{path}");
    }
}

/// Returns a shop with an order that Twikit produced and shipped, with these tracking ids.
async fn shipped(tracking: &[&str]) -> (Shop, FakeTwikit, &'static str) {
    let (shop, fake) = Shop::with_twikit().await;
    let made = async |endpoint: &str| {
        let body = json!({ "account": "twikit", "endpoint": endpoint });
        let made = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
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
    shop.backend.post(&shop.path("/events"), &paid("2001", &cart)).await.ok();
    let order = shop.handled("2001").await;
    let reference = order["order"]["reference"].as_str().expect("a reference").to_owned();
    for tracking in tracking {
        let delivery = fake.production_completed(&reference, "", false, tracking).await.expect("an order");
        assert!(delivery.accepted(), "{delivery:?}");
        let delivery = fake.order_completed(&reference, "https://track.example/1", tracking).await.expect("an order");
        assert!(delivery.accepted(), "{delivery:?}");
    }
    (shop, fake, "2001")
}
