//! Observation of the host for metrics, charts and logs: an [`Observer`] is notified of each guest call, each plugin
//! log line, and each request to a vendor.
//!
//! Nothing in a notification contains a secret, a shopper's data or a configuration from the host. A guest may log
//! what its hook received, so its log lines are only for people who may see that.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use cartwright_contract::error::{Failure, LogLine};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{AccountId, Digest, PluginId, ShopId};
use cartwright_contract::records::{self, HttpResponse};

use crate::log_sink::{LogSink, OUTPUT_LEVEL};

/// Receives notifications of what happens in the host. The methods are called synchronously, so they must be quick and
/// must not block. The default implementations do nothing.
pub trait Observer: Send + Sync {
    /// Called when a guest call has ended.
    fn call_ended(&self, call: &GuestCall<'_>) {
        let _ = call;
    }

    /// Called for each line that a guest logged, after the call has ended and just before
    /// [`call_ended`](Self::call_ended). The lines of one call have at most
    /// [`Limits::log_bytes`](crate::Limits::log_bytes) bytes together.
    fn line_logged(&self, line: &GuestLine<'_>) {
        let _ = line;
    }

    /// Called when a run of a job has ended.
    fn job_run_ended(&self, run: &JobRun<'_>) {
        let _ = run;
    }

    /// Called when a request to a vendor has ended, or was not sent.
    fn vendor_request_ended(&self, request: &VendorRequest<'_>) {
        let _ = request;
    }
}

/// The subject of a guest call.
#[derive(Debug, Clone, Copy)]
pub struct CallContext<'a> {
    /// The plugin; "unnamed" until its metadata is known.
    pub plugin: &'a PluginId,
    /// The plugin version.
    pub digest: Digest,
    /// The shop; `None` while a plugin is installed.
    pub shop: Option<&'a ShopId>,
    /// The account; `None` while a plugin is installed.
    pub account: Option<&'a AccountId>,
    /// The function that was called.
    pub hook: Hook,
}

/// A guest call that has ended.
#[derive(Debug, Clone, Copy)]
pub struct GuestCall<'a> {
    /// The subject of the call.
    pub call: CallContext<'a>,
    /// The outcome.
    pub outcome: CallOutcome,
    /// Computing time of the guest, in whole milliseconds. Zero if the call was abandoned.
    pub guest: Duration,
    /// Duration of the call, host work included. If the host was busy, the time waited for a slot.
    pub total: Duration,
}

/// A line that a guest logged.
#[derive(Debug, Clone, Copy)]
pub struct GuestLine<'a> {
    /// The subject of the call.
    pub call: CallContext<'a>,
    /// The level: `debug`, `info`, `warn` or `error`; `output` for standard output and standard error.
    pub level: &'a str,
    /// The line. Output that was written in pieces is joined up to the end of its line.
    pub text: &'a str,
}

/// A request to a vendor's server.
#[derive(Debug, Clone, Copy)]
pub struct VendorRequest<'a> {
    /// The plugin that sent the request.
    pub plugin: &'a PluginId,
    /// The shop.
    pub shop: &'a ShopId,
    /// The account.
    pub account: &'a AccountId,
    /// The server, with its port unless it is the default; "?" if the request named none.
    pub host: &'a str,
    /// The outcome.
    pub outcome: VendorOutcome,
    /// Duration of the request, including its body.
    pub total: Duration,
}

/// A run of a job that has ended; the job may continue in another run.
#[derive(Debug, Clone, Copy)]
pub struct JobRun<'a> {
    /// The plugin; `None` if its version is not installed.
    pub plugin: Option<&'a PluginId>,
    /// The shop.
    pub shop: &'a ShopId,
    /// The account.
    pub account: &'a AccountId,
    /// [`RunEnd::name`](crate::durable::RunEnd::name) of its end, or "lost" if the run could not be executed or
    /// recorded.
    pub end: &'static str,
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident $($(#[$of:meta])* $variant:ident = $text:literal,)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// All variants.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name of the variant.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

labels! {
    /// Outcome of a guest call. Faults that the host finds in the result afterwards are reported to the caller, not
    /// here.
    CallOutcome
    /// The plugin returned a result.
    Answered = "answered",
    /// The plugin refused, as it should: the input is invalid, the configuration cannot be bought, or the operation is
    /// not supported.
    Refused = "refused",
    /// A setting or a grant is missing.
    NotConfigured = "not-configured",
    /// A server is unavailable, or it is uncertain whether a request arrived.
    Unavailable = "unavailable",
    /// The call exceeded a limit.
    Limit = "limit",
    /// The guest trapped.
    Trap = "trap",
    /// A fault of the plugin, reported by itself or detected by the host.
    Failed = "failed",
    /// No slot became free in time.
    Busy = "busy",
    /// A durable run ended early and continues later.
    Paused = "paused",
    /// The caller dropped the call before its end.
    Abandoned = "abandoned",
}

impl CallOutcome {
    /// Returns whether a person has to fix something.
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Answered | Self::Refused | Self::Paused | Self::Abandoned)
    }

    fn of_error(error: &records::CallError) -> Self {
        use records::CallError;
        match error {
            CallError::InvalidInput(_) | CallError::Rejected(_) => Self::Refused,
            CallError::NotConfigured(_) | CallError::Denied(_) => Self::NotConfigured,
            CallError::Unavailable(_) => Self::Unavailable,
            CallError::LimitExceeded(_) => Self::Limit,
            CallError::Internal(_) | CallError::Other(_) => Self::Failed,
        }
    }

    pub(crate) fn of_failure(failure: &Failure) -> Self {
        match failure {
            Failure::PluginError(error) => Self::of_error(error),
            Failure::Limit(_) => Self::Limit,
            Failure::Trap(_) => Self::Trap,
            Failure::UnansweredRequest(_) => Self::Unavailable,
            Failure::Busy { .. } => Self::Busy,
            Failure::NotExported(_) | Failure::ContractViolation(_) => Self::Failed,
        }
    }

    pub(crate) fn of_result(result: &impl HookResult) -> Self {
        result.error().map_or(Self::Answered, Self::of_error)
    }
}

