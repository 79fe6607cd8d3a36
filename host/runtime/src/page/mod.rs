//! Checks of embed data before it leaves the host: what a product page loads, calls and hears.
//!
//! A page trusts embed data as it trusts the shop: it runs the scripts that it names and calls the functions that it names. So
//! the host passes on only what the contract allows, from hosts that the plugin declares and the operator granted, by the same
//! rule as requests ([`check_url`](cartwright_engine::egress::check_url)). Everything else refuses the whole page.
//!
//! The checks read every text once; the engine's limit `bytes_out` bounds their length.

mod calls;
mod origins;
mod placeholders;
#[cfg(test)]
mod tests;

use cartwright_contract::error::PageError;
use cartwright_contract::grants::Grants;
use cartwright_contract::records::{Asset, EmbedData, Frame, Message, Mount, OriginUse, PageEvent};
use cartwright_contract::text::{self, MAX_MESSAGE_CHARS, MAX_NAME_BYTES, MAX_URL_BYTES, check_line};
use cartwright_engine::Scope;

use self::calls::Calls;
use self::origins::{Origins, success_page};

/// Maximum number of scripts, and of style sheets.
const MAX_ASSETS: usize = 50;
/// Maximum number of mounts.
const MAX_MOUNTS: usize = 50;
/// Maximum number of page events.
const MAX_EVENTS: usize = 100;
/// Maximum number of members that may hold the name of a frame's message.
const MAX_NAME_MEMBERS: usize = 10;
/// Maximum number of features, and of sandbox tokens, of a frame.
const MAX_TOKENS: usize = 50;

/// Names that lead from any object of the page to code of the page.
const PROTOTYPE_NAMES: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// The tokens of an iframe's `sandbox` attribute (HTML, 4.8.5) that keep the frame from leading the shop's page elsewhere.
const SANDBOX_TOKENS: [&str; 11] = [
    "allow-downloads",
    "allow-forms",
    "allow-modals",
    "allow-orientation-lock",
    "allow-pointer-lock",
    "allow-popups",
    "allow-popups-to-escape-sandbox",
    "allow-presentation",
    "allow-same-origin",
    "allow-scripts",
    "allow-storage-access-by-user-activation",
];

/// A member of the embed data that refuses the page.
#[derive(Debug, PartialEq)]
struct Fault {
    /// The path of the member, such as `scripts[0].url`.
    member: String,
    reason: Reason,
}

/// Why a member refuses the page.
#[derive(Debug, PartialEq)]
enum Reason {
    /// It breaks the contract.
    Malformed(String),
    /// The operator did not grant what it needs. The text names the setting.
    NotGranted(String),
}

/// Returns the fault of a member that breaks the contract.
fn malformed(member: impl Into<String>, reason: impl Into<String>) -> Fault {
    Fault { member: member.into(), reason: Reason::Malformed(reason.into()) }
}

/// Returns embed data in the form in which a page may have it: with canonical addresses and displayable messages.
///
/// # Errors
/// [`PageError`] names the first member that is refused.
pub(crate) fn check(embed: EmbedData, scope: &Scope) -> Result<EmbedData, PageError> {
    checked(embed, &scope.declared_hosts, &scope.grants).map_err(|Fault { member, reason }| {
        let plugin = scope.plugin.clone();
        let short = |text: String| text::sanitize(&text, MAX_MESSAGE_CHARS).text;
        match reason {
            Reason::Malformed(reason) => PageError::Malformed { plugin, member, reason: short(reason) },
            Reason::NotGranted(reason) => PageError::NotGranted { plugin, member, reason: short(reason) },
        }
    })
}

fn checked(embed: EmbedData, declared_hosts: &[String], grants: &Grants) -> Result<EmbedData, Fault> {
    let EmbedData {
        scripts,
        styles,
        frame,
        mounts,
        supported,
        start,
        events,
        save,
        payload,
        action,
        success_page: next_page,
        allowed_origins,
        fallback,
        extra,
    } = embed;
    let origins = Origins::check(allowed_origins, declared_hosts, grants)?;
    let scripts = check_assets("scripts", scripts, &origins, OriginUse::Scripts)?;
    let styles = check_assets("styles", styles, &origins, OriginUse::Styles)?;
    let frame = frame.map(|frame| check_frame(frame, &origins)).transpose()?;
    check_mounts(&mounts)?;
    check_events(&events)?;
    let calls = Calls { mounts: &mounts, events: &events, has_frame: frame.is_some() };
    calls.check(supported.as_ref(), start.as_ref(), save.as_ref(), &payload)?;
    let next_page = next_page.map(|page| success_page(&page, grants)).transpose()?;
    let fallback = check_message("fallback", fallback)?;
    Ok(EmbedData {
        scripts,
        styles,
        frame,
        mounts,
        supported,
        start,
        events,
        save,
        payload,
        action,
        success_page: next_page,
        allowed_origins: origins.into_list(),
        fallback,
        extra,
    })
}

