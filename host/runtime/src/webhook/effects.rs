//! Checks the effects that a plugin returns for a webhook. Unsigned requests reach it, so it may only emit outcomes
//! about orders of its own account, their lines, and settings that its form allows a vendor to push.

use std::collections::BTreeMap;

use cartwright_contract::platform::PlatformError;
use cartwright_contract::records::{Order, Outcome};
use cartwright_contract::settings::Form;
use cartwright_contract::{outcome, records};
use cartwright_engine::Platform;

use crate::webhook::deliveries::{Effects, OrderMessage};
use crate::webhook::request::IncomingRequest;
use crate::webhook::token::Destination;

/// Maximum number of outcomes of one webhook, because each order they name is looked up.
const MAX_OUTCOMES: usize = 500;

/// Why a plugin's effects are not applied.
pub(super) enum EffectsError {
    /// The plugin may not emit this.
    Breach(String),
    /// The order book is unavailable.
    Uncertain(PlatformError),
}

/// Checks and groups the outcomes that a plugin emitted. `readable` lists the blobs whose digests the call received.
pub(super) async fn effects(
    platform: &Platform,
    form: &Form,
    to: &Destination,
    incoming: &IncomingRequest,
    readable: &[records::Digest],
    emitted: Vec<(Option<String>, Outcome)>,
) -> Result<Effects, EffectsError> {
    if emitted.len() > MAX_OUTCOMES {
        return Err(EffectsError::Breach(format!(
            "it returns {} outcomes; at most {MAX_OUTCOMES} are allowed",
            emitted.len()
        )));
    }
    let (mut effects, mut orders) = (Effects::default(), BTreeMap::new());
    let arrival = new_delivery_id()?;
    for (number, (reference, outcome)) in emitted.into_iter().enumerate() {
        let order = match reference {
            Some(reference) => Some(find(platform, to, reference, &mut orders).await?),
            None => None,
        };
        outcome::check(form, order, readable, &outcome).map_err(|fault| EffectsError::Breach(fault.to_string()))?;
        let order = order.map(|order| order.reference.clone());
        match (order, outcome) {
            (Some(order), Outcome::Forward(message)) => {
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
        let order =
            platform.order_book.find(&to.shop, &to.account, &reference).await.map_err(EffectsError::Uncertain)?;
        let foreign =
            || EffectsError::Breach(format!("it names the order {reference:?}, which does not concern this account"));
        known.insert(reference.clone(), order.ok_or_else(foreign)?);
    }
    known.get(&reference).ok_or_else(|| EffectsError::Breach(format!("it names the order {reference:?}")))
}

/// Returns a new id for one arrival of a webhook; the ids of its messages begin with it. It is random, because two
/// requests with the same bytes in the same millisecond are different arrivals.
fn new_delivery_id() -> Result<String, EffectsError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| EffectsError::Uncertain(PlatformError(format!("the system's random numbers: {error}"))))?;
    Ok(format!("webhook-{}", hex::encode(random)))
}
