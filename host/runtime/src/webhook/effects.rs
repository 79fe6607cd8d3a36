//! What a plugin says came of a webhook, checked. Unsigned requests reach it, so it may say only what is about orders of its own
//! account, their lines, and the settings that its form lets a vendor push.

use std::collections::BTreeMap;

use cartwright_contract::platform::PlatformError;
use cartwright_contract::records::{Order, Outcome};
use cartwright_contract::settings::Form;
use cartwright_contract::{outcome, records};
use cartwright_engine::Platform;

use crate::webhook::deliveries::{Effects, OrderMessage};
use crate::webhook::request::IncomingRequest;
use crate::webhook::token::Destination;

/// So many outcomes one request may have: each order that they name is looked up.
const MAX_OUTCOMES: usize = 500;

/// Why what a plugin said is not applied.
pub(super) enum EffectsError {
    /// The plugin may not say it.
    Breach(String),
    /// The order book did not answer.
    Uncertain(PlatformError),
}

/// Checks what a plugin says, and sorts it. `readable` are the blobs that its call was given the digest of.
pub(super) async fn effects(
    platform: &Platform,
    form: &Form,
    to: &Destination,
    incoming: &IncomingRequest,
    readable: &[records::Digest],
    said: Vec<(Option<String>, Outcome)>,
) -> Result<Effects, EffectsError> {
    if said.len() > MAX_OUTCOMES {
        return Err(EffectsError::Breach(format!("it gives {} outcomes, {MAX_OUTCOMES} are allowed", said.len())));
    }
    let (mut effects, mut orders) = (Effects::default(), BTreeMap::new());
    let arrival = new_delivery_id()?;
    for (number, (reference, outcome)) in said.into_iter().enumerate() {
        let order = match reference {
            Some(reference) => Some(find(platform, to, reference, &mut orders).await?),
            None => None,
        };
        outcome::check(form, order, readable, &outcome).map_err(EffectsError::Breach)?;
        let order = order.map(|order| order.reference.clone());
        match (order, outcome) {
            (Some(order), Outcome::HandOn(message)) => {
                effects.messages.push(OrderMessage {
                    id: format!("{arrival}-{number}"),
                    at: incoming.at,
                    order,
                    message,
                });
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
) -> Result<&'a Order, EffectsError> {
    if !known.contains_key(&reference) {
        let found =
            platform.order_book.find(&to.shop, &to.account, &reference).await.map_err(EffectsError::Uncertain)?;
        let foreign =
            || EffectsError::Breach(format!("it names the order {reference:?}, which this account has no part in"));
        known.insert(reference.clone(), found.ok_or_else(foreign)?);
    }
    known.get(&reference).ok_or_else(|| EffectsError::Breach(format!("it names the order {reference:?}")))
}

/// A new id for one arrival of a webhook, which the ids of its messages begin with. Drawn at random: two requests with the same bytes,
/// even in one millisecond, are two.
fn new_delivery_id() -> Result<String, EffectsError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| EffectsError::Uncertain(PlatformError(format!("the system's random numbers: {error}"))))?;
    Ok(format!("webhook-{}", hex::encode(random)))
}
