use serde_json::{Value, json};

use super::*;

const DECLARED_HOSTS: [&str; 3] = ["assets.vendor.example", "api.vendor.example", "shop.example:8443"];

fn grants(hosts: &[&str]) -> Grants {
    Grants { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Grants::default() }
}

fn call(receiver: &str, path: &str, args: &Value) -> Value {
    json!({
        "receiver": receiver, "paths": [path], "construct": false, "completion": "return-value", "args": args.to_string(),
    })
}

fn message(text: &str) -> Value {
    json!({ "key": "key", "parameters": [], "text": text })
}

/// Returns embed data that passes.
fn embed() -> Value {
    json!({
        "scripts": [{ "url": "https://assets.vendor.example/viewer.js", "integrity": null, "module": false }],
        "styles": [{ "url": "https://assets.vendor.example/viewer.css", "integrity": null, "module": false }],
        "frame": null,
        "mounts": [{ "role": "viewer", "selector": "#viewer", "required": true }],
        "supported": null,
        "start": call("page", "vendor.start", &json!([{ "place": { "$element": "viewer" } }, { "$callback": "price" }])),
        "events": [],
        "save": call("configurator", "save", &json!([])),
        "payload": json!({ "id": { "$result": "id" }, "price": { "$event": "price" } }).to_string(),
        "action": "add-to-cart",
        "success_page": "/cart",
        "allowed_origins": [
            { "origin": "https://assets.vendor.example", "uses": ["scripts", "styles"] },
            { "origin": "https://api.vendor.example", "uses": ["connections", "images"] },
        ],
        "fallback": message("Not now."),
        "extra": [],
    })
}

/// Returns embed data of a configurator in a frame, with a button of its own.
fn framed() -> Value {
    let mut embed = embed();
    embed["scripts"] = json!([]);
    embed["styles"] = json!([]);
    embed["start"] = Value::Null;
    embed["save"] = Value::Null;
    embed["payload"] = json!(json!({ "$result": "" }).to_string());
    embed["frame"] = json!({
        "url": "https://assets.vendor.example/configure/1", "title": message("Configurator"), "allow": ["fullscreen"],
        "sandbox": ["allow-scripts", "allow-same-origin"], "origin": "https://assets.vendor.example",
    });
    embed["events"] = json!([
        { "name": "createQuotation", "name_in": ["action"], "value_in": "argument", "meaning": "completed" },
    ]);
    embed["allowed_origins"] = json!([{ "origin": "https://assets.vendor.example", "uses": ["frames"] }]);
    embed
}

fn check(embed: Value) -> Result<EmbedData, Fault> {
    check_with(embed, &grants(&DECLARED_HOSTS))
}

fn check_with(embed: Value, grants: &Grants) -> Result<EmbedData, Fault> {
    let declared_hosts = DECLARED_HOSTS.map(str::to_owned);
    checked(serde_json::from_value(embed).unwrap(), &declared_hosts, grants)
}

/// Checks embed data with one changed value, and returns the member that refuses it.
fn refused(mut embed: Value, pointer: &str, value: Value) -> String {
    *embed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value.clone();
    match check(embed) {
        Err(Fault { member, reason: Reason::Malformed(_) }) => member,
        other => panic!("{pointer} = {value}: {other:?}"),
    }
}

#[test]
fn what_the_contract_allows_passes_unchanged() {
    for embed in [embed(), framed()] {
        assert_eq!(serde_json::to_value(check(embed.clone()).unwrap()).unwrap(), embed);
    }
}

#[test]
fn an_address_is_https_on_an_allowed_origin_with_the_use() {
    for url in [
        "http://assets.vendor.example/viewer.js",
        "https://api.vendor.example/viewer.js",
        "https://assets.vendor.example:8443/viewer.js",
        "https://assets.vendor.example.evil.example/viewer.js",
        "https://assets.vendor.example@evil.example/viewer.js",
        "https://user@assets.vendor.example/viewer.js",
        "//assets.vendor.example/viewer.js",
        "/viewer.js",
        "javascript:alert(1)",
        "data:text/javascript,alert(1)",
        "blob:https://assets.vendor.example/1",
        "",
    ] {
        assert_eq!(refused(embed(), "/scripts/0/url", json!(url)), "scripts[0].url", "{url}");
        assert_eq!(refused(embed(), "/styles/0/url", json!(url)), "styles[0].url", "{url}");
        assert_eq!(refused(framed(), "/frame/url", json!(url)), "frame.url", "{url}");
    }
    // An origin for scripts is not one for frames.
    assert_eq!(refused(framed(), "/allowed_origins/0/uses", json!(["scripts"])), "frame.url");
    assert_eq!(refused(framed(), "/frame/origin", json!("https://api.vendor.example")), "frame.origin");
}

#[test]
fn an_address_reaches_the_page_in_its_canonical_spelling() {
    // A browser reads this one as a path of the shop's page.
    let mut embed = embed();
    embed["scripts"][0]["url"] = json!("https:assets.vendor.example/viewer.js");
    embed["allowed_origins"][0]["origin"] = json!("HTTPS://Assets.Vendor.example:443");
    let checked = check(embed).unwrap();
    assert_eq!(checked.scripts[0].url, "https://assets.vendor.example/viewer.js");
    assert_eq!(checked.allowed_origins[0].origin, "https://assets.vendor.example");
}

