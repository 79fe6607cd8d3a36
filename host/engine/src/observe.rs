//! Hearing what happens in the host, for metrics, charts and logs: an [`Observer`] is told of each guest call, of what guests
//! logged, and of each request to a vendor.
//!
//! Nothing that it is told holds a secret, a shopper's data or a configuration of the host's; what a guest logs is the guest's own.
//! A guest may log what its hook was given, so that its lines are for those who may see that.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use cartwright_contract::error::{Failure, LogLine};
use cartwright_contract::hook::Hook;
use cartwright_contract::ids::{AccountId, Digest, PluginId, ShopId};
use cartwright_contract::interfaces::http;
use cartwright_contract::records::{self, FieldIssue};

use crate::log_sink::{LogSink, OUTPUT_LEVEL};

/// Hears what happens. It is called where it happens, so it must be quick and must not wait; what it does not implement it does
/// not hear.
pub trait Observer: Send + Sync {
    /// A guest call has ended.
    fn call_ended(&self, call: &GuestCall<'_>) {
        let _ = call;
    }

    /// A guest logged a line. It is told when the call has ended, just before [`call_ended`](Self::call_ended); the lines of one
    /// call are together at most [`Limits::log_bytes`](crate::Limits::log_bytes) long.
    fn line_logged(&self, line: &GuestLine<'_>) {
        let _ = line;
    }

    /// A run of a job has ended.
    fn job_run_ended(&self, run: &JobRun<'_>) {
        let _ = run;
    }

    /// A request to a vendor has ended, or was not sent.
    fn vendor_request_ended(&self, request: &VendorRequest<'_>) {
        let _ = request;
    }
}

/// What a guest call was for.
#[derive(Debug, Clone, Copy)]
pub struct CallContext<'a> {
    /// The plugin; "unnamed" while it is asked who it is.
    pub plugin: &'a PluginId,
    /// Its version.
    pub digest: Digest,
    /// The shop; none while a plugin is installed.
    pub shop: Option<&'a ShopId>,
    /// The account of the shop; none while a plugin is installed.
    pub account: Option<&'a AccountId>,
    /// The function that was called.
    pub hook: Hook,
}

/// A guest call that has ended.
#[derive(Debug, Clone, Copy)]
pub struct GuestCall<'a> {
    /// What it was for.
    pub call: CallContext<'a>,
    /// How it ended.
    pub outcome: CallOutcome,
    /// How long the guest computed, to the millisecond. Zero where the call was abandoned.
    pub guest: Duration,
    /// How long it took, with what the host did for the guest; where it was busy, how long it waited for a place.
    pub total: Duration,
}

/// A line that a guest logged.
#[derive(Debug, Clone, Copy)]
pub struct GuestLine<'a> {
    /// What the call was for.
    pub call: CallContext<'a>,
    /// "debug", "info", "warn", "error", or "output" for stdout and stderr.
    pub level: &'a str,
    /// The line. What was written to stdout or stderr in pieces is put together until its line ends.
    pub text: &'a str,
}

/// A request to a vendor's server.
#[derive(Debug, Clone, Copy)]
pub struct VendorRequest<'a> {
    /// The plugin that made it.
    pub plugin: &'a PluginId,
    /// The shop.
    pub shop: &'a ShopId,
    /// The account.
    pub account: &'a AccountId,
    /// The server, with its port where that is not the usual one; "?" where the request named none.
    pub host: &'a str,
    /// What came of it.
    pub outcome: VendorOutcome,
    /// How long it took, with its body.
    pub total: Duration,
}

/// A run of a job that has ended; the job may go on in another.
#[derive(Debug, Clone, Copy)]
pub struct JobRun<'a> {
    /// The plugin; none where its component is not installed.
    pub plugin: Option<&'a PluginId>,
    /// The shop.
    pub shop: &'a ShopId,
    /// The account.
    pub account: &'a AccountId,
    /// [`RunEnd::name`](crate::durable::RunEnd::name) of its end, or "lost" where the run could not be made or written down.
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
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// In one word.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

