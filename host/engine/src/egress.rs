//! The only way out of the host, and the check of the servers that may be reached. Every request of the host leaves
//! through [`RequestPermit::send`]: a guest's request, the token request before it, the download of a thumbnail, and a
//! notification to a platform. A [`RequestPermit`] is given only for a checked URL, and for a server with a queue only
//! when it is the request's turn. (The one exception is the trace exporter of the command line, which sends to the
//! collector that the operator names there.)
//!
//! There are two checks: the host name against what the plugin declares and the operator grants, and every IP address
//! that the name resolves to. The checked address is the one that is connected to, because the check is part of the
//! client's own resolver.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cartwright_contract::address::host_of;
use cartwright_contract::clock::Clock;
use cartwright_contract::error::{denied, limit_exceeded};
use cartwright_contract::grants::Grants;
use cartwright_contract::ids::ShopId;
use cartwright_contract::records::{self, Outage};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use url::{Host, Url};

use crate::health::{Health, RateLimitRules, RequestOutcome, Requester, Throttled};

/// Sends all outbound requests of the host. Create one per host, because it holds the connections and the health of
/// servers.
#[derive(Default)]
pub struct Egress {
    clients: Clients,
    /// Health of the servers.
    pub health: Health,
}

/// How a request queues for a server: the rate limit, and the requester that it counts for.
pub struct QueueEntry<'a> {
    /// The shop. Each shop has its own queue.
    pub shop: &'a ShopId,
    /// The party that the request counts for.
    pub requester: &'a Requester,
    /// The server's rate limit.
    pub rate_limit: RateLimitRules,
    /// When a request stops waiting for its permit. `None` for requests that hold no instance while they wait.
    pub deadline: Option<SystemTime>,
}

/// Permission to send one request to a server.
pub struct RequestPermit<'a> {
    client: reqwest::Client,
    url: Url,
    host: String,
    report_to: Option<(&'a Health, &'a ShopId, &'a dyn Clock)>,
}

/// A request that is sent.
pub struct OutboundRequest {
    /// The HTTP method.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// How long it may take, with the response's body.
    pub timeout: Duration,
}

/// A response whose body is not read yet. Read it with [`Self::body`].
pub struct PendingResponse<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    response: reqwest::Response,
    admission: RequestPermit<'a>,
}

/// A request that failed, or whose response is incomplete.
#[derive(Debug)]
pub struct SendError {
    /// The error as a plugin receives it.
    pub error: records::CallError,
    /// Whether the server may have received the request.
    pub may_have_arrived: bool,
}

impl Egress {
    pub(crate) fn new(health: Health) -> Self {
        Self { clients: Clients::default(), health }
    }

    /// Waits for permission to send a request. `url` must come from [`check_url`] with the same grants.
    ///
    /// # Errors
    ///
    /// [`Throttled`] if the circuit is open, or if the permit would not come before the deadline.
    pub async fn admit<'a>(
        &'a self,
        url: Url,
        grants: &Grants,
        queued: QueueEntry<'a>,
        clock: &'a dyn Clock,
    ) -> Result<RequestPermit<'a>, RequestPermitError> {
        let QueueEntry { shop, requester, rate_limit, deadline } = queued;
        let mut admission = self.admit_unqueued(url, grants)?;
        let turn = self.health.queue(shop, &admission.host, requester, clock.now())?;
        while let Err(throttled) = turn.try_acquire(&rate_limit, clock.now()) {
            let until = throttled.until();
            if matches!(throttled, Throttled::CircuitOpen { .. }) || deadline.is_some_and(|deadline| until > deadline) {
                return Err(throttled.into());
            }
            clock.sleep_until(until).await;
        }
        admission.report_to = Some((&self.health, shop, clock));
        Ok(admission)
    }

    /// Returns a permit without queueing, for servers that the operator names and that receive one request at a time.
    /// The outcome is not reported.
    ///
    /// # Errors
    ///
    /// [`RequestPermitError::Client`] if the HTTP client cannot be made.
    pub fn admit_unqueued(&self, url: Url, grants: &Grants) -> Result<RequestPermit<'_>, RequestPermitError> {
        let client =
            self.clients.client(&grants.networks).map_err(|error| RequestPermitError::Client(error.to_string()))?;
        let host = host_of(&url).unwrap_or_default();
        Ok(RequestPermit { client, url, host, report_to: None })
    }
}

