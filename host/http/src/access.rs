//! Authentication and roles. A request's key is looked up once; each operation declares the roles it allows through its
//! extractor.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cartwright::{ShopId, Visitor};
use cartwright_service::actor::Actor;
use cartwright_store::{Access, AccessError, Role};
use ipnet::IpNet;

use super::body;
use super::idempotency::Once;
use super::limits::network_of;
use super::node::Node;
use super::problem::Problem;
use super::trace_context;

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

/// Looks up the request's key. Requests without a key continue anonymously; requests with an invalid key are refused.
pub(crate) async fn identify(State(node): State<Node>, mut request: Request, next: Next) -> Response {
    let text = match bearer(request.headers()) {
        Ok(None) => return next.run(request).await,
        Ok(Some(text)) => text,
        Err(problem) => return problem.into_response(),
    };
    let from = client_ip(&node, &request);
    let limits = node.limits();
    if let Err(wait) = limits.check_attempts(&text, from) {
        return Problem::from(wait).into_response();
    }
    // A key that is known to be a storefront's is not looked up at all for a client that exceeds its rate limit.
    let is_counted = limits.is_storefront(&text);
    if is_counted && let Err(wait) = limits.check_client(from) {
        return Problem::from(wait).into_response();
    }
    match node.store().access().access_key(&text, from, node.now()).await {
        Ok(access) => {
            let caller = Caller { address: from, ..Caller::of(access) };
            let allowed = match &caller.role {
                Role::Storefront { .. } if is_counted => limits.check_storefront_key(&text, &caller.key),
                Role::Storefront { .. } => {
                    limits.check_client(from).and_then(|()| limits.check_storefront_key(&text, &caller.key))
                }
                _ => limits.check_key(&text, &caller.key),
            };
            if let Err(wait) = allowed {
                return Problem::from(wait).into_response();
            }
            match &caller.role {
                Role::Storefront { shop } => {
                    let of_shop = node.host().shop(shop).ok().and_then(|shop| shop.max_storefront_body_bytes);
                    let max = of_shop.unwrap_or(limits.settings().max_storefront_body_bytes.get());
                    body::mark_storefront(request.extensions(), shop, usize::try_from(max).unwrap_or(usize::MAX));
                }
                _ => {
                    body::mark_trusted(request.extensions());
                    // Storefront keys are public, so any client could send a trace context with one.
                    trace_context::adopt_trace_context(request.headers());
                }
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(AccessError::Store(error)) => Problem::from(error).into_response(),
        Err(error) => {
            limits.failed_attempts.failed(from);
            tracing::info!(%error, ?from, "request refused");
            Problem::new(StatusCode::UNAUTHORIZED, "access", AccessError::UNAUTHORIZED_MESSAGE).into_response()
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().ok().and_then(|text| text.split_once(' '));
    match text {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(key.trim().to_owned())),
        _ => Err(Problem::new(StatusCode::UNAUTHORIZED, "access", "send Authorization: Bearer and an access key")),
    }
}

/// Returns the IP address of the client: the last one in the forwarding header that no trusted proxy added.
pub fn client_ip<B>(node: &Node, request: &axum::http::Request<B>) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    let (peer, headers, proxies) = (peer.ip().to_canonical(), request.headers(), node.proxies());
    if headers.contains_key(FORWARDED_FOR) && !proxies.iter().any(|network| network.contains(&peer)) {
        static WARNED: std::sync::Once = std::sync::Once::new();
        WARNED.call_once(|| {
            tracing::warn!(
                %peer,
                "requests come through an untrusted proxy, so that all of its clients share the limits of one: add --proxies \
                 {peer} if it sets X-Forwarded-For itself"
            );
        });
    }
    forwarded_for(peer, headers, proxies)
}

/// The only header that names the client. `Forwarded` is not read: a proxy passes on whichever of the two it does not
/// write, so that a client could forge it.
const FORWARDED_FOR: &str = "x-forwarded-for";

fn forwarded_for(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    let trusted = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    if !trusted(&peer) {
        return Some(peer);
    }
    let mut first = peer;
    for value in headers.get_all(FORWARDED_FOR).iter().rev() {
        // An entry that is not an address hides the client.
        let value = value.to_str().ok()?;
        for text in value.rsplit(',').map(str::trim).filter(|text| !text.is_empty()) {
            first = parse_proxy_ip(text)?.to_canonical();
            if !trusted(&first) {
                return Some(first);
            }
        }
    }
    // A trusted network may contain clients, too.
    Some(first)
}

/// Parses an address as proxies write it: some add the port, and enclose IPv6 addresses in brackets.
fn parse_proxy_ip(text: &str) -> Option<IpAddr> {
    let bare = || text.parse().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare().or_else(bracketed).or_else(with_port)
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident: $($role:pat_param)|+ => $for:literal;)*) => {
        $($(#[$doc])*
        pub struct $name(#[allow(dead_code, reason = "not every operation uses the caller")] pub Caller);

        impl FromRequestParts<Node> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, node: &Node) -> Result<Self, Problem> {
                let caller = caller(parts, node).await?;
                #[allow(unreachable_patterns, reason = "some operations allow all roles")]
                match caller.role {
                    $($role)|+ => {
                        if let Some(once) = parts.extensions.get::<Once>().cloned() {
                            once.begin_without_body().await?;
                        }
                        Ok(Self(caller))
                    }
                    _ => Err(Problem::new(StatusCode::FORBIDDEN, "role", concat!("this operation requires a key with the role ", $for))),
                }
            }
        })*
    };
}

