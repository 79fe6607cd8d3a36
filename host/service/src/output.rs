//! What the command says, and where. Whoever reads it may stop early, as `head` does; then the command ends quietly, as others do,
//! instead of panicking as `println!` would.

use std::error::Error;
use std::fmt::{self, Arguments};
use std::io::{ErrorKind, Write as _};

/// What a shell reports of a command that the closed pipe's signal ended: 128 + SIGPIPE.
const CLOSED_PIPE: u8 = 141;

/// Says a line on standard output; ends the command when that cannot be done. Callers that must clean up use [`try_line`].
pub fn line(text: Arguments<'_>) {
    if let Err(unsaid) = try_line(text) {
        std::process::exit(unsaid.code().into());
    }
}

/// Says a line on standard output.
pub fn try_line(text: Arguments<'_>) -> Result<(), OutputClosed> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(OutputClosed)
}

/// Standard output takes nothing more.
#[derive(Debug)]
pub struct OutputClosed(std::io::Error);

impl OutputClosed {
    /// What the command ends with, once it has tidied up. Says why, unless the reader just stopped early.
    pub fn code(&self) -> u8 {
        if self.0.kind() == ErrorKind::BrokenPipe {
            return CLOSED_PIPE;
        }
        print_error(&format!("error: {self}"));
        1
    }
}

impl fmt::Display for OutputClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "standard output: {}", self.0)
    }
}

impl Error for OutputClosed {}

/// Says a text on standard error. When nobody listens there either, nobody can be told.
pub fn print_error(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
