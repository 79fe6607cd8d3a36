//! How a node is to run: by flags, else by the environment, else by a file.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use cartwright::health::RateLimitRules;
use cartwright_http::base_url::BaseUrl;
use cartwright_http::limits::{LimitSettings, client_default};
use cartwright_store::{DEFAULT_CART_QUOTA_BYTES, DEFAULT_WEBHOOK_QUOTA_BYTES};
use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use crate::telemetry::LogFormat;

/// Every variable that is read begins so. One that does and is not known is a mistake.
const PREFIX: &str = "CARTWRIGHT_";
/// Variables that are no options: the key, and what is logged.
const OTHER_VARIABLES: [&str; 2] = ["CARTWRIGHT_KEY", "CARTWRIGHT_LOG"];

/// What can be set, under the same name as a flag, as a variable and in the file.
#[derive(Debug, Default, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// The database: `sqlite:path/to/file`, which is made, or `postgres://user@machine/name`.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// The file of the key that the database's secrets are sealed with; the variable `CARTWRIGHT_KEY` unless given.
    #[arg(long, value_name = "FILE", env = "CARTWRIGHT_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Where to listen; 127.0.0.1:8080 unless given.
    #[arg(long, value_name = "ADDRESS", env = "CARTWRIGHT_LISTEN")]
    listen: Option<SocketAddr>,
    /// What the outside calls this host: vendors' webhooks, documents' links and the admin pages begin with it. It may have a path, as
    /// https://shop.example/configurator: everything is served below it then, whether a proxy strips the path or passes it on.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_PUBLIC_URL")]
    public_url: Option<BaseUrl>,
    /// Where to serve the admin pages, and nothing else: an address that only those reach who run shops. They are not served at
    /// --listen then. At --listen unless given.
    #[arg(long, value_name = "ADDRESS", env = "CARTWRIGHT_ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// What browsers call the address of --admin-listen, where a proxy stands before it; http:// and that address unless given.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_ADMIN_URL")]
    admin_url: Option<BaseUrl>,
    /// The folder of compiled components, which only this host may write; nothing is kept unless given.
    #[arg(long, value_name = "FOLDER", env = "CARTWRIGHT_CACHE")]
    cache: Option<PathBuf>,
    /// The name of the installation, the first part of every reference that vendors see; "local" unless given.
    #[arg(long, value_name = "NAME", env = "CARTWRIGHT_INSTALLATION")]
    installation: Option<String>,
    /// The name of this node, for logs and jobs; the process's number unless given.
    #[arg(long, value_name = "NAME", env = "CARTWRIGHT_NODE")]
    node: Option<String>,
    /// Networks of proxies that are believed when they say who asks (X-Forwarded-For), as 10.0.0.0/8,192.0.2.7. Behind a proxy that
    /// is not named here, all clients share the limits of one.
    #[arg(long, value_name = "NETWORK", env = "CARTWRIGHT_PROXIES", value_delimiter = ',')]
    proxies: Option<Vec<IpNet>>,
    /// Maximum requests per second with one access key, at each node; 1000 unless given.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_REQUESTS_PER_SECOND")]
    requests_per_second: Option<NonZeroU32>,
    /// Maximum requests per second from one client address (IPv6: a /64 network) with storefronts' keys, and twice as many at once;
    /// a quarter of --requests-per-second unless given, at most 100. What is refused here does not count against the key.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_CLIENT_REQUESTS_PER_SECOND")]
    client_requests_per_second: Option<NonZeroU32>,
    /// Maximum requests per second to one webhook of an account, at each node, and four times as many at once; 50 unless given. What
    /// is over it is answered 429 with Retry-After, before its body is read.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_WEBHOOK_REQUESTS_PER_SECOND")]
    webhook_requests_per_second: Option<NonZeroU32>,
    /// Maximum wrong access keys per minute from one address; 20 unless given.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_FAILED_KEYS_PER_MINUTE")]
    failed_keys_per_minute: Option<NonZeroU32>,
    /// Maximum open connections; 768 unless given, a quarter of them for proxies alone if --proxies is given. On a full node the
    /// address with the most connections that have no request in progress gives one up to a new connection; when there is none to
    /// give up, the new one is answered 503 and closed. The process must be allowed about 200 descriptors more (ulimit -n).
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_MAX_CONNECTIONS")]
    max_connections: Option<NonZeroU32>,
    /// Maximum open connections from one address (IPv6: a /64 network) that is not a proxy's (--proxies); 128 unless given.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_MAX_CONNECTIONS_PER_ADDRESS")]
    max_connections_per_address: Option<NonZeroU32>,
    /// Largest body of a request with a storefront's key, in bytes; 2097152 (2 MiB) unless given, and a shop may be given its own.
    /// Others may have 16777216 bytes (16 MiB), a webhook 4194304 (4 MiB), a component 134217728 (128 MiB).
    #[arg(long, value_name = "BYTES", env = "CARTWRIGHT_MAX_STOREFRONT_BODY_BYTES")]
    max_storefront_body_bytes: Option<NonZeroU32>,
    /// Maximum bytes of the bodies of all requests in progress; 268435456 (256 MiB) unless given. Storefronts and webhooks share half
    /// of it, one shop's storefronts a quarter, one client address an eighth. A body for which there is no room is answered 503.
    #[arg(long, value_name = "BYTES", env = "CARTWRIGHT_MAX_BODY_BYTES_IN_FLIGHT")]
    max_body_bytes_in_flight: Option<NonZeroU32>,
    /// How many requests a second are sent to each vendor's server for each shop, after a burst of twice as many; 10 unless given. An
    /// account may be granted another number.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_VENDOR_REQUESTS_PER_SECOND")]
    vendor_requests_per_second: Option<NonZeroU32>,
    /// The quota of each shop, in MiB, of what its carts leave here and no order owns: configurations and their pictures; 1024 unless
    /// given. When it is full, what was used longest ago goes, of the visitors first who hold most.
    #[arg(long, value_name = "MIB", env = "CARTWRIGHT_CART_QUOTA_MIB")]
    cart_quota_mib: Option<CartQuota>,
    /// The quota of each account, in MiB, of what is kept of the notices that its webhooks were sent; 256 unless given. When it is full,
    /// bodies of those that were answered go, the oldest first; when only others are left, new ones are answered 503 with Retry-After
    /// until those are answered or past their time.
    #[arg(long, value_name = "MIB", env = "CARTWRIGHT_WEBHOOK_QUOTA_MIB")]
    webhook_quota_mib: Option<WebhookQuota>,
    /// For how many seconds a node that was told to stop goes on taking requests, while /health/ready answers 503 so that none are sent
    /// to it any more: longer than whoever asks there waits between two times. 2 unless given.
    #[arg(long, value_name = "SECONDS", env = "CARTWRIGHT_DRAIN_DELAY_SECONDS")]
    drain_delay_seconds: Option<u64>,
    /// For how many seconds work in progress may end after that; 30 unless given.
    #[arg(long, value_name = "SECONDS", env = "CARTWRIGHT_DRAIN_TIMEOUT_SECONDS")]
    drain_timeout_seconds: Option<u64>,
    /// Where metrics are served, at /metrics and without a key: an address that only those reach who collect them. Nowhere unless
    /// given.
    #[arg(long, value_name = "ADDRESS", env = "CARTWRIGHT_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// How lines are logged to standard error; as text unless given. `CARTWRIGHT_LOG` says what is.
    #[arg(long, value_name = "FORMAT", env = "CARTWRIGHT_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// The collector that traces are sent to by OTLP over HTTP, as http://localhost:4318; none unless given. The headers that it asks
    /// for, and which traces are sampled, are set by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER).
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_OTLP_ENDPOINT")]
    otlp_endpoint: Option<Url>,
}

