//! The command line as an integrator uses it: the built command, real files, and its exit codes. One file for each
//! command.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails by a panic"
)]

mod demo;
mod handle;
mod inspect;
mod jobs;
mod keys;
mod languages;
mod plan;
mod plan_folder;
mod plan_mistakes;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The result of the command.
#[derive(Debug)]
struct CommandResult {
    code: Option<i32>,
    out: String,
    err: String,
}

impl CommandResult {
    /// Returns the standard output of a success.
    #[track_caller]
    fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// Returns the standard output of a success as JSON.
    #[track_caller]
    fn json(self) -> Value {
        let out = self.succeeded();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// Returns the standard error of a failure without output.
    #[track_caller]
    fn failed(self) -> String {
        let (out, err) = self.failed_after();
        assert_eq!(out, "", "a failure has no result");
        err
    }

    /// Returns the standard output of a failure, and its standard error.
    #[track_caller]
    fn failed_after(self) -> (String, String) {
        assert_eq!(self.code, Some(1), "{self:#?}");
        (self.out, self.err)
    }

    /// Returns the typed error of a failure.
    #[track_caller]
    fn typed_error(self) -> Value {
        let err = self.failed();
        serde_json::from_str(&err).unwrap_or_else(|error| panic!("{error}: {err}"))
    }
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache")
}

/// Runs the command. All tests share compiled components.
fn cartwright<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> CommandResult {
    cartwright_with(arguments, &[])
}

/// Runs the command with these environment variables.
fn cartwright_with<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    variables: &[(&str, &str)],
) -> CommandResult {
    let output = Command::new(env!("CARGO_BIN_EXE_cartwright"))
        .args(arguments)
        .env("CARTWRIGHT_CACHE", cache())
        .env_remove("CARTWRIGHT_LOG")
        .env_remove("CARTWRIGHT_KEY")
        .envs(variables.iter().copied())
        .output()
        .expect("the command starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    CommandResult { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
