//! The outbound hosts that a plugin declares or its settings name, and the secrets that are authorized for them.

use crate::address::host_of;
use crate::records::{Field, FieldIssue, Message, SettingValue};
use crate::settings::{Form, Secrets, Settings};

/// An outbound host that a plugin declares.
pub struct NamedHost {
    /// The host, as `host` or `host:port`.
    pub host: String,
    /// Whether the host comes from a setting. Otherwise the plugin declares it, by name or as the default of a field.
    pub from_setting: bool,
}

impl Form {
    /// Resolves a declared host, which is a name or a reference to a URL field. Returns `None` if the field has no
    /// value.
    pub fn named_host<'a>(
        &'a self,
        declared: &str,
        value: impl Fn(&str) -> Option<&'a SettingValue>,
    ) -> Option<NamedHost> {
        let Some(field) = declared.strip_prefix("setting:") else {
            return Some(NamedHost { host: declared.to_ascii_lowercase(), from_setting: false });
        };
        let setting_value = value(field);
        match setting_value.or_else(|| self.field(field)?.default_value.as_ref())? {
            SettingValue::Text(text) => {
                Some(NamedHost { host: host_of(&url::Url::parse(text).ok()?)?, from_setting: setting_value.is_some() })
            }
            _ => None,
        }
    }

    /// Returns the hosts that the field of a secret declares, resolved with these settings.
    pub(super) fn secret_hosts<'a>(
        &'a self,
        field: &'a Field,
        settings: &'a Settings,
    ) -> impl Iterator<Item = NamedHost> + 'a {
        field.outbound_hosts.iter().filter_map(|declared| self.named_host(declared, |name| settings.get(name)))
    }

    /// Authorizes secrets for the hosts that the form itself declares. The caller vouches for the plugin version;
    /// hosts from settings are not authorized, because they are unchecked.
    pub fn authorize_new_hosts(&self, settings: &Settings, secrets: &mut Secrets) {
        for field in self.0.iter().filter(|field| field.kind == "secret") {
            if let Some(secret) = secrets.get_mut(&field.name) {
                let declared_hosts = self.secret_hosts(field, settings).filter(|named| !named.from_setting);
                secret.authorized_hosts.extend(declared_hosts.map(|named| named.host));
            }
        }
    }

    /// Returns an issue for each secret that these settings would send to a host that the secret is not authorized
    /// for.
    pub fn secrets_for_new_hosts(&self, settings: &Settings, secrets: &Secrets) -> Vec<FieldIssue> {
        let issue = |field: &Field| {
            let secret = secrets.get(&field.name)?;
            let new_host = self.secret_hosts(field, settings).find(|new_host| !secret.may_send_to(new_host))?;
            let (host, mend) = match new_host.from_setting {
                true => (new_host.host, "enter it again, or name the host that it is authorized for"),
                // A version switch cannot enter secrets.
                false => (new_host.host, "enter it again, or ask an operator to switch to this version"),
            };
            let text = format!("It would be sent to {host}, which it is not authorized for: {mend}.");
            let message =
                Message { key: "secret-redirected".to_owned(), parameters: vec![("host".to_owned(), host)], text };
            Some(FieldIssue { field: field.name.clone(), message, blocking: true })
        };
        self.0.iter().filter(|field| field.kind == "secret").filter_map(issue).collect()
    }
}

