// Builds guests for wasm32-wasip2 in a separate target folder, because the outer cargo holds the lock of the usual one.
// Included by the build scripts of this crate and of the tests.

use std::path::PathBuf;
use std::process::Command;

/// Builds these packages of the workspace, and copies the component of each to `OUT_DIR/<package>.wasm`.
pub fn build(packages: &[&str], watched: &[&str]) {
    let root = PathBuf::from("../..");
    for path in ["wit", "plugins/sdk/src", "plugins/sdk/build.rs", "Cargo.lock"].iter().chain(watched) {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    let target = out.join("guests");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.current_dir(&root).args(["build", "--locked", "--profile", "guest", "--target", "wasm32-wasip2"]);
    cargo.arg("--target-dir").arg(&target);
    for package in packages {
        cargo.args(["--package", package]);
    }
    // Settings of the outer build (a wrapper such as clippy's, flags for its own target) do not apply to the guests.
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"]
    {
        cargo.env_remove(name);
    }
    let built = cargo.status().unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
    assert!(built.success(), "cannot build the guests; if the target is missing, run: rustup target add wasm32-wasip2");
    for package in packages {
        let made = target.join("wasm32-wasip2/guest").join(package.replace('-', "_")).with_extension("wasm");
        if let Err(error) = std::fs::copy(&made, out.join(package).with_extension("wasm")) {
            panic!("cannot copy {}: {error}", made.display());
        }
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
