//! An integrator's files, and the output of `plan` for them.

use std::fs;
use std::path::PathBuf;

use cartwright_fake_vendors::samples;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{CommandResult, cartwright};

/// An integrator's folder: settings, product link, catalog and configuration for one `plan`.
pub struct PlanFolder {
    folder: TempDir,
    plugin: &'static str,
}

impl PlanFolder {
    pub fn new(plugin: &'static str, settings: Value, link: Value, configuration: &str) -> Self {
        let folder = Self { folder: TempDir::new().expect("a folder"), plugin };
        folder.write("settings.json", &settings.to_string());
        folder.write("link.json", &link.to_string());
        folder.write("configuration.json", configuration);
        let variants = json!([
            { "sku": "RING", "product": "ring", "price": "199.00" },
            { "sku": "R-L", "product": "shirt", "price": "20.05" },
            { "sku": "SHIRT-R-L", "product": "shirt", "title": "Shirt, red, large", "price": "24.95" },
            { "sku": "WARDROBE", "product": "wardrobe", "price": "189.95" },
            { "sku": "PANEL-60", "price": "24.50" },
            { "sku": "HINGE", "price": "3.20" },
            { "sku": "SCREW-4", "price": "0.15" },
            { "sku": "JEWEL-A", "product": "jewel", "price": "49.00" },
            { "sku": "JEWEL-B", "product": "jewel", "price": "69.00" },
        ]);
        let catalog =
            json!({ "currencies": [{ "code": "EUR", "scale": 2 }], "prices_include_tax": true, "variants": variants });
        folder.write("catalog.json", &catalog.to_string());
        folder
    }

    pub fn expivi(link: Value, configuration: &str) -> Self {
        Self::new("expivi", json!({ "viewer-token": "viewer-token" }), link, configuration)
    }

    pub fn ring() -> Self {
        Self::expivi(json!({ "shop_product": "ring", "vendor_product": "1001" }), samples::EXPIVI_SIMPLE)
    }

    pub fn shirt(prefix: &str) -> Self {
        let settings = json!({ "sku-prefix": prefix });
        let link = json!({ "shop_product": "shirt", "vendor_product": "1002", "settings": settings });
        Self::expivi(link, samples::EXPIVI_VARIATION)
    }

    pub fn wardrobe() -> Self {
        let settings = json!({ "price-authority": "components" });
        let link = json!({ "shop_product": "wardrobe", "vendor_product": "1003", "settings": settings });
        Self::expivi(link, samples::EXPIVI_BUNDLE)
    }

    pub fn jewel(allowed_skus: &[&str]) -> Self {
        let settings = json!({
            "integration-id": "integration-1",
            "payload-secret": "payload-secret",
            "script-url": "https://scripts.twikit.example/1/plugin.js",
        });
        let link = json!({
            "shop_product": "jewel",
            "vendor_product": "diamond-letter-jewel",
            "allowed_skus": allowed_skus,
        });
        Self::new("twikit", settings, link, samples::TWIKIT_SAVED)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("a file");
        self.path(name).into_os_string().into_string().expect("a path in UTF-8")
    }

    pub fn plan(&self, further: &[&str]) -> CommandResult {
        let mut arguments = vec!["plan".to_owned(), "--plugin".to_owned(), self.plugin.to_owned()];
        for name in ["settings", "link", "catalog", "configuration"] {
            arguments.push(format!("--{name}"));
            arguments.push(self.path(&format!("{name}.json")).into_os_string().into_string().expect("UTF-8"));
        }
        arguments.extend(further.iter().map(|&argument| argument.to_owned()));
        cartwright(arguments)
    }
}

/// Returns the lines of the only operation, which must be of this kind.
#[track_caller]
pub fn lines(change: &Value, operation: &str) -> Vec<Value> {
    let operations = change["operations"].as_array().expect("operations");
    assert_eq!(operations.len(), 1, "{change:#}");
    assert_eq!(operations[0]["operation"], operation, "{change:#}");
    operations[0]["lines"].as_array().expect("lines").clone()
}

/// Returns SKU, quantity and total in cents.
pub fn sold(line: &Value) -> (&str, u64, i64) {
    let sku = line["sku"].as_str().expect("a SKU");
    let total = line["price"]["total"]["minor"].as_i64().expect("an amount");
    (sku, line["quantity"].as_u64().expect("a quantity"), total)
}

pub fn all_sold(lines: &[Value]) -> Vec<(&str, u64, i64)> {
    lines.iter().map(sold).collect()
}

/// Returns the names of the stages that `--explain` printed.
pub fn stages(text: &str) -> Vec<&str> {
    let shown = text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(" µs  "));
    shown.filter_map(|(_, stage)| stage.split(' ').next()).collect()
}
