//! The OpenAPI document against the running server: schemathesis sends valid and invalid requests for every operation,
//! and checks for server errors, and for undocumented statuses, media types and bodies.
//!
//! It is installed once, from PyPI. A failing installation is reported on standard error; with `CI=true` it fails the
//! test.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::ReplyAssertions as _;
use crate::server::Server;
use crate::shop::{Shop, links, paid};

/// The checks. They do not include whether a value is accepted, because the document does not list the existing SKUs.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,ignored_auth,unsupported_method,allow_header_conformance";

/// Returns the folder of the tester's own files.
fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/schemathesis")
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// Returns the tester, installed in its own environment.
fn installed() -> Result<PathBuf, String> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let (stamp, command) = (tools.join("stamp"), tools.join("bin/schemathesis"));
    let requirements = std::fs::read_to_string(own().join("requirements.txt")).expect("requirements");
    if command.exists() && std::fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == requirements) {
        return Ok(command);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&tools))?;
    run(Command::new(tools.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(own().join("requirements.txt")))?;
    std::fs::write(stamp, requirements).expect("a stamp");
    Ok(command)
}

/// Returns existing names, so that not every request is about a missing resource.
async fn names(shop: &Shop) -> BTreeMap<String, Value> {
    let order = shop.handled("1001").await;
    let named = [
        ("shop", json!(shop.id)),
        ("account", json!("expivi")),
        ("product", json!("ring")),
        ("plugin", json!("expivi")),
        ("order", json!("1001")),
        ("job", order["jobs"][0]["id"].clone()),
        ("outcome", order["outcomes"][0]["id"].clone()),
        ("email", json!("ada@example.com")),
        ("quote", json!("q1")),
    ];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns the tester's settings. Operations that would delete what others need get other names.
fn settings(names: &BTreeMap<String, Value>, component: &Value) -> String {
    let mut text = "[parameters]\n".to_owned();
    for (name, value) in names {
        text.push_str(&format!("\"path.{name}\" = {value}\n"));
    }
    for id in ["erase_order", "erase_customer", "remove_product_link"] {
        text.push_str(&format!(
            "\n[[operations]]\ninclude-operation-id = \"{id}\"\nparameters = {{ \"path.order\" = \"1\", \"path.email\" = \
             \"unknown@example.com\", \"path.product\" = \"bed\" }}\n"
        ));
    }
    text.push_str(&format!(
        "\n[[operations]]\ninclude-operation-id = \"read_plugin\"\nparameters = {{ \"path.digest\" = {component} }}\n"
    ));
    text
}

#[tokio::test]
async fn every_response_conforms_to_the_openapi_document() {
    let tester = match installed() {
        Ok(tester) => tester,
        Err(reason) => {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{reason}");
            // Written past the capture of passing tests, so that a skipped test is visible.
            writeln!(std::io::stderr(), "skipped: schemathesis cannot be installed: {reason}").expect("standard error");
            return;
        }
    };
    let shop = Shop::on(std::sync::Arc::new(Server::new(&["--failed-keys-per-minute", "1000000"]))).await;
    shop.sell().await;
    let _fake = shop.expivi().await;
    shop.integrator.put(&shop.path("/product-links"), &links()).await.ok();
    let cart = shop.cart().await;
    shop.backend.post(&shop.path("/events"), &paid("1001", &cart)).await.ok();
    let quote = json!({ "id": "q1", "lines": cart });
    shop.backend.post(&shop.path("/quotes"), &quote).await.with(201);
    let component = shop.component("expivi").await;
    let folder = tempfile::TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("schemathesis.toml"), settings(&names(&shop).await, &component)).expect("a file");
    let authorization = format!("Authorization: Bearer {}", shop.admin.key.as_deref().expect("a key"));
    let document = format!("{}/openapi.json", shop.server.node.base);
    let asking = tokio::task::spawn_blocking(move || {
        Command::new(tester)
            .args([
                "--config-file",
                "schemathesis.toml",
                "run",
                &document,
                "--header",
                &authorization,
                "--checks",
                CHECKS,
            ])
            .args(["--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", "1", "--no-shrink", "--no-color"])
            .args(["--generation-database", "none", "--continue-on-failure", "--warnings", "off"])
            // The time that the tester needs to generate a request is not the server's.
            .args(["--suppress-health-check", "too_slow"])
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", own())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&folder)
            .output()
    });
    let output = asking.await.expect("its end").expect("the tester starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("Tested: 8"), "{stdout}");
}
