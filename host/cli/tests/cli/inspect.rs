//! `cartwright inspect`: the metadata and the requested grants of a component.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::cartwright;

/// Returns the value of the line with this label.
#[track_caller]
pub fn shown<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix("  ")?.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label}: {text}")).trim()
}

pub fn digest(bundled: &str) -> String {
    cartwright::Digest::of(cartwright_bundled::by_id(bundled).expect("a bundled plugin")).to_string()
}

#[test]
fn inspect_shows_the_metadata_and_form_of_expivi() {
    let text = cartwright(["inspect", "expivi"]).succeeded();
    assert!(text.starts_with("Expivi ") && text.contains(" (expivi), by Expivi\n"), "{text}");
    assert_eq!(shown(&text, "digest"), digest("expivi"));
    assert_eq!(shown(&text, "worlds"), "vendor, order-hook, cart-strategy of cartwright:plugin@0.1.0");
    let exports =
        "metadata, settings, account, products, product-links, page, reopening, configuration, prices, cart, orders";
    assert_eq!(shown(&text, "exports"), exports);
    assert_eq!(
        shown(&text, "asks to reach"),
        "setting:api-url, setting:files-url, setting:viewer-script, setting:options-script, setting:options-style"
    );
    let strategies = shown(&text, "strategies");
    for name in ["simple (", "variation (", "bundle ("] {
        assert!(strategies.contains(name), "{strategies}");
    }
    assert_eq!(shown(&text, "webhooks"), "none");
    let csrf_field = text.lines().find(|line| line.trim().starts_with("viewer-token ")).expect("the setting");
    assert!(csrf_field.ends_with("[required, shown on page]"), "{csrf_field}");
    assert!(text.contains("    cartwright:plugin/http@0.1.0\n"), "{text}");
}

#[test]
fn inspect_shows_choices_defaults_and_dependencies_of_fields() {
    let notes = |plugin: &str, field: &str| -> Vec<String> {
        let text = cartwright(["inspect", plugin]).succeeded();
        let after = text.lines().skip_while(|line| !line.starts_with(&format!("    {field} "))).skip(1);
        after.take_while(|line| line.starts_with("         ")).map(|line| line.trim().to_owned()).collect()
    };
    assert_eq!(notes("expivi", "action"), ["one of add-to-cart, request-quote", "default add-to-cart"]);
    assert_eq!(notes("expivi", "pass-locale"), ["default true"]);
    assert_eq!(notes("expivi", "sku-prefix"), [""; 0]);
    assert_eq!(notes("expivi", "locale-country"), ["only while send-country is true"]);
    assert_eq!(notes("expivi", "server-token"), ["used for bearer, only for setting:api-url"]);
    assert_eq!(notes("twikit", "payload-secret"), ["used for md5-suffix, only for setting:api-url"]);
}

#[test]
fn a_reader_that_stops_early_ends_the_command_quietly() {
    for command in ["inspect expivi", "inspect expivi --json", "demo --check", "help"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cartwright"))
            .args(command.split(' '))
            .env("CARTWRIGHT_CACHE", crate::cache())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("an end");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{command}");
        assert!(matches!(ended.status.code(), Some(0 | 141)), "{command}: {}", ended.status);
    }
}

#[test]
fn inspect_shows_the_metadata_and_form_of_twikit() {
    let text = cartwright(["inspect", "twikit"]).succeeded();
    assert!(text.contains(" (twikit), by Twikit\n"), "{text}");
    assert_eq!(shown(&text, "digest"), digest("twikit"));
    assert_eq!(shown(&text, "worlds"), "vendor, order-hook, cart-strategy of cartwright:plugin@0.1.0");
    assert_eq!(shown(&text, "asks to reach"), "setting:api-url, setting:preview-url, setting:script-url");
    assert_eq!(shown(&text, "asks for  "), "personal-data");
    assert!(shown(&text, "strategies").starts_with("variation ("), "{text}");
    let webhooks = "payment-verification, production-completion, order-completion, website-publication";
    assert_eq!(shown(&text, "webhooks"), webhooks);
    let secret = text.lines().find(|line| line.trim().starts_with("payload-secret ")).expect("the setting");
    assert!(secret.contains(" secret ") && secret.ends_with("[required]"), "{secret}");
}

