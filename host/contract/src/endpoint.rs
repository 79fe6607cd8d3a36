//! Checks of the plugin metadata and of the webhook endpoints that a plugin declares, made at installation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;

use crate::ids::{InvalidId, PluginId};
use crate::records::{Authentication, Endpoint, Field, Identity, WebhookHmac};
use crate::settings::Form;

/// Checks that each endpoint has a valid, unique name and an authentication that the host can verify.
pub fn check_endpoints(endpoints: &[Endpoint], form: &Form) -> Result<(), String> {
    let mut names = std::collections::BTreeSet::new();
    for Endpoint { name, authentication, event_id_header, .. } in endpoints {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(format!("{name:?} is not a valid name of a webhook endpoint; use a-z, 0-9 and \"-\""));
        }
        if !names.insert(name) {
            return Err(format!("duplicate webhook endpoint {name:?}; give each endpoint its own name"));
        }
        check_authentication(authentication, form)
            .map_err(|fault| format!("the webhook endpoint {name:?}: {fault}"))?;
        if let Some(header) = event_id_header
            && header.parse::<HeaderName>().is_err()
        {
            return Err(format!("the webhook endpoint {name:?}: {header:?} is not a header name"));
        }
    }
    Ok(())
}

/// Checks the plugin metadata against the fields of the settings form, and returns the plugin id.
pub fn check_identity(identity: &Identity, fields: &[Field]) -> Result<PluginId, String> {
    let id: PluginId = identity.id.parse().map_err(|error: InvalidId| error.to_string())?;
    if let Err(error) = semver::Version::parse(&identity.version) {
        return Err(format!(
            "the version {:?} is not of the form \"1.2.3\" of semantic versioning: {error}",
            identity.version
        ));
    }
    for field in fields {
        if let Some(host) = field.hosts.iter().find(|host| !identity.hosts.contains(host)) {
            let name = &field.name;
            return Err(format!("the field {name:?} may be sent to {host:?}, which identity.hosts does not list"));
        }
    }
    let all = fields.iter().flat_map(|field| &field.hosts).chain(&identity.hosts);
    for host in all {
        match host.strip_prefix("setting:") {
            Some(name) if fields.iter().any(|field| field.name == name && field.kind == "url") => {}
            Some(name) => {
                return Err(format!("the host {host:?} names {name:?}, which is not a url field of the form"));
            }
            None if !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) => {}
            None => return Err(format!("{host:?} is not a host name")),
        }
    }
    let mut names = std::collections::BTreeSet::new();
    for strategy in &identity.strategies {
        if strategy.name.is_empty() || !names.insert(&strategy.name) {
            return Err(format!("the strategy {:?} has an empty or duplicate name", strategy.name));
        }
    }
    Ok(id)
}

/// Checks that the host can verify the declared authentication. The check runs at installation, so that no webhook
/// fails because of it.
fn check_authentication(authentication: &Authentication, form: &Form) -> Result<(), String> {
    let name = match authentication {
        Authentication::AddressOnly => return Ok(()),
        Authentication::StandardWebhooks(name) => name,
        Authentication::HmacSha256(hmac) => {
            Encoding::of(hmac)?;
            for header in [Some(&hmac.header), hmac.timestamp_header.as_ref()].into_iter().flatten() {
                header.parse::<HeaderName>().map_err(|_| format!("{header:?} is not a header name"))?;
            }
            &hmac.secret
        }
    };
    match form.field(name) {
        Some(field) if field.kind == "secret" => Ok(()),
        _ => Err(format!("its signatures are checked with {name:?}, which is not a secret field of the form")),
    }
}

/// The text encoding of a signature.
#[derive(Clone, Copy)]
pub enum Encoding {
    /// Hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

impl Encoding {
    /// Returns the encoding that a plugin names.
    ///
    /// # Errors
    /// Returns a message if the encoding is unknown.
    pub fn of(hmac: &WebhookHmac) -> Result<Self, String> {
        match hmac.encoding.as_str() {
            "hex" => Ok(Self::Hex),
            "base64" => Ok(Self::Base64),
            other => Err(format!("the encoding {other:?} of its signatures is neither \"hex\" nor \"base64\"")),
        }
    }