impl super::AccountSecret {
    /// Returns whether the secret may be sent to this host.
    pub fn may_send_to(&self, named: &NamedHost) -> bool {
        self.authorized_hosts.contains(&named.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::testing::field;
    use crate::settings::{AccountSecret, Secret};

    fn form(default: Option<&str>) -> Form {
        let default_value = default.map(|url| SettingValue::Text(url.to_owned()));
        let outbound_hosts = vec!["files.vendor.example".to_owned(), "setting:url".to_owned()];
        let token = Field { outbound_hosts, ..field("token", "secret") };
        Form::check(vec![token, Field { default_value, ..field("url", "url") }]).unwrap()
    }

    fn secrets_for_new_hosts(form: &Form, url: Option<&str>, authorized_hosts: &[&str]) -> bool {
        let settings = url.map(|url| ("url".to_owned(), SettingValue::Text(url.to_owned())));
        let authorized_hosts = authorized_hosts.iter().map(|host| (*host).to_owned()).collect();
        let secret = AccountSecret { value: Secret::new("s"), authorized_hosts };
        !form
            .secrets_for_new_hosts(&Settings::from_iter(settings), &Secrets::from([("token".to_owned(), secret)]))
            .is_empty()
    }

    #[test]
    fn a_secret_is_sent_only_to_the_hosts_that_it_was_entered_for() {
        let (none, with) = (form(None), form(Some("https://v1.vendor.example/api")));
        let files = "files.vendor.example";
        assert!(
            !secrets_for_new_hosts(&none, None, &[files])
                && !secrets_for_new_hosts(&with, None, &[files, "v1.vendor.example"])
        );
        assert!(secrets_for_new_hosts(&none, Some("https://a.example/x"), &[files]));
        assert!(!secrets_for_new_hosts(&none, Some("https://A.example/y"), &[files, "a.example"]));
        // Another port is another server.
        assert!(secrets_for_new_hosts(&none, Some("https://a.example:8443/"), &[files, "a.example"]));
        // A host that another version declares is another server too.
        assert!(secrets_for_new_hosts(&none, None, &[]) && secrets_for_new_hosts(&with, None, &[files]));
    }

    #[test]
    fn authorizing_a_version_covers_its_declared_hosts_and_no_setting() {
        let form = form(Some("https://v2.vendor.example/api"));
        let secret =
            AccountSecret { value: Secret::new("s"), authorized_hosts: ["v1.vendor.example".to_owned()].into() };
        let authorized_hosts_of = |settings: Settings| {
            let mut secrets = Secrets::from([("token".to_owned(), secret.clone())]);
            form.authorize_new_hosts(&settings, &mut secrets);
            secrets["token"].authorized_hosts.iter().cloned().collect::<Vec<_>>()
        };
        let expected_hosts = ["files.vendor.example", "v1.vendor.example", "v2.vendor.example"];
        assert_eq!(authorized_hosts_of(Settings::new()), expected_hosts);
        let set_value = SettingValue::Text("https://thief.example/".to_owned());
        assert_eq!(authorized_hosts_of(Settings::from([("url".to_owned(), set_value)])), expected_hosts[..2]);
    }

    #[test]
    fn entering_a_secret_authorizes_each_host_of_its_field() {
        let form = form(None);
        let read =
            |values: serde_json::Value, old_secrets: &Secrets| form.read(values.as_object().unwrap(), old_secrets);
        let hosts = |secrets: &Secrets| secrets["token"].authorized_hosts.iter().cloned().collect::<Vec<_>>();
        let first = serde_json::json!({ "url": "https://a.example/x", "token": "s" });
        let (_, old_secrets) = read(first, &Secrets::new()).unwrap();
        assert_eq!(hosts(&old_secrets), ["a.example", "files.vendor.example"]);
        let other_host = serde_json::json!({ "url": "https://b.example/x" });
        let issues = read(other_host, &old_secrets).unwrap_err();
        assert_eq!((issues[0].field.as_str(), issues[0].message.key.as_str()), ("token", "secret-redirected"));
        let same = serde_json::json!({ "url": "https://b.example/x", "token": "s" });
        assert_eq!(hosts(&read(same, &old_secrets).unwrap().1), ["a.example", "b.example", "files.vendor.example"]);
        let other = serde_json::json!({ "url": "https://b.example/x", "token": "t" });
        assert_eq!(hosts(&read(other, &old_secrets).unwrap().1), ["b.example", "files.vendor.example"]);
        let long = "s".repeat(crate::settings::MAX_SECRET_BYTES + 1);
        let long = read(serde_json::json!({ "token": long }), &old_secrets).unwrap_err();
        assert_eq!((long[0].field.as_str(), long[0].message.key.as_str()), ("token", "setting-long"));
        let away = serde_json::json!({ "url": "https://b.example/x", "token": "" });
        assert_eq!(read(away, &old_secrets).unwrap().1, Secrets::new());
    }
}
