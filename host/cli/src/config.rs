//! Configuration of a node: flags take precedence over environment variables, which take precedence over a file.

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

/// The prefix of every environment variable that is read. A variable with this prefix and an unknown name is an error.
const PREFIX: &str = "CARTWRIGHT_";
/// Variables that are not options: the key and the log filter.
const OTHER_VARIABLES: [&str; 2] = ["CARTWRIGHT_KEY", "CARTWRIGHT_LOG"];

/// All settings. A setting has the same name as flag, as variable and in the file.
#[derive(Debug, Default, Clone, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Options {
    /// The database: `sqlite:path/to/file`, which is created if it does not exist, or `postgres://user@machine/name`.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// The file with the key that encrypts the database's secrets. Default: the variable `CARTWRIGHT_KEY`.
    #[arg(long, value_name = "FILE", env = "CARTWRIGHT_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// The address to listen at. Default: 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS", env = "CARTWRIGHT_LISTEN")]
    listen: Option<SocketAddr>,
    /// The public URL of this host: vendors' webhook URLs, document URLs and the admin pages begin with it. It may have
    /// a path, such as `https://shop.example/configurator`: everything is then served below that path, whether a proxy
    /// strips the path or passes it on.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_PUBLIC_URL")]
    public_url: Option<BaseUrl>,
    /// The address that serves the admin pages and nothing else. Only the people who run shops should be able to reach
    /// it. The pages are then not served at --listen. Default: --listen.
    #[arg(long, value_name = "ADDRESS", env = "CARTWRIGHT_ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// The URL of --admin-listen as browsers see it, if a proxy stands in front of it. Default: http:// and that
    /// address.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_ADMIN_URL")]
    admin_url: Option<BaseUrl>,
    /// The folder of compiled components, which only this host may write to. Default: compiled components are not
    /// stored.
    #[arg(long, value_name = "FOLDER", env = "CARTWRIGHT_CACHE")]
    cache: Option<PathBuf>,
    /// The name of the installation, which is the first part of every reference that vendors see. Default: "local".
    #[arg(long, value_name = "NAME", env = "CARTWRIGHT_INSTALLATION")]
    installation: Option<String>,
    /// The name of this node in logs and jobs. Default: the process id.
    #[arg(long, value_name = "NAME", env = "CARTWRIGHT_NODE")]
    node: Option<String>,
    /// Networks of the proxies whose X-Forwarded-For header is trusted, such as 10.0.0.0/8,192.0.2.7. Behind a proxy
    /// that is not listed here, all clients share the limits of a single client.
    #[arg(long, value_name = "NETWORK", env = "CARTWRIGHT_PROXIES", value_delimiter = ',')]
    proxies: Option<Vec<IpNet>>,
    /// Maximum requests per second with one access key, at each node. Default: 1000.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_REQUESTS_PER_SECOND")]
    requests_per_second: Option<NonZeroU32>,
    /// Maximum requests per second from one client address (IPv6: a /64 network) with storefront keys, with bursts of
    /// twice as many. A request that is rejected here does not count against the key. Default: a quarter of
    /// --requests-per-second, at most 100.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_CLIENT_REQUESTS_PER_SECOND")]
    client_requests_per_second: Option<NonZeroU32>,
    /// Maximum requests per second to one webhook of an account, at each node, with bursts of four times as many.
    /// Further requests get status 429 with Retry-After before their body is read. Default: 50.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_WEBHOOK_REQUESTS_PER_SECOND")]
    webhook_requests_per_second: Option<NonZeroU32>,
    /// Maximum wrong access keys per minute from one address. Default: 20.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_FAILED_KEYS_PER_MINUTE")]
    failed_keys_per_minute: Option<NonZeroU32>,
    /// Maximum open connections. If --proxies is given, a quarter of them is reserved for proxies. When a node is full,
    /// the address with the most connections loses one without a request in progress to the new connection; if there is
    /// none, the new connection gets status 503 and is closed. The process needs about 200 file descriptors more than
    /// this (ulimit -n). Default: 768.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_MAX_CONNECTIONS")]
    max_connections: Option<NonZeroU32>,
    /// Maximum open connections from one address (IPv6: a /64 network) that is not a proxy's (--proxies). Default: 128.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_MAX_CONNECTIONS_PER_ADDRESS")]
    max_connections_per_address: Option<NonZeroU32>,
    /// Maximum size of a request body with a storefront key, in bytes. A shop may have its own limit. Other bodies may
    /// have 16777216 bytes (16 MiB), a webhook 4194304 (4 MiB), a component 134217728 (128 MiB). Default: 2097152 (2
    /// MiB).
    #[arg(long, value_name = "BYTES", env = "CARTWRIGHT_MAX_STOREFRONT_BODY_BYTES")]
    max_storefront_body_bytes: Option<NonZeroU32>,
    /// Maximum size of the bodies of all requests in progress together, in bytes. Storefronts and webhooks share half
    /// of it; the storefronts of one shop get a quarter, and one client address an eighth. A body that does not fit
    /// gets status 503. Default: 268435456 (256 MiB).
    #[arg(long, value_name = "BYTES", env = "CARTWRIGHT_MAX_BODY_BYTES_IN_FLIGHT")]
    max_body_bytes_in_flight: Option<NonZeroU32>,
    /// Maximum requests per second to each vendor's server for each shop, after a burst of twice as many. An account
    /// may be granted another rate. Default: 10.
    #[arg(long, value_name = "NUMBER", env = "CARTWRIGHT_VENDOR_REQUESTS_PER_SECOND")]
    vendor_requests_per_second: Option<NonZeroU32>,
    /// The quota of each shop for cart data that no order owns (configurations and their pictures), in MiB. When it is
    /// full, the least recently used data is deleted, beginning with the visitors that store most. Default: 1024.
    #[arg(long, value_name = "MIB", env = "CARTWRIGHT_CART_QUOTA_MIB")]
    cart_quota_mib: Option<CartQuota>,
    /// The quota of each account for stored webhook deliveries, in MiB. When it is full, the bodies of answered
    /// deliveries are deleted, the oldest first; when only unanswered ones are left, new deliveries get status 503 with
    /// Retry-After until those are answered or expire. Default: 256.
    #[arg(long, value_name = "MIB", env = "CARTWRIGHT_WEBHOOK_QUOTA_MIB")]
    webhook_quota_mib: Option<WebhookQuota>,
    /// How many seconds a node keeps accepting requests after it received a stop signal. Meanwhile /health/ready
    /// answers 503, so that load balancers stop sending requests; choose more than the interval of their health checks.
    /// Default: 2.
    #[arg(long, value_name = "SECONDS", env = "CARTWRIGHT_DRAIN_DELAY_SECONDS")]
    drain_delay_seconds: Option<u64>,
    /// How many seconds the work in progress then has to finish. Default: 30.
    #[arg(long, value_name = "SECONDS", env = "CARTWRIGHT_DRAIN_TIMEOUT_SECONDS")]
    drain_timeout_seconds: Option<u64>,
    /// The address that serves metrics at /metrics, without a key. Only the metrics collector should be able to reach
    /// it. Default: metrics are not served.
    #[arg(long, value_name = "ADDRESS", env = "CARTWRIGHT_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// The format of log lines on standard error. `CARTWRIGHT_LOG` selects what is logged. Default: text.
    #[arg(long, value_name = "FORMAT", env = "CARTWRIGHT_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// The collector that receives traces by OTLP over HTTP, such as `http://localhost:4318`. OpenTelemetry's own
    /// variables set its headers and the sampling (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`). Default: traces
    /// are not sent.
    #[arg(long, value_name = "URL", env = "CARTWRIGHT_OTLP_ENDPOINT")]
    otlp_endpoint: Option<Url>,
}

