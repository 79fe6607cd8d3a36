//! Strategies in Rust, JavaScript, Python and C, built by `tests/contract/check` with the published toolchains. A strategy
//! whose toolchain cannot be installed is skipped and named on standard error; with `CI=true` that is a failure.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cartwright_fake_vendors::samples;
use serde_json::{Value, json};

use crate::cartwright;
use crate::inspect::shown;
use crate::plan_folder::{PlanFolder, all_sold, lines};

/// The output of `tests/contract/check`, and the folder of the built files.
struct Contract {
    said: String,
    guests: PathBuf,
}

/// Runs `tests/contract/check` once for all tests. Cargo has released the lock of the target folder when tests run.
fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
        let output = Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/contract/check"))
            .env("CARGO_TARGET_DIR", target)
            .output()
            .expect("bash starts");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr);
        // With CI=true a missing toolchain fails here.
        assert!(output.status.success(), "tests/contract/check: {}\n{stdout}{err}", output.status);
        Contract { said: stdout, guests: target.join("guests") }
    })
}

/// Returns the guest's file, or `None` if its toolchain cannot be installed.
pub fn built(name: &str) -> Option<String> {
    let contract = contract();
    let line = |start: String| contract.said.lines().find(|line| line.starts_with(&start));
    if line(format!("built: {name},")).is_some() {
        let file = contract.guests.join(format!("{name}.wasm"));
        return Some(file.into_os_string().into_string().expect("UTF-8"));
    }
    let reason = line(format!("skipped: {name}")).unwrap_or_else(|| panic!("no word of {name}: {}", contract.said));
    let count = contract.said.lines().last().unwrap_or_default();
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{reason}");
    // Written past the capture of passing tests, so that a skipped test is visible.
    writeln!(std::io::stderr(), "{reason} ({count})").expect("standard error");
    None
}

#[track_caller]
fn planned_by(line: &Value, id: &str) {
    assert_eq!(line["pin"]["account"], "expivi", "{line:#}");
    assert_eq!(line["pin"]["strategy_account"], id, "{line:#}");
    assert_ne!(line["pin"]["strategy_digest"], line["pin"]["digest"], "{line:#}");
    assert!(line["price"]["seal"].as_str().is_some_and(|seal| seal.starts_with("v1.")), "{line:#}");
}

#[test]
fn a_strategy_in_rust_plans_one_line() {
    let Some(file) = built("one-line") else { return };
    let change = PlanFolder::ring().plan(&["--strategy", &file, "--quantity", "2", "--json"]).json();
    let lines = lines(&change, "add");
    assert_eq!(all_sold(&lines), [("RING", 2, 39_800)]);
    planned_by(&lines[0], "one-line");
}

#[test]
fn a_strategy_in_javascript_joins_the_sku_from_codes() {
    let Some(file) = built("javascript") else { return };
    let folder = PlanFolder::shirt("");
    // Without the hidden attribute, which has a code as well: this test is about codes that a shopper chose.
    let mut saved: Value = serde_json::from_str(samples::EXPIVI_VARIATION).expect("a sample");
    let attributes = saved[0]["configuration"]["attributes"].as_array_mut().expect("attributes");
    attributes.retain(|attribute| attribute["attribute_id"] != 24);
    folder.write("configuration.json", &saved.to_string());
    let change = folder.plan(&["--strategy", &file, "--quantity", "2", "--json"]).json();
    let lines = lines(&change, "add");
    assert_eq!(all_sold(&lines), [("R-L", 2, 4_010)]);
    planned_by(&lines[0], "joined-sku");
}

#[test]
fn a_strategy_of_its_own_has_settings_and_a_log_of_its_own() {
    let Some(file) = built("javascript") else { return };
    let folder = PlanFolder::shirt("");
    let settings = folder.write("strategy.json", &json!({ "prefix": "SHIRT" }).to_string());
    let text = folder.plan(&["--strategy", &file, "--strategy-settings", &settings, "--explain"]).succeeded();
    assert!(text.contains("[SHIRT-R-L] 24.95 EUR"), "{text}");
    assert!(text.contains("debug: planned SHIRT-R-L"), "{text}");
    // The plugin's own check gets the settings that the link overrides.
    let settings = folder.write("strategy.json", &json!({ "separator": "- " }).to_string());
    let error = folder.plan(&["--strategy", &file, "--strategy-settings", &settings]).typed_error();
    assert_eq!(error["detail"]["detail"][0]["issues"][0]["field"], "strategy_settings.separator", "{error:#}");
    // The link can contain them itself.
    let settings = json!({ "prefix": "SHIRT" });
    let link = json!({ "shop_product": "shirt", "vendor_product": "1002", "strategy_settings": settings });
    let own = PlanFolder::expivi(link, samples::EXPIVI_VARIATION);
    assert!(own.plan(&["--strategy", &file]).succeeded().contains("[SHIRT-R-L]"));
    let settings = folder.write("strategy.json", &json!({ "viewer-token": "x" }).to_string());
    let error = folder.plan(&["--strategy", &file, "--strategy-settings", &settings]).typed_error();
    let text = error["message"].as_str().expect("a message");
    assert!(
        text.contains("viewer-token") && text.contains("the known settings are: prefix, separator, ignore-case"),
        "{text}"
    );
}

