//! The notices of completed actions, which the page after the action shows.

use axum::response::Redirect;

macro_rules! notices {
    ($($variant:ident = $name:literal: $text:literal,)*) => {
        /// The notices of completed actions. A closed list, so that a link cannot put words into a page.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Notice {
            $($variant,)*
        }

        impl Notice {
            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub(super) fn text(name: &str) -> Option<&'static str> {
                match name { $($name => Some($text),)* _ => None }
            }
        }
    };
}

notices! {
    Saved = "saved": "Changes saved",
    Created = "created": "Shop created. Next, connect a vendor.",
    Connected = "connected": "Vendor connected. Test the connection, then link products.",
    Linked = "linked": "Product linked",
    PermissionAdded = "permission-added": "Permission added. Test the connection again.",
    Imported = "imported": "Links imported",
    Unlinked = "unlinked": "Link removed. Existing carts and orders are not affected.",
    VendorSwitched = "vendor-switched": "Vendor switched. New configurations use the new vendor; existing items stay with the old one.",
    Installed = "installed": "Version installed. Move shops to it when you're ready.",
    AlreadyInstalled = "already-installed": "This version was already installed.",
    Retired = "retired": "Version retired",
    Offered = "offered": "Offer sent to the shop",
    Declined = "declined": "Quote declined",
    Withdrawn = "withdrawn": "Offer withdrawn",
    VersionSwitched = "version-switched": "Version switched",
    Resolved = "resolved": "Marked as done",
    Closed = "closed": "Order closed",
    RetryQueued = "retry-queued": "Retry queued",
    Cancelled = "cancelled": "Job cancelled. A step in progress will finish first.",
    UrlDeactivated = "url-deactivated": "Webhook URL deactivated",
    Approved = "approved": "Changes approved and applied",
    Rejected = "rejected": "Changes rejected",
    EndpointRemoved = "endpoint-removed": "Endpoint removed. The platform no longer receives notifications.",
    NotificationQueued = "notification-queued": "Notification queued for delivery",
    Revoked = "revoked": "Key revoked. Sessions using it were signed out.",
}

/// Redirects to a page that shows a notice.
pub(super) fn redirect_with_notice(path: &str, notice: Notice) -> Redirect {
    Redirect::to(&format!("{path}?done={}", notice.name()))
}