/// At least some of the largest configurations with all their pictures.
type CartQuota = QuotaMib<128>;
/// At least some of the largest webhooks.
type WebhookQuota = QuotaMib<16>;

/// A quota of bytes, given in MiB: `MIN` or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
struct QuotaMib<const MIN: u32>(u32);

impl<const MIN: u32> QuotaMib<MIN> {
    fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }
}

impl<const MIN: u32> TryFrom<u32> for QuotaMib<MIN> {
    type Error = String;

    fn try_from(mib: u32) -> Result<Self, String> {
        match mib {
            mib if mib >= MIN => Ok(Self(mib)),
            mib => Err(format!("a quota of {mib} MiB is too small; give {MIN} or more")),
        }
    }
}

impl<const MIN: u32> FromStr for QuotaMib<MIN> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<u32>().map_err(|error| error.to_string())?.try_into()
    }
}

/// How a node runs.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) database: String,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: Option<BaseUrl>,
    pub(crate) admin_listen: Option<SocketAddr>,
    pub(crate) admin_url: Option<BaseUrl>,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) installation: String,
    pub(crate) node: String,
    pub(crate) proxies: Vec<IpNet>,
    pub(crate) limits: LimitSettings,
    pub(crate) vendor_requests_per_second: NonZeroU32,
    pub(crate) cart_quota_bytes: u64,
    pub(crate) webhook_quota_bytes: u64,
    pub(crate) drain_delay_seconds: u64,
    pub(crate) drain_timeout_seconds: u64,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) log_format: LogFormat,
    pub(crate) otlp_endpoint: Option<Url>,
}

