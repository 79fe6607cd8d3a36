//! The admin pages with a keyboard, a screen reader and a small screen.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use cartwright_fake_vendors::{TwikitConfig, samples};
use cartwright_test_browser::{Axe, Browser};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::admin::{Admin, host};
use crate::demo::{Demo, axe};
use crate::merchant::{configure, press};

/// Returns the faults of a page: controls without a name, headings that skip a level, tables without headers, dangling
/// references, and elements that make it wider than its window.
const WRONG: &str = r"(() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const check = (what, selector, holds) =>
    all(selector).filter((one) => !holds(one)).forEach((one) => wrong.push(`${what}: ${one.outerHTML.slice(0, 200)}`));
  const ids = (one, attribute) => (one.getAttribute(attribute) ?? '').split(' ').filter(Boolean);
  const texts = (elements) => elements.map((one) => one?.textContent ?? '').join('').trim();
  const name = (one) =>
    texts(ids(one, 'aria-labelledby').map((id) => document.getElementById(id))) || one.ariaLabel?.trim() ||
    texts([...(one.labels ?? [])]) || (one.matches('a, button, summary') && one.textContent.trim());
  check('has no name', 'a[href], button, summary, input:not([type=hidden]), select, textarea, [tabindex=\'0\'], nav, [role=group]', name);
  check('has no legend', 'fieldset', (one) => one.querySelector(':scope > legend')?.textContent.trim());
  check('has no headers', 'table', (one) => one.tHead && [...one.tHead.querySelectorAll('th')].every((th) => th.textContent.trim()));
  check('has cells beyond its headers', 'tbody tr', (row) =>
    [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0) === row.closest('table').tHead?.rows[0].cells.length);
  check('has no alternative', 'img', (one) => one.hasAttribute('alt'));
  check('has no alternative', 'svg', (one) => one.ariaLabel || one.ariaHidden || one.querySelector('title'));
  for (const attribute of ['aria-describedby', 'aria-labelledby', 'for', 'list']) {
    check(`${attribute} leads nowhere`, `[${attribute}]`, (one) => ids(one, attribute).every((id) => document.getElementById(id)));
  }
  check('stands twice', '[id]', (one) => all(`[id='${CSS.escape(one.id)}']`).length === 1);
  let level = 0;
  check('skips a level', 'h1, h2, h3, h4, h5, h6', (one) => {
    const from = level;
    level = Number(one.tagName[1]);
    return level <= from + 1;
  });
  for (const [what, count] of [['h1', 1], ['main', 1], ['html[lang]', 1], ['title', 1]]) {
    if (all(what).length !== count) wrong.push(`there are ${all(what).length} ${what}`);
  }
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    wrong.push(`it is ${scrollWidth} wide of ${clientWidth}`);
    const within = (one) => { while (one && getComputedStyle(one).overflowX === 'visible') one = one.parentElement; return one; };
    all('main *').filter((one) => one.getBoundingClientRect().right > clientWidth + 1 && !within(one.parentElement))
      .slice(0, 3).forEach((one) => wrong.push(`wide: ${one.outerHTML.slice(0, 200)}`));
  }
  return wrong;
})()";

/// Returns the faults of the open page with its name: on a narrow screen, and by axe-core on a wide one too.
async fn faults(browser: &Browser, axe: Option<Axe>, what: &str) -> Vec<String> {
    assert_eq!(browser.value("document.documentElement.clientWidth").await, json!(360), "{what}");
    let wrong: Vec<String> = serde_json::from_value(browser.value(WRONG).await).expect("a list of texts");
    let mut wrong: Vec<String> = wrong.into_iter().map(|wrong| format!("{what} {wrong}")).collect();
    if let Some(axe) = axe {
        wrong.extend(browser.violations(axe, what).await);
    }
    wrong
}

async fn show_at_width(browser: &Browser, width: u32) {
    browser.page().set_window_rect(0, 0, width, 800).await.expect("a window of another width");
    browser.until(&format!("document.documentElement.clientWidth === {width}")).await;
}

/// Returns the kind of a page: addresses that differ behind the "?" are of one kind.
fn kind(address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    names.sort_unstable();
    format!("{path}?{}", names.join("&"))
}