labels! {
    /// How a guest call ended. What the host finds wrong with an answer afterwards is told to the caller, not here.
    CallOutcome
    /// The plugin answered.
    Answered = "answered",
    /// The plugin said no, as it should: an input that is wrong, a configuration that cannot be bought, something that it does not do.
    Refused = "refused",
    /// A setting or a grant is missing.
    NotConfigured = "not-configured",
    /// Somebody could not be reached, or it is not known whether a request arrived.
    Unavailable = "unavailable",
    /// It broke a limit.
    Limit = "limit",
    /// The guest trapped.
    Trap = "trap",
    /// The plugin's own fault, told by itself or seen in what it did.
    Failed = "failed",
    /// All places for calls stayed taken.
    Busy = "busy",
    /// A durable run that goes on later.
    Paused = "paused",
    /// Whoever made the call did not wait for its end.
    Abandoned = "abandoned",
}

impl CallOutcome {
    /// Is it somebody's to mend?
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Answered | Self::Refused | Self::Paused | Self::Abandoned)
    }

    fn of_error(error: &records::Error) -> Self {
        use records::Error;
        match error {
            Error::InvalidInput(_) | Error::Rejected(_) | Error::Unsupported => Self::Refused,
            Error::NotConfigured(_) | Error::Denied(_) => Self::NotConfigured,
            Error::Unavailable(_) => Self::Unavailable,
            Error::LimitExceeded(_) => Self::Limit,
            Error::Internal(_) => Self::Failed,
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

    pub(crate) fn of_answer(answer: &impl Answer) -> Self {
        answer.error().map_or(Self::Answered, Self::of_error)
    }
}

labels! {
    /// What came of a request to a vendor.
    VendorOutcome
    /// 1xx or 2xx.
    Success = "2xx",
    /// 3xx: no redirect is followed.
    Redirect = "3xx",
    /// 4xx.
    ClientError = "4xx",
    /// 5xx.
    ServerError = "5xx",
    /// No answer, or not the whole of one.
    NoAnswer = "no-response",
    /// Not sent: the server was away again and again, and is left alone for a moment.
    CircuitOpen = "circuit-open",
    /// Not sent, or its answer was not taken: it is not granted, not well formed, or too large.
    Refused = "refused",
}

impl VendorOutcome {
    /// Is it somebody's to mend? A vendor may answer 404 to a question.
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Success | Self::Redirect | Self::ClientError)
    }

    pub(crate) fn of(sent: &Result<http::Response, records::Error>) -> Self {
        match sent {
            Ok(response) => match response.status {
                ..300 => Self::Success,
                300..400 => Self::Redirect,
                400..500 => Self::ClientError,
                500.. => Self::ServerError,
            },
            Err(records::Error::Unavailable(_)) => Self::NoAnswer,
            Err(_) => Self::Refused,
        }
    }
}

/// What a function of the contract gave.
pub(crate) trait Answer {
    /// The error that it answered with.
    fn error(&self) -> Option<&records::Error>;
}

impl<T> Answer for Result<T, records::Error> {
    fn error(&self) -> Option<&records::Error> {
        self.as_ref().err()
    }
}

impl<A: Answer, B> Answer for (A, B) {
    fn error(&self) -> Option<&records::Error> {
        self.0.error()
    }
}

impl<A: Answer, B, C> Answer for (A, B, C) {
    fn error(&self) -> Option<&records::Error> {
        self.0.error()
    }
}

/// `settings.validate`: what it finds is its answer.
impl Answer for Vec<FieldIssue> {
    fn error(&self) -> Option<&records::Error> {
        None
    }
}

/// A call in progress, which tells the observer of its end, also when it is dropped in the middle.
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

    /// It waited for its place no longer than it had to: from here on its time counts.
    pub(crate) fn restart_timer(mut self) -> Self {
        self.started = Instant::now();
        self
    }

    /// Says how it ended, and after how long.
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

/// Lines as people read them. Stdout and stderr come in pieces, a panic's message in many.
fn whole_lines(pieces: &[LogLine]) -> Vec<(&str, Cow<'_, str>)> {
    let same = |one: &LogLine, other: &LogLine| one.level == OUTPUT_LEVEL && other.level == OUTPUT_LEVEL;
    let mut lines = Vec::new();
    for run in pieces.chunk_by(same) {
        match run {
            [line] if line.level != OUTPUT_LEVEL => lines.push((&*line.level, Cow::Borrowed(line.text.as_str()))),
            pieces => {
                let written: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
                let written = written.lines().filter(|line| !line.trim().is_empty());
                lines.extend(written.map(|line| (OUTPUT_LEVEL, Cow::Owned(line.to_owned()))));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_pieces_is_told_line_by_line() {
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
