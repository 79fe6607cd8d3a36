//! The audit log, as each role may read it.

use cartwright_store::{AuditEntry, Role};

/// Value that replaces what a role may not read.
const REDACTED: &str = "(redacted)";

/// Removes from an entry what a role may not read: an offer to a shopper concerns the merchant, not the integrator who
/// sets up the shop.
pub fn redact(role: &Role, mut entry: AuditEntry) -> AuditEntry {
    if matches!(role, Role::Integrator { .. }) && entry.action.ends_with("-quote") {
        for value in [&mut entry.before, &mut entry.after].into_iter().flatten() {
            if let Some(prices) = value.get_mut("prices").filter(|prices| !prices.is_null()) {
                *prices = REDACTED.into();
            }
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_integrator_reads_that_a_quote_was_offered_and_not_its_prices() {
        let entry = |what: &str| AuditEntry {
            id: 1,
            at: SystemTime::UNIX_EPOCH,
            actor: "merchant".to_owned(),
            action: what.to_owned(),
            shop: None,
            subject: "q1".to_owned(),
            before: Some(json!({ "state": "requested", "prices": null })),
            after: Some(json!({ "state": "offered", "prices": { "line": "9.00" } })),
        };
        let integrator = Role::Integrator { shop: "shop".parse().expect("an id") };
        let redacted = redact(&integrator, entry("offer-quote"));
        assert_eq!(redacted.before, entry("offer-quote").before);
        assert_eq!(redacted.after, Some(json!({ "state": "offered", "prices": REDACTED })));
        for (role, what) in [(&Role::Admin, "offer-quote"), (&integrator, "change-account")] {
            assert_eq!(redact(role, entry(what)).after, entry(what).after, "{what}");
        }
    }
}
