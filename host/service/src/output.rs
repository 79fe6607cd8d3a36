//! Output of the command line. If the reader stops early, as `head` does, the command ends quietly like others, instead
//! of panicking as `println!` would.

use std::error::Error;
use std::fmt::{self, Arguments};
use std::io::{ErrorKind, Write as _};

/// Exit code that a shell reports for a command that was ended by a closed pipe: 128 + SIGPIPE.
const CLOSED_PIPE: u8 = 141;

/// Prints a line on standard output; exits if that fails. Callers that must clean up use [`try_line`].
pub fn line(text: Arguments<'_>) {
    if let Err(closed) = try_line(text) {
        std::process::exit(closed.code().into());
    }
}

/// Prints a line on standard output.
pub fn try_line(text: Arguments<'_>) -> Result<(), OutputClosed> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(OutputClosed)
}

/// Standard output is closed or failed.
#[derive(Debug)]
pub struct OutputClosed(std::io::Error);

impl OutputClosed {
    /// Returns the exit code of the command after its clean-up. Prints the reason, unless the reader just stopped
    /// early.
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

/// Prints a text on standard error. A failure is ignored, because it cannot be reported anywhere.
pub fn print_error(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
