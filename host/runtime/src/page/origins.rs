//! The origins that a page may load from, and the addresses on them.

use cartwright_contract::address::host_of;
use cartwright_contract::grants::Grants;
use cartwright_contract::records::{AllowedOrigin, OriginUse};
use cartwright_engine::egress::{Refusal, check_url};
use url::Url;

use super::{Fault, Reason, check_count, check_text, malformed};

/// Maximum number of allowed origins.
const MAX_ORIGINS: usize = 100;

/// Checked origins in their canonical spelling. None contains a character that has a meaning in a Content-Security-Policy.
pub(super) struct Origins(Vec<AllowedOrigin>);

impl Origins {
    /// Checks that each origin is well formed, has a use, and is on a host that the account may reach.
    pub(super) fn check(listed: Vec<AllowedOrigin>, declared_hosts: &[String], grants: &Grants) -> Result<Self, Fault> {
        check_count("allowed_origins", listed.len(), MAX_ORIGINS)?;
        let mut checked = Vec::with_capacity(listed.len());
        for (index, AllowedOrigin { origin, uses }) in listed.into_iter().enumerate() {
            let member = format!("allowed_origins[{index}].origin");
            let origin = canonical(&member, &origin)?;
            if let Err(refusal) = check_url(&origin, declared_hosts, grants) {
                return Err(Fault { member, reason: reason(&refusal) });
            }
            let mut distinct: Vec<OriginUse> = Vec::with_capacity(uses.len().min(6));
            for one in uses {
                if !distinct.contains(&one) {
                    distinct.push(one);
                }
            }
            if distinct.is_empty() {
                return Err(malformed(format!("allowed_origins[{index}].uses"), "it is empty; name at least one use"));
            }
            checked.push(AllowedOrigin { origin, uses: distinct });
        }
        Ok(Self(checked))
    }

    /// Checks an address that a page loads. Returns it in its canonical spelling, because a browser reads some others, such as
    /// `https:path`, as relative to the shop's page.
    pub(super) fn url(&self, member: &str, text: &str, needed: OriginUse) -> Result<String, Fault> {
        let url = absolute(member, text)?;
        self.require(member, &url.origin().ascii_serialization(), needed)?;
        Ok(url.into())
    }

    /// Checks that a page may use an origin. Returns it in its canonical spelling.
    pub(super) fn origin(&self, member: &str, text: &str, needed: OriginUse) -> Result<String, Fault> {
        let origin = canonical(member, text)?;
        self.require(member, &origin, needed)?;
        Ok(origin)
    }

    pub(super) fn into_list(self) -> Vec<AllowedOrigin> {
        self.0
    }

    fn require(&self, member: &str, origin: &str, needed: OriginUse) -> Result<(), Fault> {
        if self.0.iter().any(|allowed| allowed.origin == origin && allowed.uses.contains(&needed)) {
            return Ok(());
        }
        let text = format!("{origin:?} is not among allowed_origins with the use \"{}\"", name(needed));
        Err(malformed(member, text))
    }
}

/// Checks where the shopper goes afterwards: an https address, or a path of the shop.
pub(super) fn success_page(text: &str, grants: &Grants) -> Result<String, Fault> {
    let member = "success_page";
    // "//host" and "/\host" look like paths and are not.
    if text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/\\") {
        check_text(member, text)?;
        return Ok(text.to_owned());
    }
    let url = absolute(member, text)?;
    match host_of(&url) {
        Some(_) if url.scheme() == "https" => Ok(url.into()),
        Some(host) if url.scheme() == "http" && grants.plain_http.contains(&host) => Ok(url.into()),
        Some(host) if url.scheme() == "http" => {
            Err(Fault { member: member.to_owned(), reason: reason(&Refusal::PlainHttp(host)) })
        }
        _ => Err(malformed(member, format!("{text:?} is neither an https address nor a path such as \"/cart\""))),
    }
}

fn absolute(member: &str, text: &str) -> Result<Url, Fault> {
    check_text(member, text)?;
    // A blob URL has the origin of the page that made it.
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let url = url.ok_or_else(|| malformed(member, format!("{text:?} is not a complete https address")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(malformed(member, "an address must not contain a user name or password"));
    }
    Ok(url)
}

/// Returns the canonical spelling of an origin: scheme, host and port.
fn canonical(member: &str, text: &str) -> Result<String, Fault> {
    let url = absolute(member, text)?;
    let is_bare = url.path() == "/" && !text.ends_with('/') && url.query().is_none() && url.fragment().is_none();
    let origin = url.origin().ascii_serialization();
    // A URL parser allows more in a host, such as a semicolon, which ends a directive of a policy, or an asterisk.
    let is_plain = origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]/".contains(&byte));
    if is_bare && is_plain {
        return Ok(origin);
    }
    Err(malformed(member, format!("{text:?} is not an origin such as \"https://assets.example\"")))
}

fn reason(refusal: &Refusal) -> Reason {
    let text = refusal.to_string();
    match refusal {
        Refusal::NotGranted(_) | Refusal::PlainHttp(_) | Refusal::Address { .. } => Reason::NotGranted(text),
        Refusal::NotAUrl(_) | Refusal::Credentials | Refusal::NotDeclared(_) => Reason::Malformed(text),
    }
}

fn name(one: OriginUse) -> &'static str {
    match one {
        OriginUse::Scripts => "scripts",
        OriginUse::Styles => "styles",
        OriginUse::Images => "images",
        OriginUse::Connections => "connections",
        OriginUse::Frames => "frames",
        OriginUse::Fonts => "fonts",
    }
}