impl Options {
    /// What holds, with the file's values where neither a flag nor a variable says anything.
    pub(crate) fn with_file(self, file: Option<&Path>) -> anyhow::Result<Config> {
        let file = match file {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("the configuration {} cannot be read", path.display()))?;
                toml::from_str(&text)
                    .with_context(|| format!("the configuration {} is not as it must be", path.display()))?
            }
        };
        let database = self.database.or(file.database).context(
            "no database is named: --database sqlite:cartwright.db, CARTWRIGHT_DATABASE, or `database` in the file",
        )?;
        let (admin_listen, admin_url) = (self.admin_listen.or(file.admin_listen), self.admin_url.or(file.admin_url));
        if admin_url.is_some() && admin_listen.is_none() {
            bail!("--admin-url says what browsers call the address of --admin-listen; give that too");
        }
        let otlp_endpoint = self.otlp_endpoint.or(file.otlp_endpoint);
        if let Some(url) = otlp_endpoint.as_ref().filter(|url| !matches!(url.scheme(), "http" | "https")) {
            bail!("the OTLP endpoint {url} is neither http nor https");
        }
        let usual = LimitSettings::default();
        let requests_per_second =
            self.requests_per_second.or(file.requests_per_second).unwrap_or(usual.requests_per_second);
        let limits = LimitSettings {
            requests_per_second,
            client_requests_per_second: self
                .client_requests_per_second
                .or(file.client_requests_per_second)
                .unwrap_or_else(|| client_default(requests_per_second)),
            webhook_requests_per_second: self
                .webhook_requests_per_second
                .or(file.webhook_requests_per_second)
                .unwrap_or(usual.webhook_requests_per_second),
            failed_keys_per_minute: self
                .failed_keys_per_minute
                .or(file.failed_keys_per_minute)
                .unwrap_or(usual.failed_keys_per_minute),
            max_connections: self.max_connections.or(file.max_connections).unwrap_or(usual.max_connections),
            max_connections_per_address: self
                .max_connections_per_address
                .or(file.max_connections_per_address)
                .unwrap_or(usual.max_connections_per_address),
            max_storefront_body_bytes: self
                .max_storefront_body_bytes
                .or(file.max_storefront_body_bytes)
                .unwrap_or(usual.max_storefront_body_bytes),
            max_body_bytes_in_flight: self
                .max_body_bytes_in_flight
                .or(file.max_body_bytes_in_flight)
                .unwrap_or(usual.max_body_bytes_in_flight),
        };
        Ok(Config {
            database,
            key_file: self.key_file.or(file.key_file),
            listen: self.listen.or(file.listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            public_url: self.public_url.or(file.public_url),
            admin_listen,
            admin_url,
            cache: self.cache.or(file.cache),
            installation: self.installation.or(file.installation).unwrap_or_else(|| "local".to_owned()),
            node: self.node.or(file.node).unwrap_or_else(|| format!("node-{}", std::process::id())),
            proxies: self.proxies.or(file.proxies).unwrap_or_default(),
            limits,
            vendor_requests_per_second: self
                .vendor_requests_per_second
                .or(file.vendor_requests_per_second)
                .unwrap_or(RateLimitRules::DEFAULT_REQUESTS_PER_SECOND),
            cart_quota_bytes: self
                .cart_quota_mib
                .or(file.cart_quota_mib)
                .map_or(DEFAULT_CART_QUOTA_BYTES, QuotaMib::bytes),
            webhook_quota_bytes: self
                .webhook_quota_mib
                .or(file.webhook_quota_mib)
                .map_or(DEFAULT_WEBHOOK_QUOTA_BYTES, QuotaMib::bytes),
            drain_delay_seconds: self.drain_delay_seconds.or(file.drain_delay_seconds).unwrap_or(2),
            drain_timeout_seconds: self.drain_timeout_seconds.or(file.drain_timeout_seconds).unwrap_or(30),
            metrics_listen: self.metrics_listen.or(file.metrics_listen),
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
            otlp_endpoint,
        })
    }
}

/// Refuses variables that look like ours and are none: a slip in a name would go unseen.
pub(crate) fn check_environment(command: &clap::Command) -> anyhow::Result<()> {
    let known: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned()))
        .chain(OTHER_VARIABLES.map(str::to_owned))
        .collect();
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if !known.iter().any(|known| known == name) {
            bail!("there is no setting {name}; there are: {}", known.join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_has_room_for_some_of_the_largest() {
        assert_eq!("2048".parse::<CartQuota>().map(CartQuota::bytes), Ok(2 << 30));
        let refused = "1".parse::<CartQuota>().expect_err("too small");
        assert!(refused.contains("128 or more"), "{refused}");
        assert!(toml::from_str::<Options>("cart-quota-mib = 1").is_err());
        assert!(toml::from_str::<Options>("cart-quota-mib = 128").is_ok());
        assert!(toml::from_str::<Options>("webhook-quota-mib = 15").is_err());
        assert!(toml::from_str::<Options>("webhook-quota-mib = 16").is_ok());
    }
}
