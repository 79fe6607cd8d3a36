//! Pages about orders, jobs, webhooks, and pushed changes.

use std::time::{Duration, Instant};

use cartwright_fake_vendors::Outage;

use super::{Browser, ESCAPED, MARKUP, field, page_path, says, shipped};
use crate::ReplyAssertions as _;
use crate::shop::{Shop, paid};

#[tokio::test]
async fn an_order_is_found_and_its_page_shows_its_timeline_without_an_address() {
    let (shop, fake) = Shop::with_expivi().await;
    let cart = shop.cart().await;
    shop.backend.post(&shop.path("/events"), &paid("1001", &cart)).await.ok();
    shop.handled("1001").await;
    assert!(!fake.uploaded().is_empty());
    let browser = Browser::sign_in(&shop.admin).await;
    for search in ["", "?search=1001", "?search=%23100", "?search=00"] {
        let list = browser.page(&page_path(&shop, &format!("/orders{search}"))).await;
        let found = list.contains(&format!("href=\"{}\"", page_path(&shop, "/orders/1001")));
        assert_eq!(found, search != "?search=%23100", "{search}: {list}");
    }
    let page = browser.page(&page_path(&shop, "/orders/1001")).await;
    says(&page, &["Order 1001", "Released", "Paid", "Started: ", "Sent <code>POST http://", "response 20"]);
    says(&page, &["Finished: ", "File for ", "<time datetime=\"2026-01-01T12:00:00Z\">"]);
    for personal in ["Ada", "ada@example.com", "Sample Street"] {
        assert!(!page.contains(personal), "{personal}: {page}");
    }
    // A link to a file redirects to a document URL that is created at that time.
    let files = page.split("href=\"").filter_map(|rest| rest.split('"').next());
    let file = files.into_iter().find(|path| path.contains("/documents/")).expect("a file");
    let link = browser.get(file).await;
    assert_eq!(link.status, 303, "{link:?}");
    let link =
        link.header("location").and_then(|url| url.strip_prefix(&shop.server.node.base)).expect("a link").to_owned();
    assert!(shop.server.node.anonymous().get(&link).await.body.starts_with(b"%PDF"));
    assert_eq!(browser.get(&file.replace("1001", "1002")).await.status, 404);
    assert_eq!(browser.get(&page_path(&shop, "/orders/1002")).await.status, 404);
    // An integrator sees the order without the content of its files, and cannot act.
    let integrator = Browser::sign_in(&shop.integrator).await;
    let watched = integrator.page(&page_path(&shop, "/orders/1001")).await;
    says(&watched, &["Order 1001", "Finished: "]);
    assert!(!watched.contains("/documents/") && !watched.contains("/orders/1001/close"), "{watched}");
    assert_eq!(integrator.get(file).await.status, 403);
    // A closed order is shown as closed, and has no button to close it.
    let closed = browser.done(&page_path(&shop, "/orders/1001/close"), &[]).await;
    says(&closed, &["Order closed", "Closed</span>"]);
    assert!(!closed.contains("/orders/1001/close"));
    let log = browser.page(&page_path(&shop, "/log")).await;
    says(&log, &["close order", "1001", "<dt>1 › vendor_product</dt>"]);
}

