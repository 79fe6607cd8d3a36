//! Thumbnails of the configured products. They are fetched and checked after the plan, within the budgets of one
//! request.
//!
//! A thumbnail that cannot be used is left out with a warning, because the shopper can buy without it. A replanned
//! line keeps the thumbnail that it was sealed with.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cartwright_cart::error::CartError;
use cartwright_cart::line::CartLine;
use cartwright_cart::pricing::warning;
use cartwright_cart::thumbnail::{self, MAX_PICTURE_BYTES};
use cartwright_cart::thumbnails::{CheckedThumbnails, MAX_PICTURE_BYTES_PER_REQUEST, ThumbnailSource, check};
use cartwright_contract::address::host_of;
use cartwright_contract::clock::{Clock, SystemClock};
use cartwright_contract::error::describe;
use cartwright_contract::ids::Digest;
use cartwright_contract::platform::NewConfiguration;
use cartwright_contract::records::{Item, Thumbnail};
use cartwright_engine::egress::{OutboundRequest, QueueEntry, check_url};
use cartwright_engine::health::Requester;
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::pipeline::{PlanPipeline, Thumbnails};
use super::prepared::Prepared;

/// Maximum time for which a shopper waits for all thumbnails that one request fetches.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum time for which a shopper waits for a slot to decode thumbnails.
const DECODE_SLOT_TIMEOUT: Duration = Duration::from_secs(3);