/// Why no request permit was given.
#[derive(Debug, thiserror::Error)]
pub enum RequestPermitError {
    /// The server's circuit is open, or its rate limit is used up.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The HTTP client cannot be made.
    #[error("the HTTP client: {0}")]
    Client(String),
}

impl RequestPermitError {
    /// Converts the error into the outage that a plugin receives.
    pub(crate) fn outage(&self, at: SystemTime) -> Outage {
        match self {
            Self::Throttled(throttled) => throttled.outage(at),
            Self::Client(_) => Outage { retry_after_seconds: None, detail: self.to_string() },
        }
    }
}

impl<'a> RequestPermit<'a> {
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Makes the permit report the outcome of its request, which did not wait in the queue.
    pub(crate) fn report_to(self, health: &'a Health, shop: &'a ShopId, clock: &'a dyn Clock) -> Self {
        Self { report_to: Some((health, shop, clock)), ..self }
    }

    /// Adds a query parameter to the URL.
    pub(crate) fn append_query(&mut self, name: &str, value: &str) {
        self.url.query_pairs_mut().append_pair(name, value);
    }

    /// Sends the request.
    ///
    /// # Errors
    /// Returns an error if there is no response.
    pub async fn send(self, outgoing: OutboundRequest) -> Result<PendingResponse<'a>, SendError> {
        let OutboundRequest { method, headers, body, timeout } = outgoing;
        let request = self.client.request(method, self.url.clone()).headers(headers).body(body).timeout(timeout);
        match request.send().await {
            Ok(response) => {
                self.report(outcome_of(response.status(), response.headers()));
                let (status, headers) = (response.status(), response.headers().clone());
                Ok(PendingResponse { status, headers, response, admission: self })
            }
            Err(error) => Err(self.send_error(&error, !error.is_connect() && !error.is_builder())),
        }
    }

    fn send_error(&self, error: &reqwest::Error, may_have_arrived: bool) -> SendError {
        let error = no_response(&self.host, error);
        if matches!(error, records::CallError::Unavailable(_)) {
            self.report(RequestOutcome::Unavailable { retry_after: None });
        }
        SendError { error, may_have_arrived }
    }

    fn report(&self, outcome: RequestOutcome) {
        if let Some((health, shop, clock)) = self.report_to {
            health.record(shop, &self.host, outcome, clock.now());
        }
    }
}

impl PendingResponse<'_> {
    /// Reads the body. The limit is a name and a maximum number of bytes.
    ///
    /// # Errors
    ///
    /// If the connection breaks off, or if the body exceeds the limit.
    pub async fn body(mut self, (name, max_bytes): (&str, u64)) -> Result<Vec<u8>, SendError> {
        let mut bytes = Vec::new();
        loop {
            let chunk = self.response.chunk().await;
            let Some(chunk) = chunk.map_err(|error| self.admission.send_error(&error, true))? else { return Ok(bytes) };
            if (bytes.len() + chunk.len()) as u64 > max_bytes {
                let text = format!("{name}: {} responded with more than {max_bytes} bytes", self.admission.host);
                return Err(SendError { error: limit_exceeded(name, text), may_have_arrived: true });
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}

/// Reads the `Retry-After` header in seconds. A date is ignored.
pub fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn outcome_of(status: StatusCode, headers: &HeaderMap) -> RequestOutcome {
    match status.as_u16() {
        429 | 502..=504 => {
            let retry_after = retry_after(headers).map(|seconds| Duration::from_secs(seconds.into()));
            RequestOutcome::Unavailable { retry_after }
        }
        _ => RequestOutcome::Responded,
    }
}

/// Converts a failed request into an error. A refused address becomes `denied`, everything else `unavailable`.
fn no_response(host: &str, error: &reqwest::Error) -> records::CallError {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return denied(refusal.what(), format!("http: {refusal}"));
        }
        text = error.to_string();
        cause = error.source();
    }
    let detail = if error.is_timeout() {
        format!("{host} did not respond in time")
    } else {
        format!("{host} did not respond: {}", if text.is_empty() { "the connection failed" } else { &text })
    };
    records::CallError::Unavailable(Outage { retry_after_seconds: None, detail })
}

