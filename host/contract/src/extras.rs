//! The rules of the lists `extra` that a plugin passes to the host.
//!
//! The build script implements [`Extras`] for every type of the contract, so that no list is forgotten. The rules are
//! those of the contract's `named-json`. This host knows no name that a plugin gives it, so it ignores all names but
//! those that must be understood.

use std::collections::HashSet;

use serde::de::IgnoredAny;

use crate::error::invalid_input;
use crate::ids::PluginId;
use crate::records::{CallError, NamedJson};
use crate::text::{MAX_DATA_BYTES, TextFault, check_name};

/// A type of the contract that may contain lists `extra`.
pub trait Extras {
    /// Checks every list `extra` in this value, which the plugin passed to the host.
    ///
    /// # Errors
    /// Returns the first [`ExtraFault`].
    fn check_extras(&self, _plugin: &PluginId) -> Result<(), ExtraFault> {
        Ok(())
    }
}

impl<T: Extras> Extras for Vec<T> {
    fn check_extras(&self, plugin: &PluginId) -> Result<(), ExtraFault> {
        self.iter().try_for_each(|value| value.check_extras(plugin))
    }
}

impl<T: Extras> Extras for Option<T> {
    fn check_extras(&self, plugin: &PluginId) -> Result<(), ExtraFault> {
        self.as_ref().map_or(Ok(()), |value| value.check_extras(plugin))
    }
}

/// Why a list `extra` of a plugin is refused. The plugin's author must change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the `extra` of a `{record}` {reason}")]
pub struct ExtraFault {
    /// The record of the contract that the list belongs to.
    pub record: &'static str,
    /// What is wrong with the list.
    pub reason: ExtraFaultReason,
}

/// What is wrong with a list `extra`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraFaultReason {
    /// A name must be understood, and this host does not know it.
    #[error("has the name {0:?}, which must be understood, and this host does not know it; a later host may")]
    NotUnderstood(String),
    /// A name occurs twice.
    #[error("has the name {0:?} twice")]
    DuplicateName(String),
    /// A name cannot be stored.
    #[error("has a name that cannot be stored: {0}")]
    Name(TextFault),
    /// A name is empty.
    #[error("has an empty name")]
    EmptyName,
    /// A name belongs to another plugin.
    #[error("has the name {name:?}; the names of this plugin begin with \"{plugin}/\"")]
    OtherPlugin {
        /// The name.
        name: String,
        /// The plugin that passed it.
        plugin: PluginId,
    },
    /// A value is not well-formed JSON.
    #[error("has a value of {0:?} that is not well-formed JSON")]
    NotJson(String),
    /// The texts of the list are too long.
    #[error("has {bytes} bytes; at most {MAX_DATA_BYTES} are allowed")]
    TooLong {
        /// Length of all names and values together, in bytes.
        bytes: usize,
    },
}

impl From<ExtraFault> for CallError {
    /// Converts to the error that a plugin receives from an imported function.
    fn from(fault: ExtraFault) -> Self {
        invalid_input("extra", "extra-refused", fault.to_string())
    }
}

/// Checks one list. Generated code calls it.
pub(crate) fn check_list(plugin: &PluginId, record: &'static str, list: &[NamedJson]) -> Result<(), ExtraFault> {
    if list.is_empty() {
        return Ok(());
    }
    check_entries(plugin, list).map_err(|reason| ExtraFault { record, reason })
}

