//! Paths of the pages, as links, forms and redirects contain them.

use cartwright::{AccountId, ShopId};
use url::form_urlencoded;

tokio::task_local! {
    /// The prefix of the host's own paths while a request for a page is handled.
    static PATH_PREFIX: String;
}

/// Runs the handling of a request; the host's public URL has the path `prefix`.
pub(super) async fn with_prefix<T>(prefix: String, handling: impl Future<Output = T>) -> T {
    PATH_PREFIX.scope(prefix, handling).await
}

/// Returns the address of one of the host's own paths as browsers request it: below the path of the host's public URL.
/// Every address in a page, a redirect or a cookie of the pages is made here.
pub(super) fn address(path: &str) -> String {
    // Outside of a request, as in a unit test, there is no prefix.
    PATH_PREFIX.try_with(|prefix| format!("{prefix}{path}")).unwrap_or_else(|_| path.to_owned())
}

/// Returns the address of a page of a shop.
pub(super) fn shop_path(shop: &ShopId, path: &str) -> String {
    address(&of_shop(shop, path))
}

/// Returns the path of a page of a shop, within the host.
pub(super) fn of_shop(shop: &ShopId, path: &str) -> String {
    format!("/admin/shops/{shop}{path}")
}

/// Returns the address of the page of an order.
pub(super) fn order_path(shop: &ShopId, order: &str) -> String {
    shop_path(shop, &format!("/orders/{}", segment(order)))
}

/// Returns the address of the page of a job.
pub(super) fn job_path(shop: &ShopId, job: &str) -> String {
    shop_path(shop, &format!("/jobs/{}", segment(job)))
}

/// Returns the address of the page of an account.
pub(super) fn account_path(shop: &ShopId, account: &AccountId) -> String {
    shop_path(shop, &format!("/accounts/{}", segment(account.as_str())))
}

/// Encodes a name as a path segment.
pub(super) fn segment(name: &str) -> String {
    // In a path, a space is `%20` and not the form encoding's `+`.
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}
