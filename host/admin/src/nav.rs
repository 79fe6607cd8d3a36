//! Navigation: a shop's pages in groups, each an entry of the sidebar with its pages as tabs, and the pages of the
//! installation.

use cartwright::ShopId;
use maud::{Markup, html};

use super::open_items::{OpenItems, count_text};
use super::paths::{address, of_shop, shop_path};
use super::session::AdminUser;

/// An entry of the sidebar.
struct Group {
    name: &'static str,
    /// Its pages, which are tabs if there are several. The entry links to the first that the visitor may see.
    pages: &'static [Page],
}

/// A page of a shop.
struct Page {
    /// Its path below the shop's address.
    path: &'static str,
    name: &'static str,
    /// Whether only admins may see it.
    admins: bool,
}

const GROUPS: &[Group] = &[
    Group { name: "Home", pages: &[Page { path: "", name: "Home", admins: false }] },
    Group { name: "Orders", pages: &[Page { path: "/orders", name: "Orders", admins: false }] },
    Group { name: "Quotes", pages: &[Page { path: "/quotations", name: "Quotes", admins: true }] },
    Group {
        name: "Products",
        pages: &[
            Page { path: "/links", name: "Product links", admins: false },
            Page { path: "/preview", name: "Test a configuration", admins: false },
        ],
    },
    Group {
        name: "Vendors",
        pages: &[
            Page { path: "/accounts", name: "Connections", admins: false },
            Page { path: "/approvals", name: "Pending changes", admins: false },
            Page { path: "/webhooks", name: "Webhooks", admins: false },
            Page { path: "/vendor-swap", name: "Switch vendor", admins: false },
        ],
    },
    Group {
        name: "Activity",
        pages: &[
            Page { path: "/jobs", name: "Vendor jobs", admins: false },
            Page { path: "/health", name: "Performance", admins: false },
            Page { path: "/log", name: "Audit log", admins: false },
        ],
    },
    Group {
        name: "Shop settings",
        pages: &[
            Page { path: "/settings", name: "General", admins: true },
            Page { path: "/origins", name: "Storefront domains", admins: false },
            Page { path: "/notifications", name: "Platform notifications", admins: true },
        ],
    },
];

/// The pages of the installation, for admins.
const INSTALLATION: &[(&str, &str)] = &[
    ("/admin/shops", "Shops"),
    ("/admin/plugins", "Plugins"),
    ("/admin/keys", "Access keys"),
    ("/admin/health", "Node health"),
    ("/admin/log", "Audit log"),
];

/// Maximum number of shops in the switcher; the list of shops has the others.
const MAX_SHOPS: usize = 50;

impl Group {
    fn seen<'a>(&'a self, visitor: &'a AdminUser) -> impl Iterator<Item = &'a Page> {
        self.pages.iter().filter(move |page| !page.admins || visitor.caller.is_admin())
    }
}

impl Page {
    /// Returns whether the page, or a page below it, is at `here`, a path below the shop's address.
    fn is_current(&self, here: &str) -> bool {
        here == self.path || !self.path.is_empty() && is_below(here, self.path)
    }

    fn open(&self, items: &OpenItems) -> usize {
        match self.path {
            "/quotations" => items.quotes,
            "/approvals" => items.changes,
            "/notifications" => items.failed_notifications,
            "/jobs" => items.failed_jobs + items.jobs_for_merchant,
            _ => 0,
        }
    }
}

fn is_below(path: &str, page: &str) -> bool {
    path.strip_prefix(page).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the group of the current page, and the path below the shop's address.
fn current(visitor: &AdminUser) -> Option<(&'static Group, &str)> {
    let here = visitor.at.path().strip_prefix(&of_shop(visitor.shop.as_ref()?, ""))?;
    let group = GROUPS.iter().find(|group| group.pages.iter().any(|page| page.is_current(here)))?;
    Some((group, here))
}

/// Returns the name of the installation's page that the current page is, or is below.
fn current_of_installation(visitor: &AdminUser) -> Option<&'static str> {
    if visitor.shop.is_some() {
        return None;
    }
    let here = visitor.at.path();
    INSTALLATION.iter().find(|(path, _)| here == *path || is_below(here, path)).map(|(_, name)| *name)
}

/// Returns the title of the browser tab: the page, its group and its shop.
pub(super) fn title(visitor: &AdminUser, page: &str) -> String {
    let group = current(visitor).map(|(group, _)| group.name).or_else(|| current_of_installation(visitor));
    let shop = visitor.shop.as_ref().map(ToString::to_string);
    let mut parts = vec![page.to_owned()];
    for part in group.map(str::to_owned).into_iter().chain(shop) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(" · ")
}