#[test]
fn an_origin_cannot_widen_a_content_security_policy() {
    for origin in [
        "https://assets.vendor.example; script-src *",
        "https://assets.vendor.example;script-src",
        "https://assets.vendor.example 'unsafe-inline'",
        "https://a;b.example",
        "https://a'b.example",
        "https://a,b.example",
        "https://*.vendor.example",
        "https://*",
        "*",
        "https:",
        "data:",
        "'self'",
        "https://assets.vendor.example/",
        "https://assets.vendor.example/path",
        "https://assets.vendor.example?",
        "https://assets.vendor.example#",
        "https://assets.vendor.example\n",
        "ftp://assets.vendor.example",
        "null",
        "",
    ] {
        let member = refused(embed(), "/allowed_origins/1/origin", json!(origin));
        assert_eq!(member, "allowed_origins[1].origin", "{origin}");
    }
    assert_eq!(refused(embed(), "/allowed_origins/1/uses", json!([])), "allowed_origins[1].uses");
}

#[test]
fn an_origin_is_on_a_declared_and_a_granted_host() {
    let with = |origin: &str, grants: &Grants| {
        let mut embed = embed();
        embed["allowed_origins"][1]["origin"] = json!(origin);
        check_with(embed, grants).unwrap_err()
    };
    let all = grants(&DECLARED_HOSTS);
    let Fault { member, reason } = with("https://evil.example", &all);
    assert_eq!(member, "allowed_origins[1].origin");
    assert!(matches!(&reason, Reason::Malformed(text) if text.contains("`outbound-hosts`")), "{reason:?}");
    for (origin, grants, setting) in [
        ("https://api.vendor.example", grants(&["assets.vendor.example"]), "grants.hosts += \"api.vendor.example\""),
        ("https://shop.example:8443", grants(&["assets.vendor.example"]), "grants.hosts += \"shop.example:8443\""),
        ("http://api.vendor.example", all, "grants.plain_http += \"api.vendor.example\""),
    ] {
        let Fault { reason, .. } = with(origin, &grants);
        assert!(matches!(&reason, Reason::NotGranted(text) if text.contains(setting)), "{origin}: {reason:?}");
    }
}

#[test]
fn plain_http_needs_the_operators_grant() {
    let plain = Grants { plain_http: ["assets.vendor.example".to_owned()].into(), ..grants(&DECLARED_HOSTS) };
    let mut embed = embed();
    embed["allowed_origins"][0]["origin"] = json!("http://assets.vendor.example");
    embed["scripts"][0]["url"] = json!("http://assets.vendor.example/viewer.js");
    embed["styles"] = json!([]);
    embed["success_page"] = json!("http://assets.vendor.example/thanks");
    assert!(check_with(embed.clone(), &plain).is_ok());
    assert!(matches!(check(embed), Err(Fault { reason: Reason::NotGranted(_), .. })));
}

#[test]
fn the_next_page_is_https_or_a_path_of_the_shop() {
    for page in ["/", "/cart?x=1#top", "https://shop.example/thanks"] {
        let mut embed = embed();
        embed["success_page"] = json!(page);
        assert_eq!(check(embed).unwrap().success_page.as_deref(), Some(page));
    }
    for page in ["//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", "cart", ""] {
        assert_eq!(refused(embed(), "/success_page", json!(page)), "success_page", "{page}");
    }
    let mut embed = embed();
    embed["success_page"] = json!("http://shop.example/");
    assert!(matches!(check(embed), Err(Fault { reason: Reason::NotGranted(_), .. })));
}

#[test]
fn a_path_is_dotted_identifiers_without_a_prototype() {
    for path in [
        "",
        ".",
        "a.",
        "a..b",
        "a b",
        "a[0]",
        "a()",
        "0a",
        "constructor",
        "vendor.constructor.constructor",
        "vendor.__proto__.start",
        "Vendor.prototype.start",
    ] {
        for member in ["start", "save"] {
            let refused = refused(embed(), &format!("/{member}/paths/0"), json!(path));
            assert_eq!(refused, format!("{member}.paths[0]"), "{path}");
        }
    }
    assert_eq!(refused(embed(), "/start/paths", json!([])), "start.paths");
    assert_eq!(refused(embed(), "/start/paths", json!(vec!["a"; 21])), "start.paths");
}

#[test]
fn of_a_frames_element_nothing_but_post_message_is_called() {
    let post = |path: &str| call("configurator", path, &json!([{ "type": "start" }, "https://assets.vendor.example"]));
    let mut embed = framed();
    embed["start"] = post("contentWindow.postMessage");
    assert!(check(embed).is_ok());
    for path in ["ownerDocument.defaultView.eval", "contentWindow.parent.eval", "remove"] {
        assert_eq!(refused(framed(), "/start", post(path)), "start.paths[0]", "{path}");
        assert_eq!(refused(framed(), "/save", post(path)), "save.paths[0]", "{path}");
    }
}

