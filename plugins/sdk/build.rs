//! Encodes all worlds of the contract, so that one set of bindings serves them all. An export macro adds the encoded
//! worlds that the plugin consists of, and the linker makes a component of them alone.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a build script that cannot go on fails by a panic"
)]

use std::path::PathBuf;

use wit_component::{StringEncoding, metadata};
use wit_parser::Resolve;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../../wit/0.1");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path("../../wit/0.1")?;
    for (name, world) in &resolve.packages[package].worlds {
        std::fs::write(out.join(name), metadata::encode(&resolve, *world, StringEncoding::UTF8, None)?)?;
    }
    Ok(())
}