#[tokio::test]
async fn every_admin_page_has_names_headings_and_headers_and_fits_a_narrow_screen() {
    let Some(admin) = Admin::of(|| Arc::new(Demo::start())).await else { return };
    let browser = &admin.browser;
    // Content for the pages: an order in production, a requested quote, a shop whose vendor is switched.
    let shopper = Browser::open().await.expect("a second browser");
    configure(&shopper, &admin.demo.gems, "jewel").await;
    press(&shopper, "#add").await;
    shopper.visit(&format!("{}checkout", admin.demo.gems)).await;
    for step in ["#order", "#pay", "#approve"] {
        shopper.until(&format!("document.querySelector('{step}')")).await;
        press(&shopper, step).await;
    }
    shopper.until("document.body.innerText.includes('Twikit shipped it.')").await;
    configure(&shopper, &admin.demo.lumen, "shirt").await;
    press(&shopper, "#offer").await;
    shopper.close().await;

    let axe = axe();
    show_at_width(browser, 360).await;
    let mut wrong = Vec::new();
    let (mut known, mut waiting) = (BTreeSet::new(), VecDeque::from(["/admin/shops".to_owned()]));
    while let Some(address) = waiting.pop_front() {
        admin.open(address.trim_start_matches("/admin")).await;
        wrong.extend(faults(browser, axe, &address).await);
        let links = browser
            .value("[...document.querySelectorAll('a[href^=\"/admin/\"]')].map((one) => one.getAttribute('href'))");
        let links: Vec<String> = serde_json::from_value(links.await).expect("addresses");
        // Files are not pages.
        let pages = links.into_iter().filter(|link| !link.ends_with("/table") && !link.contains("/documents/"));
        waiting.extend(pages.filter(|link| known.insert(kind(link))));
    }
    for page in [
        "/admin/keys?",
        "/admin/log?",
        "/admin/health?",
        "/admin/plugins/expivi?",
        "/admin/shops/gems?",
        "/admin/shops/gems/accounts/twikit?",
        "/admin/shops/gems/accounts/new?component",
        "/admin/shops/lumen/links/edit?product",
        "/admin/shops/lumen/links/edit?account&product&vendor_product",
        "/admin/shops/gems/jobs?state",
        "/admin/shops/gems/webhooks?",
        "/admin/shops/gems/approvals?",
        "/admin/shops/gems/notifications?",
        "/admin/shops/gems/settings?",
        "/admin/shops/gems/origins?",
        "/admin/shops/lumen/preview?product",
        "/admin/shops/lumen/vendor-swap?",
    ] {
        assert!(known.contains(page), "{page} is not among {known:#?}");
    }
    for begins in ["/admin/shops/gems/orders/", "/admin/shops/gems/jobs/", "/admin/shops/lumen/quotations/"] {
        assert!(known.iter().any(|page| page.starts_with(begins)), "{begins} is not among {known:#?}");
    }

    // Results of forms: cart lines stage by stage, issues beside their fields, a new key.
    admin.open("/shops/lumen/preview?product=wardrobe").await;
    let configuration = json!(String::from_utf8_lossy(samples::EXPIVI_BUNDLE.as_ref()));
    browser.value(&format!("document.getElementById('configuration').value = {configuration}")).await;
    admin.press("form.card > button").await;
    admin.sees("HINGE").await;
    wrong.extend(faults(browser, axe, "a preview").await);
    admin.open("/shops/gems/accounts/twikit").await;
    admin.press("form[action$='/test'] button").await;
    admin.sees("Passed: ").await;
    wrong.extend(faults(browser, axe, "a connection test").await);
    admin.choose_vendor("lumen", "Expivi").await;
    admin.fill("#id", "another").await;
    admin.press("form.card > button").await;
    admin.sees("is required").await;
    wrong.extend(faults(browser, axe, "a form that is refused").await);
    admin.make_key("another's", "integrator", "lumen").await;
    wrong.extend(faults(browser, axe, "a key").await);
    browser.visit(&format!("{}/shops/gems/orders/none", admin.demo.admin)).await;
    admin.sees("Page not found").await;
    wrong.extend(faults(browser, axe, "a page that is not found").await);
    admin.press("form[action$=sign-out] button").await;
    admin.sees("Access key").await;
    wrong.extend(faults(browser, axe, "the log-in").await);
    assert_eq!(wrong, Vec::<String>::new());
    admin.close_browser().await;
}

/// A visitor with a keyboard and without a mouse.
struct Keyboard<'a>(&'a Browser);

