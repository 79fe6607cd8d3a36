//! The interfaces that the guest exports besides webhooks.

use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use cartwright_plugin::exports::account::Verdict;
use cartwright_plugin::exports::choices::ChoiceList;
use cartwright_plugin::exports::{self, account, configuration, metadata, orders, page, settings};
use cartwright_plugin::types::{
    Context, FieldIssue, Item, NamedJson, Outage, PriceSource, ProductLink, Setting, SettingValue, SkuQuery,
};
use cartwright_plugin::{
    CallError, ContextExt, FieldExt, field, http, invalid_input, message, plugin_metadata, rejected, secrets,
};

use crate::{SECRET, Webhooks};

/// The host that may receive the token.
const HOST: &str = "setting:api-url";
/// The host of the token endpoint.
const TOKEN_HOST: &str = "setting:token-url";
/// A secret that only the token endpoint may receive.
const NARROW: &str = "narrow-secret";
/// A secret for every use but webhooks.
const WIDE: &str = "wide-secret";
const WIDE_USES: [&str; 9] = [
    "bearer",
    "basic",
    "header",
    "query",
    "client-credentials",
    "hmac-sha1",
    "hmac-sha256",
    "hmac-sha512",
    "md5-suffix",
];
/// The version of the form. Another digit in the component's bytes makes another version of the plugin.
static FORM: &[u8; 13] = b"token's form1";

/// Returns the name of this version's token field. The second version has no such field; the third renames it. The
/// fourth also sends it to another server.
pub(crate) fn token() -> &'static str {
    match black_box(FORM)[12] {
        b'1' | b'4' => "token",
        b'2' => "key",
        _ => "renamed-token",
    }
}

/// Returns the server that only the fourth version sends its token to.
fn other_host() -> Option<&'static str> {
    (black_box(FORM)[12] == b'4').then_some("elsewhere.example")
}

