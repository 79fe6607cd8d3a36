//! The caller of a request, and what it may say and see.

use std::net::IpAddr;

use axum::http::StatusCode;
use cartwright::{ShopId, Visitor};
use cartwright_service::actor::Actor;
use cartwright_store::{Access, Role};

use super::client_address::network_of;
use super::problem::Problem;

/// The caller of a request, as its access key identifies it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Actor for the audit log: the key's label and id.
    pub actor: String,
    /// Id of the key.
    pub key: String,
    role: Role,
    /// IP address of the client, if it is known.
    address: Option<IpAddr>,
}

impl Caller {
    /// Creates the caller that a valid key identifies.
    pub fn of(access: Access) -> Self {
        Self { actor: format!("{} ({})", access.label, access.key), key: access.key, role: access.role, address: None }
    }

    /// Adds the IP address of the client.
    pub(crate) fn with_address(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// Returns the role of the key.
    pub(crate) fn role(&self) -> &Role {
        &self.role
    }

    /// Returns whether the key is a storefront's, which is published in the pages of a shop and therefore known to
    /// everybody.
    pub(crate) fn is_storefront(&self) -> bool {
        matches!(self.role, Role::Storefront { .. })
    }

    /// Returns the caller as the use cases of the server know it.
    pub fn as_actor(&self) -> Actor<'_> {
        Actor { name: &self.actor, role: &self.role }
    }

    /// Returns the visitor that the request describes, as far as this caller may describe one. A storefront's key is
    /// public, so any client can send any visitor with it.
    pub(crate) fn visitor(&self, visitor: Visitor) -> Result<Visitor, Problem> {
        if !visitor.customer_groups.is_empty() && self.is_storefront() {
            let detail = "a storefront cannot vouch for customer groups; leave visitor.customer_groups out, or send the \
                request from the platform's server";
            return Err(Problem::new(StatusCode::FORBIDDEN, "role", detail));
        }
        // Checked here, so that the error names the field to the page's author.
        visitor.check_codes()?;
        match self.is_storefront() {
            // The address replaces the client id, because a page could send another id with each request.
            true => Ok(Visitor { client: self.address.map(|address| network_of(address).to_string()), ..visitor }),
            false => Ok(visitor),
        }
    }

    /// Returns whether the caller runs the installation.
    pub fn is_admin(&self) -> bool {
        matches!(self.role, Role::Admin)
    }

    /// Returns the shop that the key is bound to, or `None` if it is valid for every shop.
    pub fn shop(&self) -> Option<&ShopId> {
        self.role.shop()
    }

    /// Removes from a problem what this caller may not see.
    pub(crate) fn redacted(&self, problem: Problem) -> Problem {
        if self.is_storefront() { problem.for_shopper() } else { problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storefronts_visitor_is_the_address_that_asks() {
        let caller = |role| Caller {
            actor: String::new(),
            key: String::new(),
            role,
            address: Some("2001:db8:1:2:3::4".parse().expect("an address")),
        };
        let visitor = Visitor { client: Some("session 1".to_owned()), ..Visitor::default() };
        let client_ip = |role| caller(role).visitor(visitor.clone()).expect("a visitor").client;
        let shop: ShopId = "shop".parse().expect("an id");
        assert_eq!(client_ip(Role::Storefront { shop: shop.clone() }).as_deref(), Some("2001:db8:1:2::"));
        assert_eq!(client_ip(Role::Backend { shop: Some(shop) }).as_deref(), Some("session 1"));
    }

    #[test]
    fn a_storefront_is_told_that_its_country_is_not_a_code() {
        let role = Role::Storefront { shop: "shop".parse().expect("an id") };
        let caller = Caller { actor: String::new(), key: String::new(), role, address: None };
        let visitor = Visitor { country: Some("Belgium".to_owned()), ..Visitor::default() };
        let problem = caller.visitor(visitor).expect_err("a refusal");
        assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(problem.detail().contains("visitor.country"), "{}", problem.detail());
    }
}
