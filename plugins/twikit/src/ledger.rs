//! What the plugin remembers about an order between its events: what was given to Twikit, what Twikit refused, what it asked.
//!
//! An order line's quantity is what is left to make; only a line whose quantity is still the largest that was ever seen when pieces
//! are paid back did not have them taken off, and it is not made at all when those are all its pieces.

use std::collections::BTreeSet;

use cartwright_plugin::Error;
use cartwright_plugin::types::{OrderLine, Outcome, RememberedText};
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::identifiers::Configured;

const CREATED: &str = "created:";
const ANSWERED: &str = "answered:";
const VERIFIED: &str = "verified:";
const EXPORTED: &str = "exported:";
const UNKNOWN: &str = "unsure:";
const ORDERED: &str = "ordered:";
const PAID_BACK: &str = "paid-back:";

/// A memory holds at most 4 kB; a large part is remembered in pieces.
const MAX_MEMORY_BYTES: usize = 3 << 10;

/// A line as it was given to Twikit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SentLine {
    /// The order line's id.
    pub line: String,
    /// Its configuration.
    pub configuration: u64,
    /// How many.
    pub amount: u32,
}

#[derive(Serialize, Deserialize)]
struct CreatedPart {
    identifier: String,
    personal: bool,
    lines: Vec<SentLine>,
}

/// The memories, read.
#[derive(Debug, Default)]
pub struct Ledger {
    memories: Vec<RememberedText>,
    created: Vec<String>,
    sent: Vec<SentLine>,
    sent_lines: BTreeSet<String>,
    personal: bool,
}

impl Ledger {
    /// Reads what the host handed over. Of one name the last counts.
    pub fn new(remembered: &[RememberedText]) -> Self {
        let mut ledger = Self { memories: remembered.to_vec(), ..Self::default() };
        for memory in remembered.iter().filter(|memory| memory.name.starts_with(CREATED)) {
            // Only this plugin writes it; what an older version wrote otherwise is not its own and is passed over.
            let Ok(piece) = serde_json::from_str::<CreatedPart>(&memory.value) else { continue };
            ledger.created.push(piece.identifier);
            ledger.personal |= piece.personal;
            ledger.sent.extend(piece.lines);
        }
        ledger.sent.sort();
        ledger.sent.dedup();
        ledger.sent_lines = ledger.sent.iter().map(|sent| sent.line.clone()).collect();
        ledger
    }

    /// Was an order created under this identifier?
    pub fn created(&self, identifier: &str) -> bool {
        self.created.iter().any(|known| known == identifier)
    }

    /// The lines of orders that were created.
    pub fn sent(&self) -> &[SentLine] {
        &self.sent
    }

    /// Was this line given to Twikit, as part of an order or for its file?
    pub fn was_sent(&self, line: &str) -> bool {
        self.sent_lines.contains(line) || self.value(EXPORTED, line).is_some()
    }

    /// Was a shopper's address given to Twikit?
    pub fn personal(&self) -> bool {
        self.personal
    }

