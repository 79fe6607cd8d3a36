//! The log of one guest call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cartwright_contract::error::{Breach, LogLine};

/// The level of what a guest writes to stdout and stderr.
pub(crate) const OUTPUT_LEVEL: &str = "output";

/// Where a call's log lines gather.
#[derive(Clone)]
pub(crate) struct LogSink(Arc<Mutex<Buffer>>);

struct Buffer {
    lines: Vec<LogLine>,
    bytes: usize,
    max_bytes: usize,
    /// While a durable hook is replayed: an earlier run has said it.
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
        // No database keeps a NUL.
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