/// Returns the address and name of the page that a visitor can return to after an error.
pub(super) fn way_back(visitor: &AdminUser) -> (String, &'static str) {
    let page = visitor.shop.as_ref().zip(current(visitor)).and_then(|(shop, (group, here))| {
        let page = group.seen(visitor).find(|page| page.is_current(here))?;
        Some((shop_path(shop, page.path), page.name))
    });
    let of_installation = || {
        let name = current_of_installation(visitor)?;
        let (path, _) = INSTALLATION.iter().find(|(_, known)| *known == name)?;
        Some((address(path), name))
    };
    page.or_else(of_installation).unwrap_or_else(|| (address("/admin"), "Home"))
}

/// Draws the shop switcher. Integrators have one shop, whose name is shown.
pub(super) fn switcher(visitor: &AdminUser) -> Markup {
    let shop = visitor.shop.as_ref();
    html! {
        @if visitor.caller.is_admin() {
            details.switcher {
                summary { @match shop { Some(shop) => { "Shop: " strong { (shop) } }, None => "Choose a shop" } }
                ul {
                    @for other in visitor.shops.iter().take(MAX_SHOPS) {
                        li { a href=(shop_path(other, "")) aria-current=[(shop == Some(other)).then_some("true")] { (other) } }
                    }
                    li { a href=(address("/admin/shops")) { "All shops" } }
                }
            }
        } @else if let Some(shop) = shop {
            span.switcher { "Shop: " strong { (shop) } }
        }
    }
}

/// Draws the groups of the visitor's shop and, for admins, the pages of the installation. On a narrow screen it is a
/// menu that opens.
pub(super) fn sidebar(visitor: &AdminUser) -> Markup {
    html! {
        details.menu {
            summary { "Menu" }
            @if let Some(shop) = &visitor.shop { (groups(visitor, shop)) }
            @if visitor.caller.is_admin() {
                nav aria-label="Installation" {
                    p.mark { "Installation" }
                    ul {
                        @for (path, name) in INSTALLATION {
                            @let is_current = current_of_installation(visitor) == Some(*name);
                            li { a href=(address(path)) aria-current=[is_current.then_some("page")] { (name) } }
                        }
                    }
                }
            }
        }
    }
}

fn groups(visitor: &AdminUser, shop: &ShopId) -> Markup {
    let here = current(visitor).map(|(group, _)| group.name);
    html! {
        nav aria-label=(format!("Shop {shop}")) {
            ul {
                @for group in GROUPS {
                    @if let Some(first) = group.seen(visitor).next() {
                        @let open = group.seen(visitor).map(|page| page.open(&visitor.open)).sum::<usize>();
                        li {
                            a href=(shop_path(shop, first.path)) aria-current=[(here == Some(group.name)).then_some("page")] {
                                (group.name) (badge(open))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Draws the pages of the current group as tabs, if there are several.
pub(super) fn tabs(visitor: &AdminUser) -> Markup {
    let Some((shop, (group, here))) = visitor.shop.as_ref().zip(current(visitor)) else { return html! {} };
    html! {
        @if group.seen(visitor).count() > 1 {
            nav.tabs aria-label=(group.name) {
                @for page in group.seen(visitor) {
                    a href=(shop_path(shop, page.path)) aria-current=[page.is_current(here).then_some("page")] {
                        (page.name) (badge(page.open(&visitor.open)))
                    }
                }
            }
        }
    }
}

/// Draws the number of open items of a page, if there are any.
pub(super) fn badge(open: usize) -> Markup {
    html! { @if open > 0 { " " span.badge { (count_text(open)) span.visually-hidden { " open" } } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_current_at_its_address_and_below_it() {
        let page = |path| Page { path, name: "", admins: false };
        assert!(page("/orders").is_current("/orders") && page("/orders").is_current("/orders/1"));
        assert!(!page("/orders").is_current("/orders-of-others") && !page("/orders").is_current(""));
        assert!(page("").is_current("") && !page("").is_current("/orders"));
    }

    #[test]
    fn each_page_stands_in_one_group() {
        let paths: Vec<&str> = GROUPS.iter().flat_map(|group| group.pages.iter().map(|page| page.path)).collect();
        for path in &paths {
            assert_eq!(paths.iter().filter(|other| *other == path).count(), 1, "{path}");
        }
    }
}
