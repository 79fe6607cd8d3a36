//! Checks of the metadata that a plugin states, made at installation.

use std::collections::BTreeSet;

use crate::grants::PERMISSIONS;
use crate::ids::{InvalidId, PluginId};
use crate::records::{Field, PluginMetadata};
use crate::settings::is_contract_name;
use crate::text::check_name;

/// Checks the plugin metadata against the fields of the settings form, and returns the plugin id. `has_cart` says
/// whether the plugin exports `cart`.
///
/// # Errors
/// Says what the author must change.
pub fn check_metadata(metadata: &PluginMetadata, fields: &[Field], has_cart: bool) -> Result<PluginId, String> {
    let id: PluginId = metadata.id.parse().map_err(|error: InvalidId| error.to_string())?;
    if metadata.name.trim().is_empty() {
        return Err("the name is empty; merchants know the plugin by it".to_owned());
    }
    check_shown(metadata, fields)?;
    if let Err(error) = semver::Version::parse(&metadata.version) {
        return Err(format!(
            "the version {:?} is not of the form \"1.2.3\" of semantic versioning: {error}",
            metadata.version
        ));
    }
    check_hosts(metadata, fields)?;
    check_strategies(metadata, has_cart)?;
    let mut grants = BTreeSet::new();
    for grant in &metadata.grants {
        if !PERMISSIONS.contains(&grant.as_str()) {
            return Err(format!("the unknown grant {grant:?}; the known grants are {PERMISSIONS:?}"));
        }
        if !grants.insert(grant) {
            return Err(format!("duplicate grant {grant:?}"));
        }
    }
    Ok(id)
}

/// Checks the texts that people judge a plugin by, because a control character could hide the rest of a terminal's output.
fn check_shown(metadata: &PluginMetadata, fields: &[Field]) -> Result<(), String> {
    let titles = metadata.strategies.iter().map(|strategy| ("the title of a strategy", &strategy.title.text));
    let labels = fields.iter().map(|field| ("the label of a field", &field.label.text));
    let own =
        [("the name", &metadata.name), ("the version", &metadata.version), ("the publisher", &metadata.publisher)];
    own.into_iter()
        .chain(titles)
        .chain(labels)
        .try_for_each(|(what, text)| check_name(text).map_err(|fault| format!("{what} cannot be shown: {fault}")))
}

/// Checks that outbound hosts are host names or fields of the form, and that secrets are for declared hosts.
fn check_hosts(metadata: &PluginMetadata, fields: &[Field]) -> Result<(), String> {
    let declared = &metadata.outbound_hosts;
    for field in fields {
        if let Some(host) = field.outbound_hosts.iter().find(|host| !declared.contains(host)) {
            let name = &field.name;
            return Err(format!(
                "the secret {name:?} is for the host {host:?}, which `outbound-hosts` of the metadata does not list"
            ));
        }
    }
    let mut hosts = BTreeSet::new();
    for host in declared {
        if !hosts.insert(host) {
            return Err(format!("duplicate outbound host {host:?}"));
        }
        match host.strip_prefix("setting:") {
            Some(name) if fields.iter().any(|field| field.name == name && field.kind == "url") => {}
            Some(name) => {
                return Err(format!("the outbound host {host:?} names {name:?}, which is not a url field of the form"));
            }
            None if !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) => {}
            None => return Err(format!("the outbound host {host:?} is not a host name")),
        }
    }
    Ok(())
}

fn check_strategies(metadata: &PluginMetadata, has_cart: bool) -> Result<(), String> {
    match (metadata.strategies.is_empty(), has_cart) {
        (true, true) => {
            return Err("the plugin exports `cart` and lists no strategy; list each that `cart.plan` knows".to_owned());
        }
        (false, false) => {
            return Err("the plugin lists strategies and does not export `cart`, which plans with them".to_owned());
        }
        _ => {}
    }
    let mut names = BTreeSet::new();
    for strategy in &metadata.strategies {
        let name = &strategy.name;
        if !is_contract_name(name) {
            return Err(format!("{name:?} is not the name of a strategy; use 1 to 64 of a-z, 0-9 and \"-\""));
        }
        if !names.insert(name) {
            return Err(format!("duplicate strategy {name:?}"));
        }
    }
    Ok(())
}