    /// How many attempts under this identifier were answered with a refusal.
    pub fn answered(&self, identifier: &str) -> u32 {
        self.value(ANSWERED, identifier).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Did Twikit ask about this identifier, and was it told that the order is valid?
    pub fn verified(&self, identifier: &str) -> bool {
        self.value(VERIFIED, identifier).is_some()
    }

    /// The event during which fetching this line's file ended without anybody knowing how.
    pub fn unknown_export(&self, line: &str) -> Option<&str> {
        self.value(UNKNOWN, line)
    }

    /// How many pieces of this line Twikit was told to make; none when that is not known.
    pub fn amount(&self, line: &str) -> Option<u32> {
        let sent = self.sent.iter().filter(|sent| sent.line == line).map(|sent| sent.amount).max();
        sent.or_else(|| self.count(EXPORTED, line))
    }

    /// The most pieces that this line was ever seen with.
    fn max_ordered_quantity(&self, line: &OrderLine) -> u32 {
        let known = self.count(ORDERED, &line.id).max(self.amount(&line.id));
        known.unwrap_or(0).max(line.cart_line.quantity)
    }

    /// How many pieces of this line are wanted after so many were paid back.
    pub fn remaining_quantity(&self, line: &OrderLine, paid_back: u32) -> u32 {
        let quantity = line.cart_line.quantity;
        // More than there are were taken off already, even when the line was not seen before.
        let is_taken_off = quantity < self.max_ordered_quantity(line) || quantity < paid_back;
        if is_taken_off { quantity } else { quantity - paid_back }
    }

    /// Were all pieces of this line paid back before it was given to Twikit, though the order still has them?
    pub fn is_paid_back(&self, line: &OrderLine) -> bool {
        self.count(PAID_BACK, &line.id).is_some_and(|count| count >= line.cart_line.quantity)
    }

    fn count(&self, kind: &str, name: &str) -> Option<u32> {
        self.value(kind, name)?.parse().ok()
    }

    fn value(&self, kind: &str, name: &str) -> Option<&str> {
        let memory = self.memories.iter().rev().find(|memory| memory.name.strip_prefix(kind) == Some(name));
        memory.map(|memory| memory.value.as_str())
    }
}

/// Remembers that an order was created.
pub fn remember_created(
    host: &mut dyn Host,
    identifier: &str,
    personal: bool,
    lines: &[Configured<'_>],
) -> Result<(), Error> {
    let mut pieces: Vec<Vec<SentLine>> = vec![Vec::new()];
    let mut bytes = 0;
    for Configured { line, configuration } in lines {
        bytes += line.id.len() + 80;
        if bytes > MAX_MEMORY_BYTES {
            pieces.push(Vec::new());
            bytes = line.id.len() + 80;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(SentLine {
                line: line.id.clone(),
                configuration: *configuration,
                amount: line.cart_line.quantity,
            });
        }
    }
    for (index, lines) in pieces.into_iter().enumerate() {
        let piece = CreatedPart { identifier: identifier.to_owned(), personal, lines };
        let value = serde_json::to_string(&piece).map_err(|error| Error::Internal(error.to_string()))?;
        host.emit(Outcome::Remember(RememberedText { name: format!("{CREATED}{identifier}#{index}"), value }))?;
    }
    Ok(())
}

/// Remembers that one more attempt was answered with a refusal.
pub fn remember_answered(host: &mut dyn Host, ledger: &Ledger, identifier: &str) -> Result<(), Error> {
    let count = ledger.answered(identifier).saturating_add(1);
    host.emit(remember(ANSWERED, identifier, &count.to_string()))
}

/// Remembers that a line's file was fetched, and for how many pieces.
pub fn remember_exported(host: &mut dyn Host, line: &OrderLine) -> Result<(), Error> {
    host.emit(remember(EXPORTED, &line.id, &line.cart_line.quantity.to_string()))
}

/// Remembers that nobody knows whether a line's file was ordered.
pub fn remember_unknown_export(host: &mut dyn Host, line: &str, event: &str) -> Result<(), Error> {
    host.emit(remember(UNKNOWN, line, event))
}

/// Remembers how many pieces a line has, when it never had so many.
pub fn remember_ordered(host: &mut dyn Host, ledger: &Ledger, line: &OrderLine) -> Result<(), Error> {
    let quantity = line.cart_line.quantity;
    if ledger.count(ORDERED, &line.id).is_some_and(|known| known >= quantity) {
        return Ok(());
    }
    host.emit(remember(ORDERED, &line.id, &quantity.to_string()))
}

/// Remembers that all pieces that a line has were paid back before it was given to Twikit.
pub fn remember_paid_back(host: &mut dyn Host, line: &OrderLine) -> Result<(), Error> {
    host.emit(remember(PAID_BACK, &line.id, &line.cart_line.quantity.to_string()))
}

/// Twikit asked about this identifier, and was told that the order is valid.
pub fn verified(identifier: &str) -> Outcome {
    remember(VERIFIED, identifier, "yes")
}

fn remember(kind: &str, name: &str, value: &str) -> Outcome {
    Outcome::Remember(RememberedText { name: format!("{kind}{name}"), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identifiers::configured_lines;
    use crate::testing::{FakeHost, line, order};

    #[test]
    fn a_large_order_is_remembered_in_pieces_that_fit() {
        let order = order((0..200).map(|number| line(&format!("line-{number:040}"), number + 1, 2)).collect());
        let mut host = FakeHost::default();
        remember_created(&mut host, "i:s:1", true, &configured_lines(&order).unwrap()).unwrap();
        let remembered = host.remembered();
        assert!(remembered.len() > 1 && remembered.iter().all(|memory| memory.value.len() < 4096));
        let ledger = Ledger::new(&remembered);
        assert!(ledger.created("i:s:1") && ledger.personal() && ledger.sent().len() == 200);
        assert!(order.lines.iter().all(|line| ledger.was_sent(&line.id)));
    }

    #[test]
    fn of_one_name_the_last_memory_counts() {
        let memory = |value: &str| RememberedText { name: "answered:i".into(), value: value.into() };
        assert_eq!(Ledger::new(&[memory("1"), memory("2")]).answered("i"), 2);
        assert_eq!(Ledger::new(&[memory("x")]).answered("i"), 0);
    }
}