/// Why a request to a URL is refused. The text names the setting that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not an absolute http or https URL.
    #[error("{0:?} is not an absolute http or https URL")]
    NotAUrl(String),
    /// It has a user name or a password.
    #[error("a URL must not contain a user name or password; use a secret instead")]
    Credentials,
    /// The plugin does not declare the host.
    #[error("the plugin does not declare the host {0}; its author must add it to `outbound-hosts` in its metadata")]
    NotDeclared(String),
    /// The host is not granted.
    #[error("the host {0} is not granted; to allow it: grants.hosts += \"{0}\"")]
    NotGranted(String),
    /// The host is granted with TLS only.
    #[error("the URL of the host {0} does not use TLS; to allow it: grants.plain_http += \"{0}\"")]
    PlainHttp(String),
    /// The host has an address that is not public.
    #[error(
        "{host} has the IP address {address}, which is not public; to allow it: grants.networks += \"{address}/{bits}\""
    )]
    Address {
        /// The host.
        host: String,
        /// The URL.
        address: IpAddr,
        /// The number of bits of the network that consists of this address alone.
        bits: u8,
    },
}

impl Refusal {
    /// Returns what was refused, for programs.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::NotAUrl(_) | Self::Credentials => "url".to_owned(),
            Self::NotDeclared(host) | Self::NotGranted(host) | Self::PlainHttp(host) | Self::Address { host, .. } => {
                format!("outbound-host:{host}")
            }
        }
    }
}

/// Checks the host of a URL against declarations and grants, and the IP address if the URL contains one.
///
/// # Errors
///
/// [`Refusal`] names the setting that would allow the URL.
pub fn check_url(url: &str, declared_hosts: &[String], grants: &Grants) -> Result<Url, Refusal> {
    let not_a_url = || Refusal::NotAUrl(url.chars().take(200).collect());
    let parsed = Url::parse(url).map_err(|_| not_a_url())?;
    let host = host_of(&parsed).ok_or_else(not_a_url)?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Refusal::Credentials);
    }
    if !declared_hosts.contains(&host) {
        return Err(Refusal::NotDeclared(host));
    }
    if !grants.hosts.contains(&host) {
        return Err(Refusal::NotGranted(host));
    }
    match parsed.scheme() {
        "https" => {}
        "http" if grants.plain_http.contains(&host) => {}
        "http" => return Err(Refusal::PlainHttp(host)),
        _ => return Err(not_a_url()),
    }
    match parsed.host() {
        Some(Host::Ipv4(address)) => check_address(&host, address.into(), &grants.networks)?,
        Some(Host::Ipv6(address)) => check_address(&host, address.into(), &grants.networks)?,
        _ => {}
    }
    Ok(parsed)
}

fn check_address(host: &str, address: IpAddr, networks: &[IpNet]) -> Result<(), Refusal> {
    if is_public(address) || networks.iter().any(|network| network.contains(&address)) {
        return Ok(());
    }
    Err(Refusal::Address { host: host.to_owned(), address, bits: if address.is_ipv4() { 32 } else { 128 } })
}