impl Keyboard<'_> {
    async fn types(&self, keys: impl Into<TypingData>) {
        let focused = self.0.page().active_element().await.expect("a focus");
        focused.send_keys(keys).await.expect("keys");
    }

    /// Tabs to the element of a CSS selector, and checks that the focus is visible on the way.
    async fn goes_to(&self, selector: &str) {
        for _ in 0..200 {
            self.types(Key::Tab).await;
            let seen = "getComputedStyle(document.activeElement).outlineStyle !== 'none' || document.activeElement === document.body";
            let at = self.0.value("document.activeElement.outerHTML.slice(0, 200)").await;
            assert_eq!(self.0.value(seen).await, json!(true), "the focus is not seen: {at}");
            if self.0.value(&format!("document.activeElement.matches({})", json!(selector))).await == json!(true) {
                return;
            }
        }
        panic!("{selector} is not reached");
    }

    async fn enters(&self, selector: &str, text: &str) {
        self.goes_to(selector).await;
        self.types(text).await;
    }

    /// Presses a key that opens another page.
    async fn leaves_with(&self, key: Key) {
        self.0.value("document.body.dataset.left = 'no'").await;
        self.types(key).await;
        self.0.until("document.readyState === 'complete' && !document.body.dataset.left").await;
    }

    async fn is(&self, expression: &str) -> Value {
        self.0.value(expression).await
    }
}

#[tokio::test]
async fn an_account_is_set_up_by_keyboard_alone() {
    let Some(admin) = Admin::of(Demo::shared).await else { return };
    let mut settings = Vec::new();
    for field in ["integration-id", "api-url", "script-url", "preview-url", "product-keys"] {
        settings.push((field, admin.setting("gems", "twikit", field).await));
    }
    let at = host(&settings[1].1).to_owned();
    admin.press("form[action$=sign-out] button").await;
    let keyboard = Keyboard(&admin.browser);

    // The first field has the focus already.
    keyboard.types(admin.demo.key.as_str()).await;
    keyboard.leaves_with(Key::Enter).await;
    // Skips the frame of the page.
    keyboard.goes_to("a.skip").await;
    keyboard.types(Key::Enter).await;
    keyboard.enters("#id", "keys").await;
    keyboard.enters("#currency", "EUR").await;
    keyboard.leaves_with(Key::Enter).await;
    admin.sees("Shop created.").await;
    keyboard.goes_to("p a.button[href$='/accounts/new']").await;
    keyboard.leaves_with(Key::Enter).await;
    let card = "[...document.querySelectorAll('a.button')].find((one) => one.innerText.startsWith('Connect Twikit')).id = 'twikit'";
    keyboard.is(card).await;
    keyboard.goes_to("#twikit").await;
    keyboard.leaves_with(Key::Enter).await;
    admin.sees("Connection ID").await;

    keyboard.enters("#id", "twikit").await;
    // The space bar unchecks and checks a permission.
    keyboard.goes_to("[name=host]").await;
    for ticked in [false, true] {
        keyboard.types(" ").await;
        assert_eq!(keyboard.is("document.activeElement.checked").await, json!(ticked));
    }
    keyboard.goes_to("fieldset summary").await;
    keyboard.types(Key::Enter).await;
    keyboard.enters("#plain_http", &at).await;
    keyboard.enters("#networks", "127.0.0.1/32").await;
    let mut fields: Vec<(&str, &str)> = settings.iter().map(|(field, value)| (*field, value.as_str())).collect();
    let secret = TwikitConfig::default().payload_secret;
    fields.push(("payload-secret", &secret));
    // In the order of the form.
    let order = keyboard.is("[...document.querySelectorAll('[id^=setting-]')].map((one) => one.id)").await;
    let order = order.as_array().expect("a list").clone();
    fields.sort_by_key(|(field, _)| order.iter().position(|id| *id == json!(format!("setting-{field}"))));
    for (field, value) in fields {
        keyboard.enters(&format!("#setting-{field}"), value).await;
    }
    keyboard.goes_to("form.card > button").await;
    keyboard.leaves_with(Key::Enter).await;
    admin.sees("Vendor connected.").await;
    keyboard.goes_to("form[action$='/test'] button").await;
    keyboard.leaves_with(Key::Space).await;
    admin.sees("Passed: ").await;
    assert!(!admin.browser.text("main").await.contains("Failed: "));
    admin.close_browser().await;
}
