//! `log`: writing to the plugin's log, as stdout and stderr do (see `log_sink.rs`).

use crate::bindings::log::{Host, Level};
use crate::state::GuestState;

impl Host for GuestState {
    fn write(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        if self.replaying() {
            return Ok(());
        }
        self.meter.host_call()?;
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.log.write(level, &text)?;
        tracing::debug!(target: "cartwright::guest_log", level, text);
        Ok(())
    }
}