fn check_assets(member: &str, assets: Vec<Asset>, origins: &Origins, needed: OriginUse) -> Result<Vec<Asset>, Fault> {
    check_count(member, assets.len(), MAX_ASSETS)?;
    let mut checked = Vec::with_capacity(assets.len());
    for (index, Asset { url, integrity, module }) in assets.into_iter().enumerate() {
        let url = origins.url(&format!("{member}[{index}].url"), &url, needed)?;
        if let Some(value) = &integrity
            && !is_integrity(value)
        {
            // A browser ignores what it does not understand, and would load any bytes.
            let text = "it is not a value of Subresource Integrity, such as \"sha384-…\" with base64";
            return Err(malformed(format!("{member}[{index}].integrity"), text));
        }
        checked.push(Asset { url, integrity, module });
    }
    Ok(checked)
}

/// Returns whether a text is a list of digests (Subresource Integrity, 3.5).
fn is_integrity(value: &str) -> bool {
    let is_digest = |text: &str| {
        let base64 = ["sha256-", "sha384-", "sha512-"].iter().find_map(|algorithm| text.strip_prefix(algorithm));
        base64.is_some_and(|base64| {
            !base64.is_empty() && base64.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
        })
    };
    value.len() <= MAX_NAME_BYTES && !value.is_empty() && value.split(' ').all(is_digest)
}

fn check_frame(frame: Frame, origins: &Origins) -> Result<Frame, Fault> {
    let Frame { url, title, allow, sandbox, origin } = frame;
    let url = origins.url("frame.url", &url, OriginUse::Frames)?;
    let title = check_message("frame.title", title)?;
    check_count("frame.allow", allow.len(), MAX_TOKENS)?;
    for (index, feature) in allow.iter().enumerate() {
        let is_feature = !feature.is_empty()
            && feature.len() <= MAX_NAME_BYTES
            && feature.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_feature {
            let text = format!("{feature:?} is not the name of a feature, such as \"fullscreen\"");
            return Err(malformed(format!("frame.allow[{index}]"), text));
        }
    }
    check_count("frame.sandbox", sandbox.len(), MAX_TOKENS)?;
    for (index, token) in sandbox.iter().enumerate() {
        if !SANDBOX_TOKENS.contains(&token.as_str()) {
            let text = match token.starts_with("allow-top-navigation") {
                true => format!("{token:?} would let the frame replace the shop's page"),
                false => format!("{token:?} is not a known token; known are {}", SANDBOX_TOKENS.join(", ")),
            };
            return Err(malformed(format!("frame.sandbox[{index}]"), text));
        }
    }
    let origin = origins.origin("frame.origin", &origin, OriginUse::Frames)?;
    Ok(Frame { url, title, allow, sandbox, origin })
}

fn check_mounts(mounts: &[Mount]) -> Result<(), Fault> {
    check_count("mounts", mounts.len(), MAX_MOUNTS)?;
    for (index, Mount { role, selector, required: _ }) in mounts.iter().enumerate() {
        check_word(&format!("mounts[{index}].role"), role)?;
        if mounts.iter().take(index).any(|earlier| earlier.role == *role) {
            return Err(malformed(format!("mounts[{index}].role"), format!("duplicate role {role:?}")));
        }
        if let Some(selector) = selector {
            check_text(&format!("mounts[{index}].selector"), selector)?;
        }
    }
    Ok(())
}

fn check_events(events: &[PageEvent]) -> Result<(), Fault> {
    check_count("events", events.len(), MAX_EVENTS)?;
    for (index, PageEvent { name, name_in, value_in, meaning }) in events.iter().enumerate() {
        check_word(&format!("events[{index}].name"), name)?;
        check_word(&format!("events[{index}].meaning"), meaning)?;
        check_count(&format!("events[{index}].name_in"), name_in.len(), MAX_NAME_MEMBERS)?;
        let members = name_in.iter().map(|member| ("name_in", member));
        for (list, member) in members.chain(value_in.iter().map(|member| ("value_in", member))) {
            check_word(&format!("events[{index}].{list}"), member)?;
            if PROTOTYPE_NAMES.contains(&member.as_str()) {
                return Err(malformed(format!("events[{index}].{list}"), format!("{member:?} is refused")));
            }
        }
    }
    Ok(())
}

/// Checks a message that people must see, and returns it in displayable form.
fn check_message(member: &str, message: Message) -> Result<Message, Fault> {
    let message = text::message(message);
    if message.text.trim().is_empty() {
        return Err(malformed(member, "its text is empty"));
    }
    Ok(message)
}

fn check_count(member: &str, count: usize, allowed: usize) -> Result<(), Fault> {
    if count > allowed {
        return Err(malformed(member, format!("it has {count} entries; at most {allowed} are allowed")));
    }
    Ok(())
}

/// Checks a name that must not be empty.
fn check_word(member: &str, word: &str) -> Result<(), Fault> {
    if word.is_empty() {
        return Err(malformed(member, "it is empty"));
    }
    check_line(word, MAX_NAME_BYTES).map_err(|fault| malformed(member, fault.to_string()))
}

/// Checks a text on one line.
fn check_text(member: &str, line: &str) -> Result<(), Fault> {
    check_line(line, MAX_URL_BYTES).map_err(|fault| malformed(member, fault.to_string()))
}
