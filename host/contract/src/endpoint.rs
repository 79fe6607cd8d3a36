//! What a plugin says about itself, checked at installation: its identity, and its webhook endpoints.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;

use crate::ids::{InvalidId, PluginId};
use crate::records::{Authentication, Endpoint, Field, Identity, WebhookHmac};
use crate::settings::Form;

/// Each endpoint has a name of its own, and its requests can be told to be the vendor's.
pub fn check_endpoints(endpoints: &[Endpoint], form: &Form) -> Result<(), String> {
    let mut names = std::collections::BTreeSet::new();
    for Endpoint { name, authentication, event_id_header, .. } in endpoints {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(format!("{name:?} is no webhook's name; use a-z, 0-9 and \"-\""));
        }
        if !names.insert(name) {
            return Err(format!("the webhook {name:?} stands twice"));
        }
        check_authentication(authentication, form).map_err(|fault| format!("the webhook {name:?}: {fault}"))?;
        if let Some(header) = event_id_header
            && header.parse::<HeaderName>().is_err()
        {
            return Err(format!("the webhook {name:?}: {header:?} is no header name"));
        }
    }
    Ok(())
}

/// Checks what a plugin says it is.
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
                return Err(format!("the host {host:?} names {name:?}, which is no url field of the form"));
            }
            None if !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) => {}
            None => return Err(format!("{host:?} is no host name")),
        }
    }
    let mut names = std::collections::BTreeSet::new();
    for strategy in &identity.strategies {
        if strategy.name.is_empty() || !names.insert(&strategy.name) {
            return Err(format!("the strategy {:?} has no name, or stands twice", strategy.name));
        }
    }
    Ok(id)
}

/// Can the host do what the plugin says about an endpoint? Asked at installation, so that no request finds out.
fn check_authentication(authentication: &Authentication, form: &Form) -> Result<(), String> {
    let name = match authentication {
        Authentication::AddressOnly => return Ok(()),
        Authentication::StandardWebhooks(name) => name,
        Authentication::HmacSha256(hmac) => {
            Encoding::of(hmac)?;
            for header in [Some(&hmac.header), hmac.timestamp_header.as_ref()].into_iter().flatten() {
                header.parse::<HeaderName>().map_err(|_| format!("{header:?} is no header name"))?;
            }
            &hmac.secret
        }
    };
    match form.field(name) {
        Some(field) if field.kind == "secret" => Ok(()),
        _ => Err(format!("its signatures are checked with {name:?}, which is no secret field of the form")),
    }
}

/// How a signature is written.
#[derive(Clone, Copy)]
pub enum Encoding {
    /// Hexadecimal digits.
    Hex,
    /// Base64.
    Base64,
}

impl Encoding {
    /// The encoding that a plugin names.
    ///
    /// # Errors
    /// For one that the host does not know.
    pub fn of(hmac: &WebhookHmac) -> Result<Self, String> {
        match hmac.encoding.as_str() {
            "hex" => Ok(Self::Hex),
            "base64" => Ok(Self::Base64),
            other => Err(format!("the encoding {other:?} of its signatures is neither \"hex\" nor \"base64\"")),
        }
    }

    /// The signature, if it is written in one of the ways in which this one can be: hex in one case, base64 with its padding
    /// and without stray bits. What can be spelled in many ways lets a changed request look like another one.
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
            let refused = check_identity(&identity(version), &[]).unwrap_err();
            assert!(refused.contains("1.2.3") && refused.contains("semantic versioning"), "{version}: {refused}");
        }
    }

    #[test]
    fn an_endpoint_whose_requests_could_never_be_told_is_not_installed() {
        assert_eq!(check_endpoints(&[endpoint(|_, _| ())], &form()), Ok(()));
        let cases: [(Endpoint, &str); 7] = [
            (endpoint(|_, hmac| hmac.secret = "name".to_owned()), "no secret field"),
            (endpoint(|_, hmac| hmac.secret = "none".to_owned()), "no secret field"),
            (endpoint(|_, hmac| hmac.encoding = "base32".to_owned()), "\"base32\""),
            (endpoint(|_, hmac| hmac.header = "X Signature".to_owned()), "no header name"),
            (endpoint(|_, hmac| hmac.timestamp_header = Some(String::new())), "no header name"),
            (endpoint(|endpoint, _| endpoint.event_id_header = Some("a:b".to_owned())), "no header name"),
            (endpoint(|endpoint, _| endpoint.name = "Done".to_owned()), "no webhook's name"),
        ];
        for (endpoint, fault) in cases {
            let refused = check_endpoints(&[endpoint], &form()).unwrap_err();
            assert!(refused.contains(fault), "{refused}");
        }
        let twice = [endpoint(|_, _| ()), endpoint(|_, _| ())];
        assert!(check_endpoints(&twice, &form()).unwrap_err().contains("twice"));
    }
}