#[test]
fn placeholders_are_known_wherever_they_stand() {
    for args in [
        "{}",
        "[",
        "[] []",
        r#"[{ "$element": "options" }]"#,
        r#"[{ "deep": [{ "$element": 1 }] }]"#,
        r#"[{ "$callback": "" }]"#,
        r#"[{ "$result": "a" }]"#,
        r#"[{ "$literal": 1, "more": 2 }]"#,
        r#"[{ "$callback": "price", "$callback": 1 }]"#,
    ] {
        assert_eq!(refused(embed(), "/start/args", json!(args)), "start.args", "{args}");
    }
    for args in [
        r#"[{ "$literal": { "$element": "options", "x": [{ "$callback": 1 }] } }, { "$callback": "price" }]"#,
        r#"[{ "$element": "options", "second": 1 }, { "$callback": "price" }, { "a": { "$element": "viewer" } }]"#,
    ] {
        let mut embed = embed();
        embed["start"]["args"] = json!(args);
        assert!(check(embed.clone()).is_ok(), "{args}: {:?}", check(embed));
    }
    let long = format!("\"{}\"", "x".repeat(64 << 10));
    for payload in [
        "",
        "{",
        r#"{ "$event": "never" }"#,
        r#"{ "a": { "$event": 1 } }"#,
        r#"{ "$result": "a.constructor" }"#,
        r#"{ "$element": "viewer" }"#,
        r#"{ "$result": "a", "\u0024result": "a.constructor" }"#,
        long.as_str(),
    ] {
        assert_eq!(refused(embed(), "/payload", json!(payload)), "payload", "{payload:.40}");
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(refused(embed(), "/start/args", json!(deep)), "start.args");
}

#[test]
fn a_configuration_can_be_completed() {
    let mut saving = embed();
    saving["save"]["completion"] = json!("callback");
    assert_eq!(refused(saving.clone(), "/action", json!("request-quote")), "save.completion");
    saving["save"]["args"] = json!(r#"[{ "$callback": "completed" }]"#);
    assert!(check(saving).is_ok());
    assert_eq!(refused(embed(), "/save", Value::Null), "save");
    assert_eq!(refused(framed(), "/events/0/meaning", json!("loaded")), "save");
}

#[test]
fn a_frame_has_a_title_and_known_rights() {
    assert_eq!(refused(framed(), "/frame/title/text", json!(" \n")), "frame.title");
    for feature in ["", "camera 'src'", "camera; microphone", "camera *", "Fullscreen"] {
        assert_eq!(refused(framed(), "/frame/allow/0", json!(feature)), "frame.allow[0]", "{feature}");
    }
    for token in ["", "allow-top-navigation", "allow-top-navigation-by-user-activation", "allow-everything"] {
        assert_eq!(refused(framed(), "/frame/sandbox/1", json!(token)), "frame.sandbox[1]", "{token}");
    }
}

#[test]
fn names_and_numbers_are_bounded() {
    let script = embed()["scripts"][0].clone();
    assert_eq!(refused(embed(), "/scripts", json!(vec![script; 51])), "scripts");
    let long = format!("https://assets.vendor.example/{}", "a".repeat(4_000));
    assert_eq!(refused(embed(), "/scripts/0/url", json!(long)), "scripts[0].url");
    for integrity in ["", "sha384", "sha384-", "md5-AAAA", "sha384-a'b", "sha384-AAAA  sha384-BBBB"] {
        assert_eq!(refused(embed(), "/scripts/0/integrity", json!(integrity)), "scripts[0].integrity", "{integrity}");
    }
    let mount = embed()["mounts"][0].clone();
    assert_eq!(refused(embed(), "/mounts", json!([mount, mount])), "mounts[1].role");
    assert_eq!(refused(embed(), "/mounts/0/selector", json!("a\nb")), "mounts[0].selector");
    assert_eq!(refused(framed(), "/events/0/name", json!("")), "events[0].name");
    assert_eq!(refused(framed(), "/events/0/name_in/0", json!("__proto__")), "events[0].name_in");
    assert_eq!(refused(framed(), "/events/0/value_in", json!("")), "events[0].value_in");
    assert_eq!(refused(embed(), "/fallback/text", json!("")), "fallback");
}

#[test]
fn the_error_says_who_can_fix_it() {
    let error = |member: &str, reason| {
        let plugin = "vendor".parse().unwrap();
        let member = member.to_owned();
        match reason {
            Reason::Malformed(reason) => PageError::Malformed { plugin, member, reason }.to_string(),
            Reason::NotGranted(reason) => PageError::NotGranted { plugin, member, reason }.to_string(),
        }
    };
    assert_eq!(
        error("start.paths[0]", Reason::Malformed("\"a b\" is not a dotted path of identifiers".to_owned())),
        "the page of vendor is refused: start.paths[0]: \"a b\" is not a dotted path of identifiers; report it to the plugin's author"
    );
    let refusal = "the host a.example is not granted; to allow it: grants.hosts += \"a.example\"".to_owned();
    assert!(error("allowed_origins[0].origin", Reason::NotGranted(refusal)).ends_with("grants.hosts += \"a.example\""));
}