/// Has room for several configurations of the maximum size with all their pictures.
type CartQuota = QuotaMib<128>;
/// Has room for several webhooks of the maximum size.
type WebhookQuota = QuotaMib<16>;

/// A quota in MiB, of at least `MIN`.
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
            mib => Err(format!("a quota of {mib} MiB is too small; the minimum is {MIN}")),
        }
    }
}

impl<const MIN: u32> FromStr for QuotaMib<MIN> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<u32>().map_err(|error| error.to_string())?.try_into()
    }
}

/// The complete configuration of a node.
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
    /// Returns the configuration, with the file's values where neither a flag nor a variable sets one.
    pub(crate) fn with_file(self, file: Option<&Path>) -> anyhow::Result<Config> {
        let file = match file {
            None => Self::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the configuration {}", path.display()))?;
                toml::from_str(&text).with_context(|| format!("the configuration {} is invalid", path.display()))?
            }
        };
        let database = self.database.or(file.database).context(
            "no database is configured; set --database sqlite:cartwright.db, CARTWRIGHT_DATABASE, or `database` in the file",
        )?;
        let (admin_listen, admin_url) = (self.admin_listen.or(file.admin_listen), self.admin_url.or(file.admin_url));
        if admin_url.is_some() && admin_listen.is_none() {
            bail!("--admin-url needs --admin-listen; set both");
        }
        let otlp_endpoint = self.otlp_endpoint.or(file.otlp_endpoint);
        if let Some(url) = otlp_endpoint.as_ref().filter(|url| !matches!(url.scheme(), "http" | "https")) {
            bail!("the OTLP endpoint {url} must be an http or https URL");
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

/// Rejects variables that have our prefix and an unknown name: a misspelt name would otherwise be ignored silently.
pub(crate) fn check_environment(command: &clap::Command) -> anyhow::Result<()> {
    let known: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned()))
        .chain(OTHER_VARIABLES.map(str::to_owned))
        .collect();
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if !known.iter().any(|known| known == name) {
            bail!("unknown setting {name}; known settings: {}", known.join(", "));
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
        assert!(refused.contains("the minimum is 128"), "{refused}");
        assert!(toml::from_str::<Options>("cart-quota-mib = 1").is_err());
        assert!(toml::from_str::<Options>("cart-quota-mib = 128").is_ok());
        assert!(toml::from_str::<Options>("webhook-quota-mib = 15").is_err());
        assert!(toml::from_str::<Options>("webhook-quota-mib = 16").is_ok());
    }
}