roles! {
    /// A caller of an operation that shop pages may use; all roles may.
    Storefront: Role::Storefront { .. } | Role::Backend { .. } | Role::Integrator { .. } | Role::Admin
        => "storefront, backend, integrator or admin";
    /// A caller of an operation for the platform's server, such as orders and prices.
    Backend: Role::Backend { .. } | Role::Admin => "backend or admin";
    /// A caller that may set up a shop.
    Integrator: Role::Integrator { .. } | Role::Admin => "integrator or admin";
    /// A caller that may read the set-up of a shop.
    Reader: Role::Backend { .. } | Role::Integrator { .. } | Role::Admin => "backend, integrator or admin";
    /// A caller that may run the installation.
    Admin: Role::Admin => "admin";
}

/// Returns the caller if it may access the shop in the path. Another shop is reported as not found, so that a key does
/// not reveal which shops exist.
async fn caller(parts: &mut Parts, node: &Node) -> Result<Caller, Problem> {
    let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "access", "send Authorization: Bearer and an access key"));
    };
    let path = RawPathParams::from_request_parts(parts, node).await;
    let path = path.map_err(|rejection| Problem::not_found(rejection.body_text()))?;
    let shop = path.iter().find(|(name, _)| *name == "shop").map(|(_, shop)| shop);
    match (shop, caller.shop()) {
        (Some(requested), Some(own)) if requested != own.as_str() => {
            Err(Problem::not_found(format!("shop {requested} not found")))
        }
        _ => Ok(caller),
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

    fn resolved(peer: &str, header_values: &[&str], proxies: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in header_values {
            headers.append("x-forwarded-for", value.parse().expect("a header"));
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().expect("a network")).collect();
        forwarded_for(peer.parse().expect("an address"), &headers, &proxies).map(|address| address.to_string())
    }

    #[test]
    fn who_is_no_proxy_is_not_believed() {
        assert_eq!(resolved("192.0.2.1", &["198.51.100.7"], &["10.0.0.0/8"]).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn the_last_address_that_no_proxy_wrote_counts() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(
            resolved("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"], &proxies).as_deref(),
            Some("198.51.100.7")
        );
        assert_eq!(resolved("10.0.0.1", &["203.0.113.9", "198.51.100.7"], &proxies).as_deref(), Some("198.51.100.7"));
    }

    #[test]
    fn what_is_no_address_is_nobodys() {
        for said in [
            "unknown",
            "198.51.100.7, _hidden",
            "198.51.100.7 10.0.0.2",
            "2001:db8::1%eth0",
            "[198.51.100.7]",
            "010.0.0.1",
        ] {
            assert_eq!(resolved("10.0.0.1", &[said], &["10.0.0.0/8"]), None, "{said}");
        }
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "198.51.100.7".parse().expect("a header"));
        headers.append("x-forwarded-for", axum::http::HeaderValue::from_bytes(b"\xff").expect("a header"));
        let proxy: IpAddr = "10.0.0.1".parse().expect("an address");
        assert_eq!(forwarded_for(proxy, &headers, &[IpNet::from(proxy)]), None);
        // Entries to the left of the first untrusted address may be forged.
        assert_eq!(resolved("10.0.0.1", &["<x>, 198.51.100.7"], &["10.0.0.0/8"]).as_deref(), Some("198.51.100.7"));
    }

    #[test]
    fn an_address_is_read_however_a_proxy_writes_it() {
        let proxies = ["10.0.0.0/8", "2001:db8:1::/48"];
        for (peer, said, client_ip) in [
            ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1", " 198.51.100.7 , ,", "198.51.100.7"),
            ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
            ("10.0.0.1", "[2001:DB8::7]", "2001:db8::7"),
            ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("2001:db8:1::1", "198.51.100.7, ::ffff:10.0.0.2", "198.51.100.7"),
        ] {
            assert_eq!(resolved(peer, &[said], &proxies).as_deref(), Some(client_ip), "{said}");
        }
    }

    #[test]
    fn a_client_within_the_network_of_a_proxy_is_found_too() {
        assert_eq!(resolved("10.0.0.1", &["10.0.0.9, 10.0.0.2"], &["10.0.0.0/8"]).as_deref(), Some("10.0.0.9"));
        assert_eq!(resolved("10.0.0.1", &[], &["10.0.0.0/8"]).as_deref(), Some("10.0.0.1"));
        assert_eq!(resolved("10.0.0.1", &[" , "], &["10.0.0.0/8"]).as_deref(), Some("10.0.0.1"));
    }
}
