//! Encodes all worlds of the contract, so that one set of bindings serves them all. An export macro adds the encoded
//! world that the plugin targets, and the linker makes a component of that world alone.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a build script that cannot go on fails by a panic"
)]

use std::path::PathBuf;

use wit_component::{StringEncoding, metadata};
use wit_parser::Resolve;

/// Worlds of a vendor with some of the optional interfaces.
const COMPOSED: &str = "
package cartwright:sdk;

world vendor-with-feed {
    include cartwright:plugin/vendor@0.1.0;
    export cartwright:plugin/feed@0.1.0;
}

world vendor-with-reopening {
    include cartwright:plugin/vendor@0.1.0;
    include cartwright:plugin/has-reopening@0.1.0;
}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../../wit/0.1");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut resolve = Resolve::default();
    let (contract, _) = resolve.push_path("../../wit/0.1")?;
    let composed = resolve.push_str("composed.wit", COMPOSED)?;
    let of_contract = ["vendor", "cart-strategy", "order-hook", "everything"].map(|name| (contract, name));
    let of_vendors = ["vendor-with-feed", "vendor-with-reopening"].map(|name| (composed, name));
    for (package, name) in of_contract.into_iter().chain(of_vendors) {
        let world = resolve.select_world(&[package], Some(name))?;
        std::fs::write(out.join(name), metadata::encode(&resolve, world, StringEncoding::UTF8, None)?)?;
    }
    Ok(())
}
