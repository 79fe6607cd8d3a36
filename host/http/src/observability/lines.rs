//! The plugin log: the last lines that guests wrote, by plugin and shop.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use cartwright::observe::GuestLine;
use cartwright::{AccountId, Digest, Hook, PluginId, ShopId, timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Maximum number of lines of a plugin in a shop.
const MAX_LINES: usize = 200;
/// Maximum size of the lines of a plugin in a shop, in bytes.
const MAX_LOG_BYTES: usize = 64 << 10;
/// Maximum size of one line, in bytes.
const MAX_LOG_LINE_BYTES: usize = 4 << 10;
/// Maximum number of pairs of a plugin and a shop, which take 16 MB together. Beyond it, the one with the oldest last
/// line is removed.
const MAX_LOGS: usize = 256;
/// Time for which lines are stored. It is short because a guest may log what a shopper wrote.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The severity of a line. Lines written to stdout and stderr have none of their own; often they are the last that a
/// guest writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// For the plugin's author.
    Debug,
    /// Normal progress.
    Info,
    /// Written to stdout or stderr.
    Output,
    /// Possibly a problem.
    Warn,
    /// An error.
    Error,
}

impl Severity {
    fn of(level: &str) -> Self {
        match level {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            _ => Self::Output,
        }
    }
}

/// The plugin log of a node.
#[derive(Default)]
pub struct Lines(Mutex<HashMap<(ShopId, PluginId), Log>>);

/// The lines of a plugin in a shop, oldest first.
#[derive(Default)]
struct Log {
    lines: VecDeque<Line>,
    bytes: usize,
}

struct Line {
    at: SystemTime,
    digest: Digest,
    account: Option<AccountId>,
    hook: Hook,
    level: Severity,
    text: String,
}

/// A line of the plugin log.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoggedLine {
    /// Time at which the guest call ended.
    #[schema(format = DateTime)]
    pub at: String,
    /// Plugin that wrote the line.
    pub plugin: PluginId,
    /// Digest of the plugin version.
    pub digest: Digest,
    /// Account that the plugin was called for.
    pub account: Option<AccountId>,
    /// Hook that was called.
    pub hook: Hook,
    /// Severity of the line.
    pub level: Severity,
    /// Text of the line, cut after 4096 bytes.
    pub text: String,
}

impl Lines {
    /// Stores a line that was received at this time.
    pub(crate) fn keep(&self, line: &GuestLine<'_>, at: SystemTime) {
        let call = line.call;
        // Without a shop, a plugin is only asked for its metadata; the operator who installs it sees the lines.
        let Some(shop) = call.shop else { return };
        let (account, level) = (call.account.cloned(), Severity::of(line.level));
        let line = Line { at, digest: call.digest, account, hook: call.hook, level, text: cut(line.text) };
        let mut all = self.all();
        let key = (shop.clone(), call.plugin.clone());
        if all.len() >= MAX_LOGS && !all.contains_key(&key) {
            let silent = all.iter().min_by_key(|(_, log)| log.lines.back().map(|line| line.at));
            if let Some(silent) = silent.map(|(key, _)| key.clone()) {
                all.remove(&silent);
            }
        }
        all.entry(key).or_default().push(line);
    }

    /// Returns the lines of a shop in the last day, newest first, optionally of one plugin and from a severity upwards.
    pub fn of_shop(
        &self,
        shop: &ShopId,
        plugin: Option<&PluginId>,
        least: Severity,
        now: SystemTime,
    ) -> Vec<LoggedLine> {
        let all = self.all();
        let selected = all.iter().filter(|((of, by), _)| of == shop && plugin.is_none_or(|plugin| plugin == by));
        let mut found: Vec<(&PluginId, &Line)> = selected
            .flat_map(|((_, plugin), log)| log.lines.iter().rev().map(move |line| (plugin, line)))
            .filter(|(_, line)| line.level >= least && is_kept(line, now))
            .collect();
        // The sort is stable, so that the last line of one call stays first.
        found.sort_by_key(|(_, line)| std::cmp::Reverse(line.at));
        found
            .into_iter()
            .map(|(plugin, line)| LoggedLine {
                at: timestamp(line.at),
                plugin: plugin.clone(),
                digest: line.digest,
                account: line.account.clone(),
                hook: line.hook,
                level: line.level,
                text: line.text.clone(),
            })
            .collect()
    }

