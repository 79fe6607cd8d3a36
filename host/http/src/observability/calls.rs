//! Statistics of guest calls in the last hour, minute by minute, for charts.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cartwright::{PluginId, ShopId, timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Number of minutes that are stored.
const KEPT_MINUTES: u64 = 60;
/// Maximum number of stored pairs of a plugin and a shop, of about 5 kB each. Beyond it, the one with the oldest call
/// is removed.
const MAX_SERIES: usize = 1000;
/// Upper bounds of the duration buckets, in milliseconds; the last bucket also counts longer calls.
const BUCKETS_MS: [u32; 14] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];

/// The call statistics of a node, by plugin and shop.
#[derive(Default)]
pub struct Calls(Mutex<HashMap<(PluginId, ShopId), VecDeque<Minute>>>);

/// A minute with calls.
#[derive(Default)]
struct Minute {
    /// Minutes since 1970.
    number: u64,
    errors: u32,
    durations: [u32; BUCKETS_MS.len()],
}

/// The call statistics of a plugin for a shop.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct CallSeries {
    /// Plugin that was called.
    pub plugin: PluginId,
    /// Shop that it was called for.
    pub shop: ShopId,
    /// Statistics of the whole last hour.
    pub last_hour: CallStatistics,
    /// Statistics by minute, oldest first; minutes without calls are left out.
    pub minutes: Vec<CallMinute>,
}

/// The calls that ended in a minute.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct CallMinute {
    /// Begin of the minute.
    #[schema(format = DateTime)]
    pub at: String,
    /// Statistics of the minute.
    #[serde(flatten)]
    pub count: CallStatistics,
}

/// The number of calls, and their results.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct CallStatistics {
    /// Number of calls.
    pub calls: u32,
    /// Number of calls that failed in a way that a person must fix: traps, limits, missing settings, an unavailable
    /// vendor.
    pub errors: u32,
    /// Median duration in milliseconds, rounded up to 1, 2, 5, 10 and so on; 20,000 also stands for more.
    pub p50_ms: u32,
    /// 95th percentile of the duration in milliseconds, rounded likewise.
    pub p95_ms: u32,
}