#[tokio::test]
async fn texts_of_a_vendor_are_not_markup() {
    let (shop, fake, order) = shipped(&[MARKUP]).await;
    let browser = Browser::sign_in(&shop.admin).await;
    fake.website_published("https://elsewhere.example/2.js", &[MARKUP]).await;
    let began = Instant::now();
    let approvals = loop {
        let page = browser.page(&page_path(&shop, "/approvals")).await;
        if page.contains("elsewhere.example") {
            break page;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    says(&approvals, &["Script URL", "https://scripts.twikit.example/1/plugin.js"]);
    let account = browser.page(&page_path(&shop, "/accounts/twikit")).await;
    says(&approvals, &[ESCAPED]);
    let page = browser.page(&page_path(&shop, &format!("/orders/{order}"))).await;
    let link = format!("<a href=\"https://track.example/1\" rel=\"noopener noreferrer\">{ESCAPED}</a>");
    says(&page, &[&link, "Webhook received at order-completion, response 200"]);
    // An outcome that needs attention can be marked as done, and only on its own order's page.
    let held =
        page.split("name=\"outcome\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("it waits");
    let resolve = |order: &str| page_path(&shop, &format!("/orders/{order}/settle"));
    assert_eq!(browser.post(&resolve("2002"), &[("outcome", held)]).await.status, 404);
    let resolved = browser.done(&resolve(order), &[("outcome", held)]).await;
    assert!(resolved.contains("Marked as done") && !resolved.contains("<h2 id=\"waiting\">"), "{resolved}");
    let list = browser.page(&page_path(&shop, "/orders?search=%3Cscript%3Ealert(1)%3C%2Fscript%3E")).await;
    let log = browser.page(&page_path(&shop, "/log")).await;
    for page in [approvals, account, page, list, log] {
        assert!(!page.contains("<script>"), "{page}");
    }
}

#[tokio::test]
async fn pushed_settings_are_compared_and_approved_or_rejected() {
    let (shop, fake, _) = shipped(&[]).await;
    let browser = Browser::sign_in(&shop.integrator).await;
    let pushed = async |number: u32| {
        let url = format!("https://elsewhere.example/{number}.js");
        fake.website_published(&url, &["diamond-letter-jewel"]).await;
        let began = Instant::now();
        loop {
            let page = browser.page(&page_path(&shop, "/approvals")).await;
            let id = page.split("name=\"id\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
            if let Some(id) = id.filter(|_| page.contains(&url)) {
                return id.to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{page}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let script = async || shop.admin.get(&shop.path("/accounts/twikit")).await.ok()["settings"]["script-url"].clone();
    let first = pushed(1).await;
    says(&browser.page(&page_path(&shop, "")).await, &["1 vendor change to review</a>"]);
    let page = browser.done(&page_path(&shop, "/approvals/refuse"), &[("id", &first)]).await;
    says(&page, &["Changes rejected", "Nothing to review"]);
    assert_eq!(script().await, "https://scripts.twikit.example/1/plugin.js");
    let second = pushed(2).await;
    assert_eq!(browser.post(&page_path(&shop, "/approvals/approve"), &[("id", &first)]).await.status, 404);
    says(
        &browser.done(&page_path(&shop, "/approvals/approve"), &[("id", &second)]).await,
        &["Changes approved and applied"],
    );
    assert_eq!(script().await, "https://elsewhere.example/2.js");
    let log = browser.page(&page_path(&shop, "/log")).await;
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
    let here = page_path(&shop, "/webhooks");
    says(&browser.page(&here).await, &["Payment Verification", "Create URL"]);
    let page = browser.post_text(&here, &[("account", "twikit"), ("endpoint", "order-completion")]).await;
    says(&page, &["Copy this now. You won't see it again."]);
    let address = field(&page, "address").to_owned();
    let path = address.strip_prefix(&shop.server.node.base).expect("an address of this server");
    assert!(path.starts_with("/webhooks/"), "{address}");
    let list = browser.page(&here).await;
    assert!(!list.contains(&address), "{list}");
    says(&list, &["Active</span>"]);
    assert_eq!(browser.post(&here, &[("account", "twikit"), ("endpoint", "nowhere")]).await.status, 422);
    let id = list.split("name=\"address\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    let page = browser.done(&page_path(&shop, "/webhooks/end"), &[("address", id)]).await;
    says(&page, &["Webhook URL deactivated", "Deactivated</span>"]);
}

#[tokio::test]
async fn a_stopped_job_shows_its_reason_and_is_cancelled_and_retried() {
    let (shop, fake) = Shop::with_expivi().await;
    let cart = shop.cart().await.split_off(2);
    fake.faults().outage(Outage::Unavailable { retry_after: None });
    shop.backend.post(&shop.path("/events"), &paid("1", &cart)).await.ok();
    let browser = Browser::sign_in(&shop.admin).await;
    let began = Instant::now();
    let path = loop {
        let page = browser.page(&page_path(&shop, "/jobs")).await;
        let start = format!("href=\"{}", page_path(&shop, "/jobs/"));
        let job = page.split(&start).nth(1).and_then(|rest| rest.split('"').next());
        if let Some(job) = job {
            break page_path(&shop, &format!("/jobs/{job}"));
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let page = browser.page(&path).await;
    says(&page, &["Retrying", "503", "Restart from the beginning", "http.send", "What went wrong</h2>"]);
    assert!(!page.contains("Sample Street"), "{page}");
    assert_eq!(browser.get(&page_path(&shop, "/jobs?state=lost")).await.status, 404);
    // Another shop does not have the job.
    let other = Shop::new().await;
    for what in ["", "/cancel", "/replay"] {
        let path = format!("{}{what}", path.replace(&format!("/shops/{}/", shop.id), &format!("/shops/{}/", other.id)));
        let reply = match what {
            "" => browser.get(&path).await,
            _ => browser.post(&path, &[("from", "beginning")]).await,
        };
        assert_eq!(reply.status, 404, "{path}");
    }
    says(&browser.done(&format!("{path}/cancel"), &[]).await, &["Job cancelled. A step in progress"]);
    while !browser.page(&path).await.contains("Cancelled</span>") {
        assert!(began.elapsed() < Duration::from_secs(40), "{}", browser.page(&path).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    says(&browser.page(&page_path(&shop, "/log")).await, &["cancel job", "test ("]);
    fake.faults().clear();
    assert_eq!(browser.post(&format!("{path}/replay"), &[("from", "nowhere")]).await.status, 422);
    let page = browser.post_text(&page_path(&shop, "/jobs"), &[("job", "nowhere")]).await;
    says(&page, &["Some jobs could not be restarted", "nowhere"]);
    browser.done(&format!("{path}/replay"), &[("from", "beginning")]).await;
    shop.handled("1").await;
    assert_eq!(fake.uploaded().len(), 1);
    says(&browser.page(&path).await, &["Done</span>", "Steps after restart 1"]);
}
