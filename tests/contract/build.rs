//! Generates the contract's bindings in other languages, for the tests and for the guest in C.
//!
//! This is a build script because the generators turn on features of `wasmparser`: as dependencies of a test they would
//! make every developer compile parts of wasmtime twice.

use std::error::Error;
use std::fs;
use std::path::Path;

use wit_bindgen_core::{Files, WorldGenerator};
use wit_parser::Resolve;

/// A world that exports everything that a plugin may export.
const EVERYTHING: &str = "every-plugin";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../wit/0.1");
    let out = std::env::var("OUT_DIR")?;
    let go = wit_bindgen_go::Opts { format: wit_bindgen_go::Format::False, ..wit_bindgen_go::Opts::default() };
    generate(wit_bindgen_c::Opts::default().build(), EVERYTHING, &Path::new(&out).join("c"))?;
    generate(wit_bindgen_csharp::Opts::default().build(), EVERYTHING, &Path::new(&out).join("csharp"))?;
    generate(go.build(), EVERYTHING, &Path::new(&out).join("go"))?;
    generate(wit_bindgen_c::Opts::default().build(), "cart-strategy", &Path::new(&out).join("c-strategy"))
}

/// Writes the bindings of a world into a folder.
fn generate(mut generator: Box<dyn WorldGenerator>, world: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let (contract, _) = resolve.push_path("../../wit/0.1")?;
    let package =
        if world == EVERYTHING { resolve.push_str("everything.wit", &everything(&resolve))? } else { contract };
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for (name, bytes) in files.iter() {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(file, bytes)?;
    }
    Ok(())
}

/// Composes the world of everything, as an author would.
fn everything(contract: &Resolve) -> String {
    let names = contract.worlds.iter().map(|(_, world)| world.name.as_str());
    let includes = names.filter(|name| *name == "vendor" || name.starts_with("has-"));
    let includes: String = includes.map(|name| format!("    include cartwright:plugin/{name}@0.1.0;\n")).collect();
    format!("package test:everything;\nworld {EVERYTHING} {{\n{includes}}}\n")
}