    /// Deletes the lines of a shop. It is unknown which of them concern which person.
    pub(crate) fn forget(&self, shop: &ShopId) {
        self.all().retain(|(of, _), _| of != shop);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(ShopId, PluginId), Log>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn push(&mut self, line: Line) {
        let now = line.at;
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES
            || self.bytes > MAX_LOG_BYTES
            || self.lines.front().is_some_and(|line| !is_kept(line, now))
        {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }
}

fn is_kept(line: &Line, now: SystemTime) -> bool {
    now.duration_since(line.at).unwrap_or_default() < RETENTION
}

fn cut(text: &str) -> String {
    match text.len() > MAX_LOG_LINE_BYTES {
        true => format!("{}…", &text[..text.floor_char_boundary(MAX_LOG_LINE_BYTES)]),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use cartwright::observe::CallContext;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn keep(lines: &Lines, shop: &str, plugin: &str, level: &str, text: &str, seconds: u64) {
        let (shop, plugin): (ShopId, PluginId) = (shop.parse().expect("an id"), plugin.parse().expect("an id"));
        let digest = Digest::of(b"a component");
        let call = CallContext { plugin: &plugin, digest, shop: Some(&shop), account: None, hook: Hook::Plan };
        lines.keep(&GuestLine { call, level, text }, at(seconds));
    }

    fn texts(lines: &Lines, shop: &str, plugin: Option<&str>, least: Severity, seconds: u64) -> Vec<String> {
        let plugin = plugin.map(|plugin| plugin.parse().expect("an id"));
        let found = lines.of_shop(&shop.parse().expect("an id"), plugin.as_ref(), least, at(seconds));
        found.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_told_of_their_shop_the_newest_first() {
        let lines = Lines::default();
        keep(&lines, "rings", "expivi", "info", "one", 0);
        keep(&lines, "rings", "twikit", "error", "two", 1);
        keep(&lines, "rings", "expivi", "debug", "three", 2);
        keep(&lines, "doors", "expivi", "error", "another shop's", 3);
        assert_eq!(texts(&lines, "rings", None, Severity::Debug, 4), ["three", "two", "one"]);
        assert_eq!(texts(&lines, "rings", Some("expivi"), Severity::Debug, 4), ["three", "one"]);
        assert_eq!(texts(&lines, "rings", None, Severity::Warn, 4), ["two"]);
    }

    #[test]
    fn only_the_last_lines_are_kept_and_for_a_day() {
        let lines = Lines::default();
        for number in 0..300 {
            keep(&lines, "rings", "expivi", "info", &number.to_string(), number);
        }
        let listed = texts(&lines, "rings", None, Severity::Debug, 300);
        assert_eq!((listed.len(), listed[0].as_str(), listed[199].as_str()), (200, "299", "100"));
        assert!(texts(&lines, "rings", None, Severity::Debug, 300 + 24 * 60 * 60).is_empty());
    }

    #[test]
    fn long_lines_are_cut_and_push_others_out() {
        let lines = Lines::default();
        for number in 0..100 {
            keep(&lines, "rings", "expivi", "info", &"ä".repeat(10_000), number);
        }
        let listed = texts(&lines, "rings", None, Severity::Debug, 100);
        assert!(listed.iter().all(|text| text.len() <= MAX_LOG_LINE_BYTES + "…".len()));
        assert_eq!(listed.len(), MAX_LOG_BYTES / (MAX_LOG_LINE_BYTES + "…".len()));
    }

    #[test]
    fn the_shop_that_was_silent_for_longest_makes_room_and_a_forgotten_one_is_silent() {
        let lines = Lines::default();
        for number in 0..=MAX_LOGS {
            let second = u64::try_from(number).expect("a number");
            keep(&lines, &format!("shop-{number}"), "expivi", "info", "a line", second);
        }
        assert!(texts(&lines, "shop-0", None, Severity::Debug, 300).is_empty());
        assert_eq!(texts(&lines, "shop-1", None, Severity::Debug, 300), ["a line"]);
        lines.forget(&"shop-1".parse().expect("an id"));
        assert!(texts(&lines, "shop-1", None, Severity::Debug, 300).is_empty());
    }
}
