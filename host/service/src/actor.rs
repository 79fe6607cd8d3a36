//! The actor of a change, and the grants that its role may give.

use cartwright::{Grants, NewHostPolicy};
use cartwright_store::Role;

/// The person, key or process that makes a change.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// Name in the audit log.
    pub name: &'a str,
    /// Role of the access key.
    pub role: &'a Role,
}

/// Why an actor may not change grants: the change is reserved for admins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefused {
    /// The change concerns private networks, or hosts without TLS.
    #[error("grants.networks and grants.plain_http are reserved for the role admin; send them unchanged")]
    Reach,
    /// The change concerns the rate of requests to vendors.
    #[error("grants.requests_per_second is reserved for the role admin; send it unchanged")]
    RequestRate,
    /// The change reveals names and addresses of customers, and what shoppers wrote.
    #[error(
        "only the role admin can turn on grants.personal_data: it reveals names and addresses of orders, and what shoppers wrote"
    )]
    PersonalData,
    /// The change adds hosts to which names and addresses of customers could be sent.
    #[error(
        "while grants.personal_data is on, further grants.hosts are reserved for the role admin: names and addresses may be \
         sent there; leave the hosts as they are, or turn grants.personal_data off"
    )]
    HostsWithPersonalData,
}

impl Actor<'_> {
    /// Returns whether a version switch of the actor may authorize stored secrets for further hosts. Only an actor who
    /// may install components may do so, because that actor vouches for them.
    pub(crate) fn new_hosts(self) -> NewHostPolicy {
        match self.role {
            Role::Admin => NewHostPolicy::Approved,
            _ => NewHostPolicy::Reject,
        }
    }

    /// Checks that the actor may change the current grants to the new ones. Only an operator may allow private
    /// networks, requests without TLS, another request rate, or personal data: an integrator sends what is granted, or
    /// less.
    pub(crate) fn check_grants(self, granted: &Grants, wanted: &Grants) -> Result<(), GrantRefused> {
        if matches!(self.role, Role::Admin) {
            return Ok(());
        }
        if granted.networks != wanted.networks || granted.plain_http != wanted.plain_http {
            return Err(GrantRefused::Reach);
        }
        if granted.requests_per_second != wanted.requests_per_second {
            return Err(GrantRefused::RequestRate);
        }
        if wanted.personal_data && !granted.personal_data {
            return Err(GrantRefused::PersonalData);
        }
        if wanted.personal_data && !wanted.hosts.is_subset(&granted.hosts) {
            return Err(GrantRefused::HostsWithPersonalData);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn check(role: &Role, granted: &Grants, wanted: &Grants) -> Result<(), GrantRefused> {
        Actor { name: "somebody", role }.check_grants(granted, wanted)
    }

    fn integrator() -> Role {
        Role::Integrator { shop: "shop".parse().expect("an id") }
    }

    fn hosts(hosts: &[&str]) -> Grants {
        Grants { hosts: hosts.iter().map(ToString::to_string).collect(), ..Grants::default() }
    }

    #[test]
    fn an_integrator_may_grant_hosts_and_revoke_grants_of_the_operator() {
        let private = Grants { personal_data: true, ..hosts(&["a.example", "b.example"]) };
        for (granted, wanted) in [
            (Grants::default(), hosts(&["a.example"])),
            (private.clone(), private.clone()),
            (private.clone(), Grants { personal_data: true, ..hosts(&["a.example"]) }),
            (private, hosts(&["a.example", "b.example", "c.example"])),
        ] {
            assert_eq!(check(&integrator(), &granted, &wanted), Ok(()), "{wanted:?}");
        }
    }

    #[test]
    fn only_an_admin_grants_reach_rates_and_personal_data() {
        let private = Grants { personal_data: true, ..hosts(&["a.example"]) };
        let networks = Grants { networks: vec!["10.0.0.0/8".parse().expect("a network")], ..Grants::default() };
        let plain = Grants { plain_http: ["a.example".to_owned()].into(), ..Grants::default() };
        let rate = Grants { requests_per_second: NonZeroU32::new(5), ..Grants::default() };
        for (granted, wanted, refused) in [
            (Grants::default(), networks.clone(), GrantRefused::Reach),
            (networks, Grants::default(), GrantRefused::Reach),
            (Grants::default(), plain, GrantRefused::Reach),
            (Grants::default(), rate, GrantRefused::RequestRate),
            (hosts(&["a.example"]), private.clone(), GrantRefused::PersonalData),
            (
                private,
                Grants { personal_data: true, ..hosts(&["a.example", "b.example"]) },
                GrantRefused::HostsWithPersonalData,
            ),
        ] {
            assert_eq!(check(&integrator(), &granted, &wanted), Err(refused), "{wanted:?}");
            assert_eq!(check(&Role::Admin, &granted, &wanted), Ok(()), "{wanted:?}");
        }
    }
}