/// Returns whether an IP address is public, by IANA's special-purpose registries (RFC 6890 and its successors).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let inner = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // NAT64 and 6to4 carry an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(inner(high, low)),
        [0x2002, high, low, ..] => is_public_v4(inner(high, low)),
        // IETF protocol assignments (Teredo, ORCHID, benchmarking) and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Everything else that is global is in 2000::/3.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

/// HTTP clients, one for each set of networks that an operator allows: a connection that one set allows must not be
/// reused under another.
#[derive(Default)]
struct Clients {
    by_networks: Mutex<HashMap<Vec<IpNet>, reqwest::Client>>,
}

impl Clients {
    fn client(&self, networks: &[IpNet]) -> Result<reqwest::Client, reqwest::Error> {
        let mut clients = self.by_networks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(networks) {
            return Ok(client.clone());
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .dns_resolver(Arc::new(CheckedResolver { networks: networks.into() }))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("cartwright/", env!("CARGO_PKG_VERSION")))
            .build()?;
        clients.insert(networks.to_vec(), client.clone());
        Ok(client)
    }
}

fn tls() -> Result<rustls::ClientConfig, reqwest::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let builder =
        match rustls::ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions() {
            Ok(builder) => builder,
            // The default versions are those that ring's provider supports; the fallback is the same with TLS 1.3 alone.
            Err(_) => return Ok(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()),
        };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Resolves host names, and drops IP addresses that are not public.
struct CheckedResolver {
    networks: Arc<[IpNet]>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.networks.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            // One address that is not public refuses the name: a vendor's server never has any.
            for address in &addresses {
                check_address(&host, address.ip(), &networks)?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_pass() {
        for refused in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fd00:ec2::254",
        ] {
            assert!(!is_public(refused.parse().unwrap()), "{refused}");
        }
        for passes in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"] {
            assert!(is_public(passes.parse().unwrap()), "{passes}");
        }
    }

    fn granted(hosts: &[&str]) -> (Vec<String>, Grants) {
        let hosts: Vec<String> = hosts.iter().map(|host| host.to_string()).collect();
        (hosts.clone(), Grants { hosts: hosts.into_iter().collect(), ..Grants::default() })
    }

    #[test]
    fn a_url_needs_a_declared_and_a_granted_host_and_tls() {
        let (declared_hosts, grants) = granted(&["expivi.net"]);
        assert!(check_url("https://expivi.net/api/catalogue", &declared_hosts, &grants).is_ok());
        assert!(check_url("https://EXPIVI.net./api", &declared_hosts, &grants).is_err());
        let refusal = |url: &str| check_url(url, &declared_hosts, &grants).unwrap_err();
        assert_eq!(refusal("https://evil.example/"), Refusal::NotDeclared("evil.example".into()));
        assert_eq!(refusal("https://expivi.net:8443/"), Refusal::NotDeclared("expivi.net:8443".into()));
        assert_eq!(refusal("http://expivi.net/"), Refusal::PlainHttp("expivi.net".into()));
        assert_eq!(refusal("https://a:b@expivi.net/"), Refusal::Credentials);
        assert!(matches!(refusal("file:///etc/passwd"), Refusal::NotAUrl(_)));
        let refusal = check_url("https://expivi.net/", &declared_hosts, &Grants::default()).unwrap_err();
        assert!(refusal.to_string().contains("grants.hosts += \"expivi.net\""), "{refusal}");
    }

    #[test]
    fn an_address_in_a_url_is_checked_in_every_spelling() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
        ] {
            let host = host_of(&Url::parse(url).unwrap()).unwrap();
            let (declared_hosts, grants) = granted(&[&host]);
            let refusal = check_url(url, &declared_hosts, &grants).unwrap_err();
            assert!(matches!(refusal, Refusal::Address { .. }), "{url}: {refusal}");
            let allowed = Grants { networks: vec!["127.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()], ..grants };
            assert!(check_url(url, &declared_hosts, &allowed).is_ok(), "{url}");
        }
    }
}
