//! What a plugin says came of a webhook, checked. Unsigned requests reach it, so it may say only what is about orders of its own
//! account, their lines, and the settings that its form lets a vendor push.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::capability::Platform;
use crate::contract::{self, Order, Outcome};
use crate::durable::milliseconds;
use crate::outcome;
use crate::platform::PlatformError;
use crate::settings::Form;
use crate::webhook::address::Destination;
use crate::webhook::incoming::Incoming;
use crate::webhook::receipts::{Effects, OrderMessage};

/// So many outcomes one request may have: each order that they name is looked up.
const MOST_OUTCOMES: usize = 500;

/// Why what a plugin said is not applied.
pub(super) enum NotApplied {
    /// The plugin may not say it.
    Breach(String),
    /// The order book did not answer.
    Unsure(PlatformError),
}

/// Checks what a plugin says, and sorts it. `readable` are the blobs that its call was given the digest of.
pub(super) async fn effects(
    platform: &Platform,
    form: &Form,
    to: &Destination,
    incoming: &Incoming,
    readable: &[contract::Digest],
    said: Vec<(Option<String>, Outcome)>,
) -> Result<Effects, NotApplied> {
    if said.len() > MOST_OUTCOMES {
        return Err(NotApplied::Breach(format!("it gives {} outcomes, {MOST_OUTCOMES} are allowed", said.len())));
    }
    let (mut effects, mut orders) = (Effects::default(), BTreeMap::new());
    let seed = seed(to, incoming);
    for (number, (reference, outcome)) in said.into_iter().enumerate() {
        let order = match reference {
            Some(reference) => Some(find(platform, to, reference, &mut orders).await?),
            None => None,
        };
        outcome::check(form, order, readable, &outcome).map_err(NotApplied::Breach)?;
        let order = order.map(|order| order.reference.clone());
        match (order, outcome) {
            (Some(order), Outcome::HandOn(message)) => {
                effects.messages.push(OrderMessage { id: format!("{seed}-{number}"), at: incoming.at, order, message });
            }
            (order, outcome) => effects.outcomes.push((order, outcome)),
        }
    }
    Ok(effects)
}

async fn find<'a>(
    platform: &Platform,
    to: &Destination,
    reference: String,
    known: &'a mut BTreeMap<String, Order>,
) -> Result<&'a Order, NotApplied> {
    if !known.contains_key(&reference) {
        let found = platform.order_book.find(&to.shop, &to.account, &reference).await.map_err(NotApplied::Unsure)?;
        let foreign =
            || NotApplied::Breach(format!("it names the order {reference:?}, which this account has no part in"));
        known.insert(reference.clone(), found.ok_or_else(foreign)?);
    }
    known.get(&reference).ok_or_else(|| NotApplied::Breach(format!("it names the order {reference:?}")))
}

/// What the ids of a webhook's messages begin with: another for each time that it comes.
fn seed(to: &Destination, incoming: &Incoming) -> String {
    let mut hash = Sha256::new();
    for part in [to.shop.as_str(), to.account.as_str(), &to.endpoint, &incoming.query] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(milliseconds(incoming.at).to_be_bytes());
    // Requests with one body, and ids of their own, may come in one millisecond.
    for (name, value) in &incoming.headers {
        hash.update(name.as_str());
        hash.update(b"\0");
        hash.update(value.as_bytes());
        hash.update(b"\0");
    }
    hash.update(&incoming.body);
    format!("webhook-{}", &hex::encode(hash.finalize())[..32])
}