#[test]
fn a_strategy_in_javascript_sells_a_product_and_its_packaging_as_a_set() {
    let Some(file) = built("javascript") else { return };
    let folder = PlanFolder::shirt("");
    let settings = folder.write("strategy.json", &json!({ "prefix": "SHIRT", "packaging": "HINGE" }).to_string());
    let arguments = ["--strategy", &file, "--strategy-settings", &settings, "--quantity", "2"];
    let lines = lines(&folder.plan(&[&arguments[..], &["--json"]].concat()).json(), "add");
    assert_eq!(all_sold(&lines), [("SHIRT-R-L", 2, 4_990), ("HINGE", 2, 640)]);
    assert!(lines.iter().all(|line| line["set"] == lines[0]["key"]), "{lines:#?}");
    let text = folder.plan(&arguments).succeeded();
    assert!(text.contains("\n  2 × HINGE [HINGE] 6.40 EUR  key ") && text.contains("  of the set\n"), "{text}");
    assert!(text.ends_with("  total 56.30 EUR\n"), "{text}");
}

#[test]
fn a_strategy_in_javascript_refuses_a_configuration_without_codes() {
    let Some(file) = built("javascript") else { return };
    let error = PlanFolder::ring().plan(&["--strategy", &file]).typed_error();
    assert_eq!(error["error"], "hook", "{error:#}");
    assert_eq!(error["detail"]["plugin"], "joined-sku");
    assert_eq!(error["detail"]["hook"], "cart.plan");
    assert!(error["message"].as_str().expect("a message").contains("No chosen value has a code"), "{error:#}");
}

#[test]
fn a_strategy_in_python_plans_a_bundle_of_parts() {
    let Some(file) = built("python") else { return };
    let change = PlanFolder::wardrobe().plan(&["--strategy", &file, "--quantity", "2", "--json"]).json();
    let lines = lines(&change, "add");
    let expected = [("WARDROBE", 2, 17_380), ("PANEL-60", 6, 14_700), ("HINGE", 8, 2_560), ("SCREW-4", 8, 120)];
    assert_eq!(all_sold(&lines), expected);
    planned_by(&lines[0], "parts-bundle");
    assert!(lines[1..].iter().all(|child| child["parent"] == lines[0]["key"]), "{change:#}");
}

#[test]
fn a_strategy_in_python_names_every_part_that_the_shop_does_not_have() {
    let Some(file) = built("python") else { return };
    let folder = PlanFolder::wardrobe();
    let variants =
        json!([{ "sku": "WARDROBE", "product": "wardrobe", "price": "1.00" }, { "sku": "HINGE", "price": "1.00" }]);
    folder.write(
        "catalog.json",
        &json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "variants": variants }).to_string(),
    );
    let error = folder.plan(&["--strategy", &file]).typed_error();
    let text = error["message"].as_str().expect("a message");
    assert!(text.contains("PANEL-60, SCREW-4"), "{text}");
}

#[test]
fn a_strategy_in_c_joins_the_sku_from_codes() {
    let Some(file) = built("c") else { return };
    let folder = PlanFolder::shirt("");
    let change = folder.plan(&["--strategy", &file, "--quantity", "2", "--json"]).json();
    let planned = lines(&change, "add");
    assert_eq!(all_sold(&planned), [("R-L", 2, 4_010)]);
    planned_by(&planned[0], "joined-sku-c");
    let settings = folder.write("strategy.json", &json!({ "prefix": "SHIRT" }).to_string());
    let text = folder.plan(&["--strategy", &file, "--strategy-settings", &settings, "--explain"]).succeeded();
    assert!(text.contains("[SHIRT-R-L] 24.95 EUR"), "{text}");
    assert!(text.contains("debug: planned SHIRT-R-L"), "{text}");
}

#[test]
fn a_strategy_in_c_refuses_a_configuration_without_codes() {
    let Some(file) = built("c") else { return };
    let error = PlanFolder::ring().plan(&["--strategy", &file]).typed_error();
    assert_eq!(error["error"], "hook", "{error:#}");
    assert_eq!(error["detail"]["plugin"], "joined-sku-c");
    assert!(error["message"].as_str().expect("a message").contains("No chosen value has a code"), "{error:#}");
}

#[test]
fn a_strategy_in_c_imports_nothing_of_wasi() {
    let Some(file) = built("c") else { return };
    let value = cartwright(["inspect", &file, "--json"]).json();
    let imports = value["imports"].as_array().expect("imports");
    let is_ours = |import: &Value| import.as_str().is_some_and(|name| name.starts_with("cartwright:plugin/"));
    assert!(imports.iter().all(is_ours), "{imports:?}");
}

#[test]
fn strategies_of_all_languages_can_be_inspected() {
    let strategies =
        [("one-line", "one-line"), ("javascript", "joined-sku"), ("python", "parts-bundle"), ("c", "joined-sku-c")];
    for (name, id) in strategies {
        let Some(file) = built(name) else { continue };
        let text = cartwright(["inspect", &file]).succeeded();
        assert!(text.contains(&format!(" ({id}), by ")), "{text}");
        assert_eq!(shown(&text, "worlds"), "cart-strategy of cartwright:plugin@0.1.0");
        assert_eq!(shown(&text, "asks to reach"), "none");
    }
}

#[test]
fn a_strategy_in_javascript_leaves_codes_of_hidden_attributes_out() {
    let Some(file) = built("javascript") else { return };
    let change = PlanFolder::shirt("").plan(&["--strategy", &file, "--json"]).json();
    assert_eq!(all_sold(&lines(&change, "add")), [("R-L", 1, 2_005)]);
}