#[test]
fn inspect_as_json_says_the_same() {
    for (id, strategies, hosts) in [
        (
            "expivi",
            vec!["simple", "variation", "bundle"],
            vec!["api-url", "files-url", "viewer-script", "options-script", "options-style"],
        ),
        ("twikit", vec!["variation"], vec!["api-url", "preview-url", "script-url"]),
    ] {
        let value = cartwright(["inspect", id, "--json"]).json();
        assert_eq!(value["digest"], digest(id));
        assert_eq!(value["bytes"], json!(cartwright_bundled::by_id(id).expect("a plugin").len()));
        assert_eq!(value["contract"], "cartwright:plugin@0.1.0");
        assert_eq!(value["worlds"], json!(["vendor", "order-hook", "cart-strategy"]));
        let identity = &value["about"]["identity"];
        assert_eq!(identity["id"], id);
        let hosts: Vec<String> = hosts.into_iter().map(|name| format!("setting:{name}")).collect();
        assert_eq!(identity["outbound_hosts"], json!(hosts));
        assert_eq!(value["unknown_exports"], json!([]));
        assert!(
            value["exports"].as_array().is_some_and(|exports| exports.contains(&json!("product-links"))),
            "{value:#}"
        );
        let names: Vec<&str> = identity["strategies"]
            .as_array()
            .expect("strategies")
            .iter()
            .map(|strategy| strategy["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(names, strategies);
        assert_eq!(value["webhooks"].as_array().expect("webhooks").len(), if id == "twikit" { 4 } else { 0 });
        let imports = value["imports"].as_array().expect("imports");
        assert!(imports.contains(&json!("cartwright:plugin/http@0.1.0")), "{imports:?}");
    }
}

#[test]
fn inspect_of_a_file_gives_the_digest_of_its_bytes() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("some.wasm");
    fs::write(&file, cartwright_bundled::by_id("twikit").expect("a plugin")).expect("a file");
    let text = cartwright([Path::new("inspect"), &file]).succeeded();
    assert_eq!(shown(&text, "digest"), digest("twikit"));
}

#[test]
fn inspect_lists_an_export_of_a_later_contract() {
    let (from, to) = (b"cartwright:plugin/choices@0.1.0", b"cartwright:plugin/quoting@0.1.2");
    let mut bytes = cartwright_test_guests::HOSTILE.to_vec();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("later.wasm");
    fs::write(&file, bytes).expect("a file");
    let text = cartwright([Path::new("inspect"), &file]).succeeded();
    assert!(text.contains("  exports quoting@0.1.2, which this host does not know\n"), "{text}");
    assert_eq!(shown(&text, "exports "), "metadata, settings, cart");
}

#[test]
fn inspect_of_no_file_names_the_bundled_plugins() {
    let err = cartwright(["inspect", "no-such-plugin"]).failed();
    assert!(err.contains("no-such-plugin is neither a bundled plugin (expivi, twikit) nor a readable file"), "{err}");
}

#[test]
fn inspect_of_a_core_module_says_how_to_make_a_component() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("core.wasm");
    fs::write(&file, b"\0asm\x01\0\0\0").expect("a file");
    let err = cartwright([Path::new("inspect"), &file]).failed();
    assert!(err.contains("this is a core module, not a component; build for wasm32-wasip2"), "{err}");
}

#[test]
fn inspect_of_garbage_says_that_it_is_no_webassembly() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("garbage.wasm");
    fs::write(&file, "garbage").expect("a file");
    let err = cartwright([Path::new("inspect"), &file]).failed();
    assert!(err.contains("this is not a WebAssembly file"), "{err}");
    assert!(err.contains("garbage.wasm"), "{err}");
}

#[test]
fn inspect_of_a_component_that_is_no_plugin_names_the_worlds_to_target() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("empty.wasm");
    fs::write(&file, b"\0asm\x0d\0\x01\0").expect("a file");
    let err = cartwright([Path::new("inspect"), &file]).failed();
    assert!(err.contains("target one of the worlds vendor, cart-strategy, order-hook"), "{err}");
}