/// Checks that a plugin stated the same at two calls.
///
/// # Errors
/// Names a member that differs.
pub fn check_repeatable(first: &PluginMetadata, second: &PluginMetadata) -> Result<(), String> {
    let PluginMetadata { id, name, version, publisher, outbound_hosts, strategies, grants, extra } = first;
    let members = [
        ("id", *id == second.id),
        ("name", *name == second.name),
        ("version", *version == second.version),
        ("publisher", *publisher == second.publisher),
        ("outbound-hosts", *outbound_hosts == second.outbound_hosts),
        ("strategies", *strategies == second.strategies),
        ("grants", *grants == second.grants),
        ("extra", *extra == second.extra),
    ];
    match members.into_iter().find(|(_, is_same)| !is_same) {
        None => Ok(()),
        Some((member, _)) => Err(format!(
            "`metadata.describe` returned another {member} when it was called again; it must return the same at every call, \
             whatever the clock and the random numbers are"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Message, Strategy};
    use crate::settings::testing::field;

    fn metadata() -> PluginMetadata {
        PluginMetadata {
            id: "plugin".to_owned(),
            name: "Plugin".to_owned(),
            version: "1.2.3".to_owned(),
            publisher: "Cartwright's tests".to_owned(),
            outbound_hosts: Vec::new(),
            strategies: Vec::new(),
            grants: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn strategy(name: &str) -> Strategy {
        let title = Message { key: name.to_owned(), parameters: Vec::new(), text: "Title".to_owned() };
        Strategy { name: name.to_owned(), title, extra: Vec::new() }
    }

    #[track_caller]
    fn is_refused(metadata: &PluginMetadata, fields: &[Field], has_cart: bool, reason: &str) {
        let error = check_metadata(metadata, fields, has_cart).unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
    }

    #[test]
    fn a_version_is_one_of_semantic_versioning() {
        let check =
            |version: &str| check_metadata(&PluginMetadata { version: version.to_owned(), ..metadata() }, &[], false);
        for version in ["1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3-rc.1+build.07", "1.2.3+01"] {
            assert!(check(version).is_ok(), "{version}");
        }
        for version in
            ["1.02.0", "01.2.0", "1.2", "1.2.3.4", "1.2.3-01", "1.2.3-", "v1.2.3", "1.2.x", "", " 1.2.3", "+1.2.3"]
        {
            let fault_text = check(version).unwrap_err();
            assert!(
                fault_text.contains("1.2.3") && fault_text.contains("semantic versioning"),
                "{version}: {fault_text}"
            );
        }
    }

    #[test]
    fn a_plugin_has_an_id_and_a_name() {
        is_refused(&PluginMetadata { id: "a b".to_owned(), ..metadata() }, &[], false, "a b");
        is_refused(&PluginMetadata { name: " ".to_owned(), ..metadata() }, &[], false, "name is empty");
        is_refused(&PluginMetadata { name: "A\u{1b}[8m".to_owned(), ..metadata() }, &[], false, "control character");
        is_refused(&PluginMetadata { publisher: "A\nB".to_owned(), ..metadata() }, &[], false, "control character");
    }

    #[test]
    fn who_exports_cart_lists_strategies_and_nobody_else_does() {
        let with = |names: &[&str]| PluginMetadata {
            strategies: names.iter().map(|name| strategy(name)).collect(),
            ..metadata()
        };
        assert!(check_metadata(&with(&["simple", "bundle-2"]), &[], true).is_ok());
        is_refused(&with(&[]), &[], true, "lists no strategy");
        is_refused(&with(&["simple"]), &[], false, "does not export `cart`");
        is_refused(&with(&["simple", "simple"]), &[], true, "duplicate strategy");
        let long = "a".repeat(65);
        for name in ["", "My Strategy", "Ümlaut", &long] {
            is_refused(&with(&[name]), &[], true, "is not the name of a strategy");
        }
    }

    #[test]
    fn a_plugin_asks_only_for_grants_that_exist_and_once() {
        let asks = |grants: &[&str]| PluginMetadata {
            grants: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            ..metadata()
        };
        assert!(check_metadata(&asks(&PERMISSIONS), &[], false).is_ok());
        is_refused(&asks(&["root"]), &[], false, "the unknown grant \"root\"");
        is_refused(&asks(&["personal-data", "personal-data"]), &[], false, "duplicate grant");
    }

    #[test]
    fn an_outbound_host_is_a_name_or_a_url_field_and_stands_once() {
        let reaches = |hosts: &[&str]| PluginMetadata {
            outbound_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..metadata()
        };
        let fields = [field("api-url", "url"), field("name", "text")];
        let good = reaches(&["expivi.net", "expivi.net:8443", "[::1]:80", "setting:api-url"]);
        assert!(check_metadata(&good, &fields, false).is_ok());
        for (host, reason) in
            [("*.expivi.net", "not a host name"), ("", "not a host name"), ("setting:name", "not a url field")]
        {
            is_refused(&reaches(&[host]), &fields, false, reason);
        }
        is_refused(&reaches(&["a.example", "a.example"]), &fields, false, "duplicate outbound host");
        let secret = Field { outbound_hosts: vec!["b.example".to_owned()], ..field("token", "secret") };
        is_refused(&reaches(&["a.example"]), &[secret], false, "does not list");
    }

    #[test]
    fn metadata_that_changes_between_two_calls_is_named() {
        assert_eq!(check_repeatable(&metadata(), &metadata()), Ok(()));
        let later = PluginMetadata { version: "1.2.4".to_owned(), ..metadata() };
        assert!(check_repeatable(&metadata(), &later).unwrap_err().contains("another version"));
    }
}