labels! {
    /// Outcome of a request to a vendor.
    VendorOutcome
    /// Status 1xx or 2xx.
    Success = "2xx",
    /// Status 3xx. Redirects are not followed.
    Redirect = "3xx",
    /// Status 4xx.
    ClientError = "4xx",
    /// Status 5xx.
    ServerError = "5xx",
    /// No response, or an incomplete one.
    NoResponse = "no-response",
    /// Not sent, because the circuit of the server is open.
    CircuitOpen = "circuit-open",
    /// Not sent, or the response was refused: not granted, malformed, or too large.
    Refused = "refused",
}

impl VendorOutcome {
    /// Returns whether a person has to fix something. A 404 is a valid response to a query, so it does not count.
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Success | Self::Redirect | Self::ClientError)
    }

    pub(crate) fn of(sent: &Result<HttpResponse, records::CallError>) -> Self {
        match sent {
            Ok(response) => match response.status {
                ..300 => Self::Success,
                300..400 => Self::Redirect,
                400..500 => Self::ClientError,
                500.. => Self::ServerError,
            },
            Err(records::CallError::Unavailable(_)) => Self::NoResponse,
            Err(_) => Self::Refused,
        }
    }
}

/// The result of a function of the contract.
pub(crate) trait HookResult {
    /// Returns the error of the contract, if the function failed with one.
    fn error(&self) -> Option<&records::CallError>;
}

impl<T> HookResult for Result<T, records::CallError> {
    fn error(&self) -> Option<&records::CallError> {
        self.as_ref().err()
    }
}

impl<A: HookResult, B> HookResult for (A, B) {
    fn error(&self) -> Option<&records::CallError> {
        self.0.error()
    }
}

impl<A: HookResult, B, C> HookResult for (A, B, C) {
    fn error(&self) -> Option<&records::CallError> {
        self.0.error()
    }
}

/// A call in progress. It notifies the observer of its end, also if it is dropped midway.
pub(crate) struct ObservedCall<'a> {
    observer: Option<&'a dyn Observer>,
    call: CallContext<'a>,
    log: LogSink,
    started: Instant,
    result: (CallOutcome, Duration),
}

impl<'a> ObservedCall<'a> {
    pub(crate) fn begin(observer: Option<&'a dyn Observer>, call: CallContext<'a>, log: LogSink) -> Self {
        let result = (CallOutcome::Abandoned, Duration::ZERO);
        Self { observer, call, log, started: Instant::now(), result }
    }

    /// Restarts the timer once a slot is acquired, so that the wait is not part of the call's duration.
    pub(crate) fn restart_timer(mut self) -> Self {
        self.started = Instant::now();
        self
    }

    /// Records the outcome, and returns the duration.
    pub(crate) fn end(mut self, outcome: CallOutcome, guest: Duration) -> Duration {
        self.result = (outcome, guest);
        self.started.elapsed()
    }
}

impl Drop for ObservedCall<'_> {
    fn drop(&mut self) {
        let (Some(observer), call) = (self.observer, self.call) else { return };
        for (level, text) in whole_lines(&self.log.lines()) {
            observer.line_logged(&GuestLine { call, level, text: &text });
        }
        let (outcome, guest) = self.result;
        observer.call_ended(&GuestCall { call, outcome, guest, total: self.started.elapsed() });
    }
}

/// Joins log pieces into lines. Standard output and standard error arrive in pieces, and a panic's message in many.
fn whole_lines(pieces: &[LogLine]) -> Vec<(&str, Cow<'_, str>)> {
    let same = |one: &LogLine, other: &LogLine| one.level == OUTPUT_LEVEL && other.level == OUTPUT_LEVEL;
    let mut lines = Vec::new();
    for run in pieces.chunk_by(same) {
        match run {
            [line] if line.level != OUTPUT_LEVEL => lines.push((&*line.level, Cow::Borrowed(line.text.as_str()))),
            pieces => {
                let output: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
                let output = output.lines().filter(|line| !line.trim().is_empty());
                lines.extend(output.map(|line| (OUTPUT_LEVEL, Cow::Owned(line.to_owned()))));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_is_written_in_pieces_is_reported_line_by_line() {
        let piece = |level: &'static str, text: &str| LogLine { level: level.into(), text: text.to_owned() };
        let pieces = [
            piece("info", "two\nlines"),
            piece(OUTPUT_LEVEL, "thread 'main' "),
            piece(OUTPUT_LEVEL, "panicked\n\n"),
            piece(OUTPUT_LEVEL, "note"),
            piece("warn", "last"),
        ];
        let lines: Vec<(&str, String)> =
            whole_lines(&pieces).into_iter().map(|(level, text)| (level, text.into_owned())).collect();
        let expected = [
            ("info", "two\nlines"),
            (OUTPUT_LEVEL, "thread 'main' panicked"),
            (OUTPUT_LEVEL, "note"),
            ("warn", "last"),
        ];
        assert_eq!(lines, expected.map(|(level, text)| (level, text.to_owned())));
    }
}
