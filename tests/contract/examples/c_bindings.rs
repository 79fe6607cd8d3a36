//! Writes the C bindings of a world, as the command `wit-bindgen c` does, whose crate takes minutes to install:
//!
//!     cargo run -p cartwright-test-contract --example c_bindings -- wit/0.1 cart-strategy FOLDER

use std::error::Error;
use std::fs;
use std::path::Path;

use wit_bindgen_core::Files;
use wit_parser::Resolve;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [contract, world, folder] = arguments.as_slice() else {
        return Err("usage: c_bindings WIT WORLD FOLDER".into());
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(contract)?;
    let world = resolve.select_world(&[package], Some(world.as_str()))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(folder)?;
    for (name, bytes) in files.iter() {
        fs::write(Path::new(folder).join(name), bytes)?;
    }
    Ok(())
}
