//! Writes the C bindings of the world `cart-strategy` into a folder, as the command `wit-bindgen c` does, whose crate
//! takes minutes to install:
//!
//!     cargo run -p cartwright-test-contract --example c_bindings -- FOLDER

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: c_bindings FOLDER")?;
    fs::create_dir_all(&folder)?;
    for file in fs::read_dir(concat!(env!("OUT_DIR"), "/c-strategy"))? {
        let file = file?;
        fs::copy(file.path(), Path::new(&folder).join(file.file_name()))?;
    }
    Ok(())
}
