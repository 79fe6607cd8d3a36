//! The host behind proxies and in browsers: rewritten ETags, a path prefix, admin pages at another address, headers of
//! tracers, and foreign bytes that must not run in the origin of the admin pages.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use cartwright_fake_vendors::client::Reply;
use cartwright_test_guests::WEBHOOKS;
use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::{Client, Folder, Node, Server};
use crate::shop::Shop;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

#[tokio::test]
async fn an_etag_that_a_proxy_changed_still_identifies_the_version() {
    let (shop, _fake) = Shop::with_expivi().await;
    let account = shop.admin.get(&shop.path("/accounts/expivi")).await.ok();
    let account =
        json!({ "component": account["component"], "settings": account["settings"], "grants": account["grants"] });
    let url = json!({ "url": "https://shop.example/0" });
    shop.admin.put(&shop.path("/notification-endpoint"), &url).await.ok();
    for (path, body) in [
        (shop.path(""), json!({ "currencies": [{ "code": "EUR", "scale": 2 }] })),
        (shop.path("/accounts/expivi"), account),
        (shop.path("/product-links/ring"), json!({ "account": "expivi", "vendor_product": "1001" })),
        (shop.path("/origins"), json!(["https://one.example"])),
        (shop.path("/exchange-rates"), json!({ "from": "USD", "to": "EUR", "rate": "0.9" })),
        (shop.path("/notification-endpoint"), url),
    ] {
        for changed in [
            |tag: &str| format!("W/{tag}"),
            |tag: &str| format!("{}-gzip\"", &tag[..tag.len() - 1]),
            |tag: &str| format!("\"another\", W/{tag}"),
            |_: &str| "*".to_owned(),
        ] {
            let tag = shop.admin.get(&path).await.header("etag").expect("an ETag").to_owned();
            let sent = changed(&tag);
            let put = shop.admin.send("PUT", &path, &[("if-match", &sent)], &body).await;
            assert!(matches!(put.status, 200 | 204), "{path} with {sent}: {put:?}");
        }
        for (name, sent, status) in [
            ("if-match", format!("W/\"{}\"", "0".repeat(32)), 412),
            ("if-match", "\"made-up\", \"of-another\"".to_owned(), 412),
            ("if-none-match", "*".to_owned(), 412),
            ("if-none-match", "\"another\"".to_owned(), 200),
            ("if-match", "made-up".to_owned(), 400),
            ("if-none-match", "*, \"a\"".to_owned(), 400),
        ] {
            let put = shop.admin.send("PUT", &path, &[(name, &sent)], &body).await;
            // Some writes get a response without a body.
            let answered = if put.status == 204 { 200 } else { put.status };
            assert_eq!(answered, status, "{path} with {name}: {sent}: {put:?}");
        }
        let put = shop.admin.send("PUT", &path, &[("if-match", "\"made-up\"")], &body).await.problem(412, "changed");
        assert!(
            put["detail"].as_str().is_some_and(|text| text.contains("a proxy on the way rewrites ETags")),
            "{put:#}"
        );
    }
    // A missing resource has no version, so no precondition matches, and nothing is created.
    let body = json!({ "account": "expivi", "vendor_product": "1001" });
    let new = shop.path("/product-links/new");
    shop.admin.send("PUT", &new, &[("if-match", "*")], &body).await.problem(412, "changed");
    shop.admin.get(&new).await.problem(404, "not-found");
    shop.admin.send("PUT", &new, &[("if-none-match", "\"another\", W/\"2\"")], &body).await.ok();
    let tag = shop.admin.get(&new).await.header("etag").expect("an ETag").to_owned();
    let both = [("if-match", "*"), ("if-none-match", tag.as_str())];
    shop.admin.send("PUT", &new, &both, &body).await.problem(412, "changed");
    shop.admin.ask("DELETE", &new, &[("if-match", &format!("W/{tag}"))], "").await.with(204);
    let endpoint = shop.path("/notification-endpoint");
    let tag = shop.admin.get(&endpoint).await.header("etag").expect("an ETag").replacen("", "W/", 1);
    shop.admin.ask("DELETE", &endpoint, &[("if-match", &tag)], "").await.with(204);
}