fn check_entries(plugin: &PluginId, list: &[NamedJson]) -> Result<(), ExtraFaultReason> {
    let bytes = list.iter().fold(0_usize, |sum, entry| sum + entry.name.len() + entry.json.len());
    if bytes > MAX_DATA_BYTES {
        return Err(ExtraFaultReason::TooLong { bytes });
    }
    let mut names = HashSet::with_capacity(list.len());
    for NamedJson { name, json } in list {
        check_name(name).map_err(ExtraFaultReason::Name)?;
        if name.is_empty() {
            return Err(ExtraFaultReason::EmptyName);
        }
        if name.starts_with('!') {
            return Err(ExtraFaultReason::NotUnderstood(name.clone()));
        }
        if !names.insert(name.as_str()) {
            return Err(ExtraFaultReason::DuplicateName(name.clone()));
        }
        if name.split_once('/').is_some_and(|(owner, _)| owner != plugin.as_str()) {
            return Err(ExtraFaultReason::OtherPlugin { name: name.clone(), plugin: plugin.clone() });
        }
        if serde_json::from_str::<IgnoredAny>(json).is_err() {
            return Err(ExtraFaultReason::NotJson(name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Article, Auth, ClientCredentials, HttpRequest, Outcome, RetrySafety, SecretPlace};

    fn entry(name: &str, json: &str) -> NamedJson {
        NamedJson { name: name.to_owned(), json: json.to_owned() }
    }

    fn check(list: &[NamedJson]) -> Result<(), ExtraFaultReason> {
        check_list(&"example".parse().unwrap(), "item", list).map_err(|fault| fault.reason)
    }

    #[test]
    fn a_name_that_must_be_understood_is_refused_and_named() {
        let fault = check_list(&"example".parse().unwrap(), "planned-line", &[entry("!sold-by-meter", "true")]);
        let text = fault.unwrap_err().to_string();
        assert!(text.contains("`planned-line`") && text.contains("\"!sold-by-meter\""), "{text}");
        assert_eq!(
            check(&[entry("!example/own", "1")]),
            Err(ExtraFaultReason::NotUnderstood("!example/own".to_owned())),
        );
    }

    #[test]
    fn other_names_that_the_host_does_not_know_are_ignored() {
        check(&[entry("barcode", "\"40123\""), entry("example/color", "{\"code\":[1.5,null]}")]).unwrap();
    }

    #[test]
    fn a_name_stands_once_and_a_plugin_uses_its_own() {
        let twice = [entry("example/a", "1"), entry("example/a", "1")];
        assert_eq!(check(&twice), Err(ExtraFaultReason::DuplicateName("example/a".to_owned())));
        let other = check(&[entry("other/a", "1")]).unwrap_err();
        assert!(matches!(&other, ExtraFaultReason::OtherPlugin { name, .. } if name == "other/a"), "{other}");
        assert_eq!(check(&[entry("", "1")]), Err(ExtraFaultReason::EmptyName));
        assert_eq!(check(&[entry("a\nb", "1")]), Err(ExtraFaultReason::Name(TextFault::Control('\n'))));
    }

    #[test]
    fn values_are_well_formed_json() {
        for json in ["", "{", "nul", "1 2", "'a'", "\"\0\""] {
            assert_eq!(check(&[entry("a", json)]), Err(ExtraFaultReason::NotJson("a".to_owned())), "{json}");
        }
    }

    #[test]
    fn the_texts_of_one_list_have_at_most_64_kilobytes() {
        let text = |bytes: usize| entry("a", &format!("\"{}\"", "x".repeat(bytes - 3)));
        check(&[text(MAX_DATA_BYTES)]).unwrap();
        let bytes = MAX_DATA_BYTES + 1;
        assert_eq!(check(&[text(bytes)]), Err(ExtraFaultReason::TooLong { bytes }));
    }

    #[test]
    fn a_list_inside_other_types_is_found() {
        let article = serde_json::json!({
            "sku": "A", "quantity": "1", "price_sku": null, "price": null, "material_sku": null,
            "extra": [{ "name": "!new", "json": "1" }],
        });
        let article: Article = serde_json::from_value(article).unwrap();
        let outcome: Outcome = serde_json::from_value(serde_json::json!({
            "bill-of-materials": { "line": "1", "articles": [article.clone()] },
        }))
        .unwrap();
        let plugin = "example".parse().unwrap();
        assert_eq!(vec![Some(article)].check_extras(&plugin).unwrap_err().record, "article");
        assert_eq!(outcome.check_extras(&plugin).unwrap_err().record, "article");
    }

    #[test]
    fn a_request_is_refused_by_what_it_or_its_authentication_must_have_understood() {
        let request = |extra: Vec<NamedJson>, auth: Vec<Auth>| HttpRequest {
            method: "GET".to_owned(),
            url: "https://vendor.example/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            auth,
            timeout_ms: None,
            retry_safety: RetrySafety::Safe,
            store_body: false,
            extra,
        };
        let credentials = ClientCredentials {
            token_url: "https://vendor.example/token".to_owned(),
            client_id: "shop".to_owned(),
            secret: "key".to_owned(),
            secret_in: SecretPlace::Form,
            parameters: Vec::new(),
            extra: vec![entry("!mutual-tls", "1")],
        };
        let plugin = "example".parse().unwrap();
        request(vec![entry("note", "1")], Vec::new()).check_extras(&plugin).unwrap();
        let refused = request(vec![entry("!mutual-tls", "1")], Vec::new()).check_extras(&plugin).unwrap_err();
        assert_eq!(refused.record, "http-request");
        let with_credentials = request(Vec::new(), vec![Auth::ClientCredentials(credentials)]);
        assert_eq!(with_credentials.check_extras(&plugin).unwrap_err().record, "client-credentials");
    }
}