    /// Decodes a signature. Returns `None` unless it is spelled canonically: hex digits in one case, or base64 with
    /// padding and without stray bits. If several spellings were accepted, a changed request could pass for a new one.
    pub fn decode(self, written: &str) -> Option<[u8; 32]> {
        let bytes = match self {
            Self::Hex => {
                let has = |case: fn(&u8) -> bool| written.as_bytes().iter().any(case);
                if has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) {
                    return None;
                }
                hex::decode(written).ok()?
            }
            Self::Base64 => STANDARD.decode(written).ok()?,
        };
        bytes.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Purpose;
    use crate::settings::testing::field;

    fn form() -> Form {
        Form(vec![field("signing-secret", "secret"), field("name", "text")])
    }

    fn endpoint(change: impl FnOnce(&mut Endpoint, &mut WebhookHmac)) -> Endpoint {
        let mut hmac = WebhookHmac {
            secret: "signing-secret".to_owned(),
            header: "X-Signature".to_owned(),
            encoding: "hex".to_owned(),
            prefix: String::new(),
            timestamp_header: None,
        };
        let mut endpoint = Endpoint {
            name: "done".to_owned(),
            title: "Done".to_owned(),
            purpose: Purpose::Notice,
            authentication: Authentication::AddressOnly,
            event_id_header: None,
        };
        change(&mut endpoint, &mut hmac);
        endpoint.authentication = Authentication::HmacSha256(hmac);
        endpoint
    }

    #[test]
    fn a_version_is_one_of_semantic_versioning() {
        let identity = |version: &str| Identity {
            id: "plugin".to_owned(),
            name: "Plugin".to_owned(),
            version: version.to_owned(),
            vendor: "Cartwright's tests".to_owned(),
            hosts: Vec::new(),
            strategies: Vec::new(),
            capabilities: Vec::new(),
            grants: Vec::new(),
            extra: Vec::new(),
        };
        for version in ["1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3-rc.1+build.07", "1.2.3+01"] {
            assert!(check_identity(&identity(version), &[]).is_ok(), "{version}");
        }
        for version in
            ["1.02.0", "01.2.0", "1.2", "1.2.3.4", "1.2.3-01", "1.2.3-", "v1.2.3", "1.2.x", "", " 1.2.3", "+1.2.3"]
        {
            let fault_text = check_identity(&identity(version), &[]).unwrap_err();
            assert!(
                fault_text.contains("1.2.3") && fault_text.contains("semantic versioning"),
                "{version}: {fault_text}"
            );
        }
    }

    #[test]
    fn an_endpoint_whose_requests_cannot_be_verified_is_not_installed() {
        assert_eq!(check_endpoints(&[endpoint(|_, _| ())], &form()), Ok(()));
        let cases: [(Endpoint, &str); 7] = [
            (endpoint(|_, hmac| hmac.secret = "name".to_owned()), "not a secret field"),
            (endpoint(|_, hmac| hmac.secret = "none".to_owned()), "not a secret field"),
            (endpoint(|_, hmac| hmac.encoding = "base32".to_owned()), "\"base32\""),
            (endpoint(|_, hmac| hmac.header = "X Signature".to_owned()), "not a header name"),
            (endpoint(|_, hmac| hmac.timestamp_header = Some(String::new())), "not a header name"),
            (endpoint(|endpoint, _| endpoint.event_id_header = Some("a:b".to_owned())), "not a header name"),
            (endpoint(|endpoint, _| endpoint.name = "Done".to_owned()), "not a valid name"),
        ];
        for (endpoint, fault) in cases {
            let fault_text = check_endpoints(&[endpoint], &form()).unwrap_err();
            assert!(fault_text.contains(fault), "{fault_text}");
        }
        let twice = [endpoint(|_, _| ()), endpoint(|_, _| ())];
        assert!(check_endpoints(&twice, &form()).unwrap_err().contains("duplicate"));
    }
}