#[tokio::test]
async fn whatever_header_a_page_of_an_allowed_origin_sends_passes_the_preflight() {
    let shop = Shop::new().await;
    shop.admin.put(&shop.path("/origins"), &json!(["https://shop.example"])).await.with(204);
    let anonymous = shop.server.node.anonymous();
    for requested_headers in [
        "authorization,content-type,traceparent,tracestate",
        "authorization,baggage,content-type,sentry-trace",
        "authorization,content-type,idempotency-key,x-datadog-trace-id,b3,x-made-up",
    ] {
        let asks = async |origin| {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", requested_headers),
            ];
            anonymous.ask("OPTIONS", &shop.path("/cart/add"), &headers, "").await
        };
        let allowed = asks("https://shop.example").await;
        assert_eq!(allowed.header("access-control-allow-headers"), Some(requested_headers));
        assert_eq!(allowed.header("access-control-allow-origin"), Some("https://shop.example"));
        assert_eq!(allowed.header("access-control-allow-credentials"), None, "no cookie is sent");
        assert_eq!(asks("https://other.example").await.header("access-control-allow-origin"), None);
    }
}

/// Returns every address of the host's own in a page.
fn addresses(page: &str) -> impl Iterator<Item = &str> {
    ["href=\"", "src=\"", "action=\""].into_iter().flat_map(move |attribute| {
        page.split(attribute)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|address| address.starts_with('/'))
    })
}

async fn sign_in(server: &Server, path: &str) -> (Reply, String) {
    let key = server.admin.key.as_deref().expect("a key");
    let reply = server.node.anonymous().ask("POST", path, &[FORM], format!("key={key}")).await;
    assert_eq!(reply.status, 303, "{}", text(&reply));
    let cookie = reply.header("set-cookie").expect("a cookie").to_owned();
    (reply, cookie)
}

#[tokio::test]
async fn below_a_path_every_address_stays_there_whether_a_proxy_strips_it_or_not() {
    let server = Arc::new(Server::new(&["--public-url", "https://shop.example/configurator/"]));
    let shop = Shop::on(server.clone()).await;
    shop.sell().await;
    let _fakes = (shop.expivi().await, shop.twikit().await);
    let anonymous = server.node.anonymous();
    for prefix in ["", "/configurator"] {
        let redirect = anonymous.get(&format!("{prefix}/admin/shops?after=x")).await;
        assert_eq!(redirect.header("location"), Some("/configurator/admin/sign-in?next=%2Fadmin%2Fshops%3Fafter%3Dx"));
        let (reply, cookie) = sign_in(&server, &format!("{prefix}/admin/sign-in")).await;
        assert_eq!(reply.header("location"), Some("/configurator/admin"));
        assert!(cookie.starts_with("__Secure-cartwright=") && cookie.ends_with("Path=/configurator/"), "{cookie}");
        let cookie = cookie.split(';').next().expect("a value").to_owned();
        let get = async |path: &str| anonymous.ask("GET", &format!("{prefix}{path}"), &[("cookie", &cookie)], "").await;
        assert_eq!(get("/admin").await.header("location"), Some("/configurator/admin/shops"));
        let of_shop =
            ["", "/accounts", "/accounts/new", "/accounts/twikit", "/links", "/links/edit?product=jewel", "/preview"];
        let further = [
            "/vendor-swap",
            "/approvals",
            "/webhooks",
            "/quotations",
            "/orders",
            "/jobs",
            "/notifications",
            "/log",
            "/settings",
            "/origins",
        ];
        let of_all = ["/shops", "/plugins", "/plugins/twikit", "/keys", "/health", "/log", "/nowhere", "/sign-in"];
        let of_shop = of_shop.into_iter().chain(further).map(|path| format!("/admin/shops/{}{path}", shop.id));
        for path in of_shop.chain(of_all.into_iter().map(|path| format!("/admin{path}"))) {
            let page = get(&path).await;
            for address in addresses(&text(&page)).chain(page.header("location")) {
                assert!(address.starts_with("/configurator/admin"), "{path} leads to {address}");
            }
        }
        // Every asset of a page exists at its address.
        let page = text(&get("/admin/shops").await);
        for asset in ["/admin/style.css", "/admin/script.js"] {
            assert!(addresses(&page).any(|address| address == format!("/configurator{asset}")), "{page}");
            assert_eq!(get(asset).await.status, 200);
        }
        // A form redirects below the path too.
        let csrf =
            page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
        let path = format!("{prefix}/admin/shops/{}/origins", shop.id);
        let sent = anonymous.ask("POST", &path, &[FORM, ("cookie", &cookie)], format!("csrf={csrf}")).await;
        assert_eq!(
            sent.header("location"),
            Some(&*format!("/configurator/admin/shops/{}/origins?done=saved", shop.id))
        );
        // So do resources that are not pages.
        let backend = Client { base: format!("{}{prefix}", server.node.base), ..shop.backend.clone() };
        backend.get(&shop.path("")).await.ok();
        assert_eq!(anonymous.get(&format!("{prefix}/openapi.json")).await.ok()["servers"][0]["url"], "/configurator/");
        assert_eq!(anonymous.get(&format!("{prefix}/cartwright.js")).await.status, 200);
        assert_eq!(anonymous.get(&format!("{prefix}/health/live")).await.status, 200);
    }
    let body = json!({ "account": "twikit", "endpoint": "order-completion" });
    let made = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
    let url = made["url"].as_str().expect("a URL");
    let path = url.strip_prefix("https://shop.example").expect("the public URL");
    assert!(path.starts_with("/configurator/webhooks/"), "{url}");
    assert_ne!(anonymous.ask("POST", path, &[], "{}").await.status, 404);
    anonymous.get("/configurators/health/live").await.problem(404, "not-found");
}

