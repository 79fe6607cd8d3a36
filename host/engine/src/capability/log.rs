//! `log`, stdout and stderr: all go to the plugin's log, and together they have one limit.

use cartwright_contract::interfaces::log::{Host, Level};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::log_sink::{LogSink, OUTPUT_LEVEL};
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

/// A guest's stdout or stderr.
#[derive(Clone)]
pub(crate) struct GuestOutput(pub(crate) LogSink);

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this, and no such guest is hosted.
        Box::new(tokio::io::sink())
    }
}

#[async_trait::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        let text = String::from_utf8_lossy(&bytes);
        self.0.write(OUTPUT_LEVEL, &text).map_err(|breach| StreamError::Trap(breach.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}
