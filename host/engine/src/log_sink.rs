//! The log of one guest call: `log`, stdout and stderr all go there, and together they have one limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cartwright_contract::error::{Breach, LogLine};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// Level of what a guest writes to standard output and standard error.
pub(crate) const OUTPUT_LEVEL: &str = "output";

/// Collects the log lines of a call.
#[derive(Clone)]
pub(crate) struct LogSink(Arc<Mutex<Buffer>>);

struct Buffer {
    lines: Vec<LogLine>,
    bytes: usize,
    max_bytes: usize,
    /// Set while a durable hook is replayed, because an earlier run logged the same lines.
    muted: bool,
}

impl LogSink {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Buffer { lines: Vec::new(), bytes: 0, max_bytes, muted: false })))
    }

    pub(crate) fn write(&self, level: &'static str, text: &str) -> Result<(), Breach> {
        let mut buffer = self.buffer();
        if buffer.muted {
            return Ok(());
        }
        buffer.bytes += text.len();
        if buffer.bytes > buffer.max_bytes {
            return Err(Breach::LogBytes { allowed: buffer.max_bytes });
        }
        // No database stores a NUL.
        buffer.lines.push(LogLine { level: level.into(), text: text.replace('\0', "\u{fffd}") });
        Ok(())
    }

    pub(crate) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.buffer().lines)
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.buffer().lines.clone()
    }

    pub(crate) fn mute(&self, muted: bool) {
        self.buffer().muted = muted;
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard output or standard error of a guest.
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
        // Only WASI 0.3 calls this, and no such guest is supported.
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