#[tokio::test]
async fn the_admin_pages_have_an_address_of_their_own_where_an_operator_says_so() {
    let folder = Folder::new();
    let key = folder.admin_key();
    let mut node = Node::start(&folder, &["--admin-listen", "127.0.0.1:0", "--public-url", "https://host.example/"]);
    let line = node.says();
    let base = line.strip_prefix("admin pages at ").and_then(|url| url.strip_suffix("/admin")).expect("an address");
    let pages = Client { base: base.to_owned(), key: None };
    let signed_in = pages.ask("POST", "/admin/sign-in", &[FORM], format!("key={key}")).await;
    // This address has no TLS, whatever the public one has.
    let cookie = signed_in.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.starts_with("cartwright=") && !cookie.contains("Secure"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a value");
    assert_eq!(pages.ask("GET", "/admin/shops", &[("cookie", cookie)], "").await.status, 200);
    let admin = node.client(&key);
    admin.get("/v1/shops").await.ok();
    for path in ["/admin", "/admin/sign-in", "/admin/shops", "/admin/style.css"] {
        admin.get(path).await.problem(404, "not-found");
        admin.ask("POST", path, &[FORM, ("cookie", cookie)], "").await.problem(404, "not-found");
    }
    let apart = Client { base: base.to_owned(), key: Some(key.clone()) };
    for path in ["/v1/shops", "/openapi.json", "/webhooks/x", "/documents/x/1", "/cartwright.js"] {
        apart.get(path).await.problem(404, "not-found");
    }
}

/// Sends a form with exactly these headers.
fn raw(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let length = body.len();
    let request = format!("{head}content-type: {}\r\ncontent-length: {length}\r\n\r\n{body}", FORM.1);
    stream.write_all(request.as_bytes()).expect("written");
    let mut response = String::new();
    // An HTTP/1.0 response ends with its connection.
    drop(stream.read_to_string(&mut response));
    response
}

#[tokio::test]
async fn a_proxy_that_changes_the_host_header_gets_an_error_that_names_the_fix() {
    let server = Server::shared();
    let key = server.admin.key.clone().expect("a key");
    let anonymous = server.node.anonymous();
    let body = format!("key={key}");
    let post = async |headers: &[(&str, &str)]| {
        let mut all = vec![FORM];
        all.extend_from_slice(headers);
        anonymous.ask("POST", "/admin/sign-in", &all, body.clone()).await
    };
    let elsewhere = post(&[("origin", "https://admin.shop.example")]).await;
    assert_eq!((elsewhere.status, elsewhere.header("content-type")), (403, Some("text/html; charset=utf-8")));
    assert_eq!(elsewhere.header("set-cookie"), None);
    let page = text(&elsewhere);
    for part in [
        "This form was rejected",
        "from https://admin.shop.example",
        server.node.address(),
        "proxy_set_header Host $http_host",
        "--public-url",
        "The operator of this host can fix it",
        "nothing is wrong with what you entered",
    ] {
        assert!(page.contains(part), "it does not say {part:?}: {page}");
    }
    assert!(text(&post(&[("origin", "null")]).await).contains("Origin: null"));
    assert!(!text(&post(&[("origin", "<script>alert(1)</script>")]).await).contains("<script>alert"));
    // All other rejections are pages too.
    for (method, path, status) in
        [("GET", "/admin/sign-out", 405), ("GET", "/admin/nowhere", 404), ("PUT", "/admin/shops", 405)]
    {
        let refused = anonymous.ask(method, path, &[], "").await;
        assert_eq!(
            (refused.status, refused.header("content-type")),
            (status, Some("text/html; charset=utf-8")),
            "{path}"
        );
    }
    // A proxy that uses HTTP/1.0 without a Host header.
    let address = server.node.address().to_owned();
    let (head, form) = ("POST /admin/sign-in HTTP/1.0\r\norigin: http://host.example\r\n", body.clone());
    let response = tokio::task::spawn_blocking(move || raw(&address, head, &form)).await.expect("an answer");
    assert!(
        response.contains("403") && response.contains("text/html") && response.contains("no Host header"),
        "{response}"
    );
    // A proxy that adds the scheme's default port changes nothing.
    let address = server.node.address().to_owned();
    let head = "POST /admin/sign-in HTTP/1.1\r\nconnection: close\r\nhost: Host.example:443\r\norigin: https://host.example\r\n";
    let response = tokio::task::spawn_blocking(move || raw(&address, head, &body)).await.expect("an answer");
    assert!(response.starts_with("HTTP/1.1 303"), "{response}");
}

/// Checks the headers that every response except admin pages must have.
#[track_caller]
fn runs_nothing(what: &str, reply: &Reply) {
    let policies: Vec<&str> =
        reply.headers.get_all("content-security-policy").iter().filter_map(|policy| policy.to_str().ok()).collect();
    assert_eq!(policies, ["default-src 'none'; sandbox"], "{what}: {reply:?}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{what}: {reply:?}");
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(!["html", "xml", "svg", "css"].iter().any(|bad| kind.contains(bad)), "{what}: {reply:?}");
}

#[tokio::test]
async fn a_plugins_response_runs_nothing_in_the_origin_of_the_admin_pages() {
    let shop = Shop::on(Arc::new(Server::new(&[]))).await;
    let replaced = |bytes: &[u8], from: &[u8; 10], to: &[u8; 10]| {
        let at: Vec<usize> = (0..bytes.len() - 10).filter(|at| bytes[*at..].starts_with(from)).collect();
        assert_eq!(at.len(), 1, "the guest's texts have changed");
        [&bytes[..at[0]], to, &bytes[at[0] + 10..]].concat()
    };
    for (kind, header) in
        [(b"text/html;", b"X-Evil-Hdr"), (b"image/svg+", b"Set-Cookie"), (b"text/xml; ", b"Set-Cookie")]
    {
        let guest = replaced(&replaced(WEBHOOKS, b"text/plain", kind), b"Set-Cookie", header);
        let headers = [("content-type", "application/wasm")];
        let installed = shop.admin.ask("POST", "/v1/plugins", &headers, guest).await.with(201);
        let body = json!({ "component": installed["digest"], "settings": { "signing-secret": "abc" } });
        let account = hex::encode(kind);
        shop.admin.put(&shop.path(&format!("/accounts/{account}")), &body).await.ok();
        let body = json!({ "account": account, "endpoint": "ask" });
        let made: Value = shop.integrator.post(&shop.path("/webhook-urls"), &body).await.with(201);
        let path = made["url"].as_str().and_then(|url| url.strip_prefix(&shop.server.node.base)).expect("an address");
        let anonymous = shop.server.node.anonymous();
        for status in ["200", "404", "302"] {
            let reply =
                anonymous.ask("POST", path, &[("content-type", "text/plain")], format!("status {status}")).await;
            assert_eq!((reply.status.to_string().as_str(), &*reply.body), (status, &b"as told"[..]), "{reply:?}");
            runs_nothing("a webhook's answer", &reply);
            assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
            for header in ["set-cookie", "x-evil-hdr"] {
                assert_eq!(reply.header(header), None, "{reply:?}");
            }
        }
        runs_nothing("a question by GET", &anonymous.get(path).await);
    }
}

#[tokio::test]
async fn nothing_but_the_admin_pages_is_a_page() {
    let shop = Shop::new().await;
    let escaped = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        "/".to_owned(),
        format!("/{escaped}"),
        "/openapi.json".to_owned(),
        "/health/live".to_owned(),
        "/health/ready".to_owned(),
        "/v1/shops".to_owned(),
        shop.path("/product-links.csv"),
        shop.path(&format!("/orders/{escaped}")),
        format!("/webhooks/{escaped}"),
        format!("/documents/{escaped}/1"),
        format!("/documents/{}/1?expires=1&signature={}", shop.id, "0".repeat(64)),
        format!("/pictures/{}/{}", shop.id, "0".repeat(64)),
        "/cartwright.js".to_owned(),
    ] {
        for method in ["GET", "POST", "PATCH"] {
            for client in [&shop.admin, &shop.server.node.anonymous()] {
                runs_nothing(&format!("{method} {path}"), &client.ask(method, &path, &[], "").await);
            }
        }
    }
    let page = shop.server.node.anonymous().get("/admin/sign-in").await;
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("script-src 'self'") && !policy.contains("sandbox"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
}