impl PlanPipeline<'_> {
    /// Keeps the thumbnail that a line was sealed with when the line is replanned from its stored configuration.
    pub(super) fn keep_picture(&mut self, line: &CartLine) {
        self.pictures.sealed.extend(line.item.map(|item| (item, line.thumbnail)));
    }

    /// Adds thumbnails to the lines of configured products, which are roots only.
    pub(super) async fn add_pictures(&mut self, raw: &[u8], items: &[Item], families: &mut [Vec<CartLine>]) {
        let mut wanted: BTreeMap<u32, &Thumbnail> = BTreeMap::new();
        for index in families.iter().flatten().filter_map(|line| line.item) {
            let root = items.get(index as usize).filter(|item| item.parent.is_none());
            if let Some(thumbnail) = root.and_then(|item| item.thumbnail.as_ref())
                && !self.pictures.sealed.contains_key(&index)
            {
                wanted.insert(index, thumbnail);
            }
        }
        let is_wanted = !wanted.is_empty();
        self.find(raw, wanted).await;
        let Thumbnails { sealed, by_item, .. } = &self.pictures;
        for line in families.iter_mut().flatten() {
            line.thumbnail = line.item.and_then(|item| sealed.get(&item).or(by_item.get(&item)).copied().flatten());
        }
        if is_wanted {
            let count = families.iter().flatten().filter(|line| line.thumbnail.is_some()).count();
            self.record_stage(format!("{count} lines have a picture"));
        }
    }

    /// Stores the configuration with the thumbnails that were found.
    pub(super) async fn store(&mut self, prepared: &Prepared) -> Result<(), CartError> {
        let Some(digest) = prepared.configuration else { return Ok(()) };
        let raw = prepared.raw.as_slice();
        let pictures = std::mem::take(&mut self.pictures.new);
        let (shop, client) = (&self.state.shop.id, self.visitor.client.as_deref());
        let new = NewConfiguration { digest, bytes: raw, pictures: &pictures, client };
        let stored = self.host.platform().blobs.put_configuration(shop, &new).await;
        stored.map_err(|error| CartError::Platform(error.to_string()))?;
        let origin = if prepared.is_verified { " from the vendor's server" } else { "" };
        self.record_stage(format!("stored {} bytes{origin} as {digest}, and {} pictures", raw.len(), pictures.len()));
        Ok(())
    }

    /// Finds thumbnails, and records each result and the reasons of those left out.
    async fn find(&mut self, raw: &[u8], wanted: BTreeMap<u32, &Thumbnail>) {
        if wanted.is_empty() {
            return;
        }
        let mut fetched = self.fetch(&wanted).await;
        let (mut found, mut rejected) = (Vec::new(), Vec::new());
        for (index, source) in wanted {
            let picture = match source {
                Thumbnail::InPayload(range) => thumbnail::extract(raw, range)
                    .map(|text| ThumbnailSource::Encoded(text.to_vec()))
                    .map_err(|error| error.to_string()),
                Thumbnail::Stored(digest) => self.stored_picture(digest).await,
                Thumbnail::Url(url) => match fetched.get_mut(url) {
                    Some(Ok(bytes)) => Ok(ThumbnailSource::Fetched(bytes.clone())),
                    Some(Err(reason)) => Err(reason.clone()),
                    None => Err(format!("all thumbnails of a request together have {} s", FETCH_TIMEOUT.as_secs())),
                },
            };
            match picture {
                Ok(picture) => found.push((index, picture)),
                Err(reason) => rejected.push((index, reason)),
            }
        }
        let indexes: Vec<u32> = found.iter().map(|(index, _)| *index).collect();
        let slot = self.host.decoding().take(&self.state.shop.id);
        let checked = match tokio::time::timeout(DECODE_SLOT_TIMEOUT, slot).await {
            // The slot is held until the decoder ends, even if no call waits for the result any more.
            Ok(Some(slot)) => tokio::task::spawn_blocking(move || {
                let _slot = slot;
                check(found)
            })
            .await
            .map_err(|_| "the decoder failed"),
            Ok(None) | Err(_) => Err("other thumbnails of the shop are being decoded"),
        };
        match checked {
            Ok(CheckedThumbnails { by_item, pictures, rejected: unusable }) => {
                self.pictures.by_item.extend(by_item.into_iter().map(|(index, digest)| (index, Some(digest))));
                self.pictures.new.extend(pictures);
                rejected.extend(unusable);
            }
            Err(reason) => rejected.extend(indexes.into_iter().map(|index| (index, reason.to_owned()))),
        }
        self.pictures.by_item.extend(rejected.iter().map(|(index, _)| (*index, None)));
        let mut by_reason: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        rejected.into_iter().for_each(|(index, reason)| by_reason.entry(reason).or_default().push(index));
        self.warnings.extend(by_reason.into_iter().filter_map(|(reason, items)| {
            let text = match items.as_slice() {
                [index] => format!("The thumbnail of item {index} is left out: {reason}."),
                [first, ..] => {
                    format!("{} thumbnails are left out, the first of item {first}: {reason}.", items.len())
                }
                [] => return None,
            };
            Some(warning("thumbnail-unusable", text))
        }));
    }

    /// Returns a picture that came with the configuration from the vendor's server, or that the past line has. No other
    /// blob of the shop can become a picture.
    async fn stored_picture(&self, digest: &str) -> Result<ThumbnailSource, String> {
        let digest = digest.parse::<Digest>().ok();
        if let Some(bytes) = digest.and_then(|digest| self.received_blobs.get(&digest)) {
            return Ok(ThumbnailSource::Fetched(bytes.to_vec()));
        }
        let past = digest.filter(|digest| self.past_thumbnail == Some(*digest));
        let digest = past.ok_or("the host stored no such picture for the configuration")?;
        match self.host.platform().blobs.get(&self.state.shop.id, &digest).await {
            Ok(Some(bytes)) => Ok(ThumbnailSource::Fetched(bytes)),
            Ok(None) => Err("it is no longer stored".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Fetches each URL once, two at a time, as fast as the servers' rate limits allow. Thumbnails that do not arrive
    /// in time are missing from the result.
    async fn fetch(&self, wanted: &BTreeMap<u32, &Thumbnail>) -> HashMap<String, Result<Vec<u8>, String>> {
        let mut urls: Vec<&String> = Vec::new();
        for source in wanted.values() {
            if let Thumbnail::Url(url) = source {
                urls.push(url);
            }
        }
        urls.sort_unstable();
        urls.dedup();
        let ends = Instant::now() + FETCH_TIMEOUT;
        let (waiting, fetched) = (Mutex::new((urls.into_iter(), 0)), Mutex::new(HashMap::new()));
        let lock = |error: PoisonError<_>| error.into_inner();
        let fetch_some = async || {
            loop {
                let (url, bytes) = {
                    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let Some(url) = waiting.0.next() else { return };
                    (url, waiting.1)
                };
                let picture = match bytes < MAX_PICTURE_BYTES_PER_REQUEST {
                    true => self.fetch_picture(url, ends).await,
                    false => Err(format!(
                        "all thumbnails of a request together may have {MAX_PICTURE_BYTES_PER_REQUEST} bytes"
                    )),
                };
                if let Ok(bytes) = &picture {
                    waiting.lock().unwrap_or_else(PoisonError::into_inner).1 += bytes.len();
                }
                fetched.lock().unwrap_or_else(lock).insert(url.clone(), picture);
            }
        };
        // The remaining thumbnails are out of time.
        let _ = tokio::time::timeout_at(ends.into(), async { tokio::join!(fetch_some(), fetch_some()) }).await;
        fetched.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches a thumbnail from a granted host.
    async fn fetch_picture(&self, url: &str, ends: Instant) -> Result<Vec<u8>, String> {
        // The operator grants a thumbnail's host; the plugin need not declare it.
        let host = url::Url::parse(url).ok().and_then(|url| host_of(&url));
        let (shop, grants, egress) = (&self.state.shop.id, &self.vendor.grants, &self.host.platform().egress);
        let url = check_url(url, host.as_slice(), grants).map_err(|refusal| refusal.to_string())?;
        let requester = self.visitor.client.clone().map_or(Requester::Unknown, Requester::Visitor);
        let remaining = || ends.saturating_duration_since(Instant::now());
        let queued = QueueEntry {
            shop,
            requester: &requester,
            rate_limit: egress.health.rate_limit(grants.requests_per_second),
            deadline: Some(SystemClock.now() + remaining()),
        };
        let admission = egress.admit(url, grants, queued, &SystemClock).await.map_err(|error| error.to_string())?;
        // The request ends a little before the overall time, so that a slow server is recorded as such.
        let timeout = remaining().saturating_sub(Duration::from_millis(50));
        let outgoing = OutboundRequest { method: Method::GET, headers: HeaderMap::new(), body: Vec::new(), timeout };
        let answer = admission.send(outgoing).await.map_err(|error| describe(&error.error))?;
        if !answer.status.is_success() {
            return Err(format!("its server responded {}", answer.status));
        }
        let limit = ("bytes of a picture", MAX_PICTURE_BYTES as u64);
        answer.body(limit).await.map_err(|error| describe(&error.error))
    }
}
