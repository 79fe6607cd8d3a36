//! What the command says, and where. Whoever reads it may stop early, as `head` does; then the command ends quietly, as others do,
//! instead of panicking as `println!` would.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// What a shell reports of a command that the closed pipe's signal ended: 128 + SIGPIPE.
const CLOSED_PIPE: i32 = 141;

/// Says a line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

/// See [`say!`].
pub(crate) fn line(text: Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{text}") {
        if error.kind() != ErrorKind::BrokenPipe {
            complain(&format!("error: standard output: {error}"));
        }
        std::process::exit(if error.kind() == ErrorKind::BrokenPipe { CLOSED_PIPE } else { 1 });
    }
}

/// Says a text on standard error. When nobody listens there either, nobody can be told.
pub(crate) fn complain(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