/// Returns the version of the plugin. That of the fifth form depends on the clock, that of the sixth on random numbers.
fn version() -> String {
    match black_box(FORM)[12] {
        b'5' => format!("1.0.{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()),
        b'6' => format!("1.0.{}", RandomState::new().hash_one(0)),
        _ => env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Returns a field of a product with dynamic choices.
fn vendor_choice_field(name: &str, kind: &str, label: &str) -> settings::Field {
    settings::Field { choices: settings::ChoiceSource::Dynamic, ..field(name, kind, label).per_product() }
}

/// Returns all choices of a field.
fn choices(field: &str) -> Result<Vec<(String, String)>, CallError> {
    let named =
        |all: &[(&str, &str)]| all.iter().map(|(value, label)| (value.to_string(), label.to_string())).collect();
    Ok(match field {
        "finish" => named(&[("m", "Matt"), ("g", "Gloss"), ("s", "Satin")]),
        "extras" => named(&[("b", "Box"), ("r", "Ribbon"), ("c", "Card")]),
        "colour" => (0..1_000).map(|number| (format!("c{number}"), format!("Colour {number}"))).collect(),
        _ => return Err(invalid_input(field, message("no-choices", "It has no dynamic choices.", &[]))),
    })
}

fn credentials(token_url: &str, secret: &str, secret_in: http::SecretPlace) -> http::ClientCredentials {
    http::ClientCredentials {
        token_url: token_url.to_owned(),
        client_id: "shop".to_owned(),
        secret: secret.to_owned(),
        secret_in,
        parameters: vec![("scope".to_owned(), "orders".to_owned())],
        extra: Vec::new(),
    }
}

/// Uses a secret as the words say: a use, the name of a secret, and perhaps "stored" for a body that the host stores.
/// Returns what the guest sees of the response.
fn use_secret(context: &Context, url: &str, words: &str) -> Result<Vec<account::Diagnosis>, CallError> {
    let words: Vec<&str> = words.split(' ').collect();
    let (way, secret) = (words[0], words[1].to_owned());
    let token = |place| credentials(context.text("token-url").unwrap_or_default(), words[1], place);
    let auth = match way {
        "bearer" => Some(http::Auth::Bearer(secret)),
        "basic" => Some(http::Auth::Basic(http::Login { user: "shop".to_owned(), secret })),
        "header" => {
            let (name, prefix) = ("X-Session".to_owned(), "Session ".to_owned());
            Some(http::Auth::Header(http::HeaderSecret { name, prefix, secret }))
        }
        "query" => Some(http::Auth::Query(http::QuerySecret { name: "key".to_owned(), secret })),
        "client-credentials" => Some(http::Auth::ClientCredentials(token(http::SecretPlace::Basic))),
        "form" => Some(http::Auth::ClientCredentials(token(http::SecretPlace::Form))),
        "signed-jwt" => Some(http::Auth::Other(NamedJson { name: way.to_owned(), json: "{}".to_owned() })),
        _ => None,
    };
    let seen = match auth {
        None => {
            let message: &[u8] = if way == "hmac-sha256-of-nothing" { b"" } else { b"message" };
            format!("{:?}", secrets::digest(words[1], way.trim_end_matches("-of-nothing"), message)?)
        }
        Some(auth) => {
            let mut request = http::HttpRequest::get(url);
            request.auth.push(auth);
            request.store_body = words.get(2) == Some(&"stored");
            let response = request.send()?;
            let body = match &response.body {
                http::Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                http::Body::Stored(stored) => format!("stored {} of {} bytes", stored.digest, stored.size),
            };
            format!("{:?} {body}", response.headers)
        }
    };
    let detail = Some(message("seen", seen, &[]));
    Ok(vec![account::Diagnosis { check: message("asked", "It answers", &[]), verdict: Verdict::Passed, detail }])
}

/// The error of what this plugin does not do.
fn not_here() -> CallError {
    rejected(message("not-here", "This plugin does not do this.", &[]))
}

impl metadata::Guest for Webhooks {
    fn describe() -> metadata::PluginMetadata {
        metadata::PluginMetadata {
            outbound_hosts: [HOST, TOKEN_HOST].into_iter().chain(other_host()).map(str::to_owned).collect(),
            ..plugin_metadata("webhooks", "Webhooks", &version(), "Cartwright's tests")
        }
    }
}

impl settings::Guest for Webhooks {
    fn fields(_locale: String) -> Vec<settings::Field> {
        let mut secret = field(token(), "secret", "Token")
            .outbound_host(HOST)
            .outbound_host(TOKEN_HOST)
            .secret_use("bearer")
            .secret_use("client-credentials");
        if let Some(host) = other_host() {
            secret = secret.outbound_host(host);
        }
        vec![
            field(SECRET, "secret", "Signing secret").secret_use("webhook"),
            field("try", "text", "Use of a secret"),
            WIDE_USES
                .iter()
                .fold(field(WIDE, "secret", "Secret").outbound_host(HOST).outbound_host(TOKEN_HOST), |secret, word| {
                    secret.secret_use(word)
                }),
            field("script-url", "url", "Script").vendor_can_change(),
            field("name", "text", "Name"),
            field("api-url", "url", "Address").vendor_can_change(),
            secret,
            field("token-url", "url", "Token endpoint"),
            field(NARROW, "secret", "Secret of the token endpoint")
                .outbound_host(TOKEN_HOST)
                .secret_use("client-credentials"),
            vendor_choice_field("finish", "select", "Finish"),
            vendor_choice_field("colour", "select", "Colour"),
            vendor_choice_field("extras", "multi-select", "Extras"),
        ]
    }

    fn validate(_context: Context) -> Result<Vec<FieldIssue>, CallError> {
        Ok(Vec::new())
    }

    fn migrate(_from_version: String, mut values: Vec<Setting>) -> Result<Vec<Setting>, CallError> {
        if token() == "renamed-token" && values.iter().any(|setting| setting.name == "token") {
            let value = SettingValue::Text("secret:token".to_owned());
            values.push(Setting { name: token().to_owned(), value });
        }
        Ok(values)
    }
}

impl exports::choices::Guest for Webhooks {
    /// Returns two choices at a time of a short list, a hundred of a long one. Fails if the setting `name` is "away".
    fn search(context: Context, field: String, text: String, cursor: Option<String>) -> Result<ChoiceList, CallError> {
        if context.text("name") == Some("away") {
            return Err(CallError::Unavailable(Outage { retry_after_seconds: None, detail: "as told".to_owned() }));
        }
        let mut all = choices(&field)?;
        all.retain(|(_, label)| label.to_lowercase().contains(&text.to_lowercase()));
        let at_once = if field == "colour" { 100 } else { 2 };
        let from: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let some = all.iter().skip(from).take(at_once);
        let choices = some.map(|(value, label)| settings::Choice {
            value: value.clone(),
            label: message(&format!("choice-{field}"), label.clone(), &[]),
            extra: Vec::new(),
        });
        let next = from + at_once;
        Ok(ChoiceList { choices: choices.collect(), cursor: (next < all.len()).then(|| next.to_string()) })
    }
}

impl account::Guest for Webhooks {
    fn test_connection(context: Context) -> Result<Vec<account::Diagnosis>, CallError> {
        let url = context.text("api-url").ok_or_else(not_here)?;
        if let Some(words) = context.text("try") {
            return use_secret(&context, url, words);
        }
        let mut request = http::HttpRequest::get(url);
        request.auth.push(match context.text("token-url") {
            None => http::Auth::Bearer(token().to_owned()),
            Some(token_url) => {
                let secret = if context.secret_is_set(NARROW) { NARROW } else { token() };
                http::Auth::ClientCredentials(credentials(token_url, secret, http::SecretPlace::Basic))
            }
        });
        let verdict = if request.send()?.status == 200 { Verdict::Passed } else { Verdict::Failed };
        Ok(vec![account::Diagnosis { check: message("asked", "It answers", &[]), verdict, detail: None }])
    }
}

impl page::Guest for Webhooks {
    fn embed(_context: Context, _link: ProductLink) -> Result<page::EmbedData, CallError> {
        Err(not_here())
    }
}

impl configuration::Guest for Webhooks {
    /// Names the vendor as the price source, although this component exports no `prices`.
    fn decode(_context: Context, link: ProductLink, _raw: Vec<u8>) -> Result<configuration::DecodeResult, CallError> {
        Ok(configuration::DecodeResult {
            items: vec![Item::new(link.vendor_product)],
            price_from: PriceSource::Vendor,
            warnings: Vec::new(),
            extra: Vec::new(),
        })
    }
}

impl orders::Guest for Webhooks {
    /// Does what a message says, like the endpoints; "resolve 100" queries the catalog a hundred times with different
    /// queries.
    fn handle(_context: Context, event: orders::OrderEvent, _state: Option<String>) -> Result<orders::Next, CallError> {
        let orders::OrderEventKind::Forwarded(message) = &event.kind else { return Ok(orders::Next::Done) };
        let words: Vec<&str> = message.json.split(' ').collect();
        if let ["resolve", times] = words[..] {
            for number in 0..times.parse().unwrap_or(0) {
                let query = SkuQuery { sku: format!("SKU-{number}"), within_product: None, ignore_case: false };
                cartwright_plugin::catalog::resolve(&[query])?;
            }
        }
        if let Some(recorded) = crate::outcome(&words) {
            cartwright_plugin::outcomes::emit(&recorded)?;
        }
        Ok(orders::Next::Done)
    }
}