impl Calls {
    /// Counts a call that ended at this time.
    #[allow(clippy::indexing_slicing, reason = "the index is at most that of the last bucket")]
    pub(crate) fn observe(
        &self,
        plugin: &PluginId,
        shop: &ShopId,
        is_error: bool,
        durations: Duration,
        at: SystemTime,
    ) {
        let mut all = self.all();
        let key = (plugin.clone(), shop.clone());
        if all.len() >= MAX_SERIES && !all.contains_key(&key) {
            let latest = |minutes: &VecDeque<Minute>| minutes.back().map_or(0, |minute| minute.number);
            let oldest = all.iter().min_by_key(|(_, minutes)| latest(minutes)).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                all.remove(&oldest);
            }
        }
        let minutes = all.entry(key).or_default();
        let latest = minutes.back().map_or(0, |minute| minute.number);
        // If the clock was set back, counting continues in the minute that it had reached.
        let number = minute(at).max(latest);
        if minutes.is_empty() || number > latest {
            minutes.retain(|minute| is_kept(minute.number, number));
            minutes.push_back(Minute { number, ..Minute::default() });
        }
        let Some(minute) = minutes.back_mut() else { return };
        let edge = BUCKETS_MS.partition_point(|edge| Duration::from_millis((*edge).into()) < durations);
        minute.durations[edge.min(BUCKETS_MS.len() - 1)] += 1;
        minute.errors += u32::from(is_error);
    }

    /// Returns the calls of the last hour by plugin and shop, optionally of one plugin or one shop only.
    pub fn series(&self, plugin: Option<&PluginId>, shop: Option<&ShopId>, now: SystemTime) -> Vec<CallSeries> {
        let now = minute(now);
        let all = self.all();
        let selected = all.iter().filter(|((of, in_shop), _)| {
            plugin.is_none_or(|plugin| plugin == of) && shop.is_none_or(|shop| shop == in_shop)
        });
        let mut series: Vec<CallSeries> = selected
            .filter_map(|((plugin, shop), minutes)| {
                let recent = || minutes.iter().filter(|minute| is_kept(minute.number, now));
                let last_hour = count(recent())?;
                let minutes = recent()
                    .filter_map(|minute| {
                        let at = UNIX_EPOCH + Duration::from_secs(minute.number * 60);
                        Some(CallMinute { at: timestamp(at), count: count([minute])? })
                    })
                    .collect();
                Some(CallSeries { plugin: plugin.clone(), shop: shop.clone(), last_hour, minutes })
            })
            .collect();
        series.sort_by(|one, other| (&one.plugin, &one.shop).cmp(&(&other.plugin, &other.shop)));
        series
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(PluginId, ShopId), VecDeque<Minute>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn minute(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60
}

fn is_kept(minute: u64, now: u64) -> bool {
    minute + KEPT_MINUTES > now
}

/// Adds up minutes. Returns `None` without any call.
fn count<'a>(minutes: impl IntoIterator<Item = &'a Minute>) -> Option<CallStatistics> {
    let (mut durations, mut errors) = ([0_u32; BUCKETS_MS.len()], 0);
    for minute in minutes {
        errors += minute.errors;
        for (sum, more) in durations.iter_mut().zip(minute.durations) {
            *sum += more;
        }
    }
    let calls: u32 = durations.iter().sum();
    let within = |percent: u32| {
        let rank = (u64::from(calls) * u64::from(percent)).div_ceil(100);
        let mut cumulative = 0;
        let reaches = |(_, calls): &(u32, u32)| {
            cumulative += u64::from(*calls);
            cumulative >= rank
        };
        BUCKETS_MS.into_iter().zip(durations).find(reaches).map_or(0, |(edge, _)| edge)
    };
    (calls > 0).then(|| CallStatistics { calls, errors, p50_ms: within(50), p95_ms: within(95) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64, second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs((1_000_000 + minute) * 60 + second)
    }

    fn ids(plugin: &str, shop: &str) -> (PluginId, ShopId) {
        (plugin.parse().expect("an id"), shop.parse().expect("an id"))
    }

    #[test]
    fn calls_are_counted_by_minute_with_their_errors_and_percentiles() {
        let (calls, (plugin, shop)) = (Calls::default(), ids("expivi", "rings"));
        for second in 0..18 {
            calls.observe(&plugin, &shop, false, Duration::from_millis(3), at(0, second));
        }
        for second in 18..20 {
            calls.observe(&plugin, &shop, true, Duration::from_millis(150), at(0, second));
        }
        calls.observe(&plugin, &shop, false, Duration::from_secs(90), at(2, 0));
        let [series] = calls.series(None, None, at(2, 30)).try_into().expect("one");
        let first = CallStatistics { calls: 20, errors: 2, p50_ms: 5, p95_ms: 200 };
        let last = CallStatistics { calls: 1, errors: 0, p50_ms: 20_000, p95_ms: 20_000 };
        let minutes: Vec<CallStatistics> = series.minutes.iter().map(|minute| minute.count).collect();
        assert_eq!(minutes, [first, last], "the minute without calls is left out");
        assert_eq!(series.minutes[0].at, timestamp(at(0, 0)));
        assert_eq!(series.last_hour, CallStatistics { calls: 21, errors: 2, p50_ms: 5, p95_ms: 200 });
    }

    #[test]
    fn what_is_older_than_an_hour_is_no_longer_told() {
        let (calls, (plugin, shop)) = (Calls::default(), ids("expivi", "rings"));
        calls.observe(&plugin, &shop, false, Duration::ZERO, at(0, 59));
        assert_eq!(calls.series(None, None, at(59, 59)).len(), 1);
        assert_eq!(calls.series(None, None, at(60, 0)), []);
        for minute in 1..200 {
            calls.observe(&plugin, &shop, false, Duration::ZERO, at(minute, 0));
        }
        let [series] = calls.series(None, None, at(199, 0)).try_into().expect("one");
        assert_eq!((series.minutes.len(), series.last_hour.calls), (60, 60));
    }

    #[test]
    fn one_plugin_and_one_shop_can_be_asked_for() {
        let calls = Calls::default();
        for (plugin, shop) in [("expivi", "rings"), ("expivi", "doors"), ("twikit", "rings")] {
            let (plugin, shop) = ids(plugin, shop);
            calls.observe(&plugin, &shop, false, Duration::ZERO, at(0, 0));
        }
        let (plugin, shop) = ids("expivi", "rings");
        let series_names = |plugin, shop| {
            let series_names: Vec<String> = calls
                .series(plugin, shop, at(0, 0))
                .iter()
                .map(|series| format!("{} {}", series.plugin, series.shop))
                .collect();
            series_names
        };
        assert_eq!(series_names(None, None), ["expivi doors", "expivi rings", "twikit rings"]);
        assert_eq!(series_names(Some(&plugin), None), ["expivi doors", "expivi rings"]);
        assert_eq!(series_names(None, Some(&shop)), ["expivi rings", "twikit rings"]);
        assert_eq!(series_names(Some(&plugin), Some(&shop)), ["expivi rings"]);
    }

    #[test]
    fn the_shop_that_was_not_called_for_longest_makes_room() {
        let (calls, plugin) = (Calls::default(), ids("expivi", "a").0);
        for number in 0..=MAX_SERIES {
            let shop = format!("shop-{number}").parse().expect("an id");
            let minute = u64::from(number > 0);
            calls.observe(&plugin, &shop, false, Duration::ZERO, at(minute, 0));
        }
        let all_series = calls.series(None, None, at(1, 0));
        assert_eq!(all_series.len(), MAX_SERIES);
        assert!(all_series.iter().all(|series| series.shop.as_str() != "shop-0"));
    }

    #[test]
    fn a_clock_that_is_set_back_loses_no_call() {
        let (calls, (plugin, shop)) = (Calls::default(), ids("expivi", "rings"));
        calls.observe(&plugin, &shop, false, Duration::ZERO, at(5, 0));
        calls.observe(&plugin, &shop, false, Duration::ZERO, at(3, 0));
        let [series] = calls.series(None, None, at(5, 0)).try_into().expect("one");
        assert_eq!((series.minutes.len(), series.last_hour.calls), (1, 2));
    }
}
