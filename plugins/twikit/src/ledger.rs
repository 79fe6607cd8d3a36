//! The plugin's memos about an order between its events: what was sent to Twikit, what Twikit rejected, what it asked.

use std::collections::BTreeSet;

use cartwright_plugin::CallError;
use cartwright_plugin::types::{Memo, OrderLine, Outcome};
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::identifiers::Configured;

const CREATED: &str = "created:";
const ANSWERED: &str = "answered:";
const VERIFIED: &str = "verified:";
const EXPORTED: &str = "exported:";
const UNKNOWN: &str = "unsure:";

/// Maximum size of a memo that this plugin writes; the contract allows 4 kB. A larger part is stored in several memos.
const MAX_MEMO_BYTES: usize = 3 << 10;

/// A line as it was sent to Twikit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SentLine {
    /// The order line's id.
    pub line: String,
    /// Its configuration.
    pub configuration: u64,
    /// Its quantity.
    pub amount: u32,
}

#[derive(Serialize, Deserialize)]
struct CreatedPart {
    identifier: String,
    personal: bool,
    lines: Vec<SentLine>,
}

/// The parsed memos.
#[derive(Debug, Default)]
pub struct Ledger {
    memos: Vec<Memo>,
    created: Vec<String>,
    sent: Vec<SentLine>,
    sent_lines: BTreeSet<String>,
    personal: bool,
}

impl Ledger {
    /// Parses the memos of an event. The last one of a name counts.
    pub fn new(memos: &[Memo]) -> Self {
        let mut ledger = Self { memos: memos.to_vec(), ..Self::default() };
        for memo in memos.iter().filter(|memo| memo.name.starts_with(CREATED)) {
            // Only this plugin writes memos; one of an older version in another format is ignored.
            let Ok(piece) = serde_json::from_str::<CreatedPart>(&memo.value) else { continue };
            ledger.created.push(piece.identifier);
            ledger.personal |= piece.personal;
            ledger.sent.extend(piece.lines);
        }
        ledger.sent.sort();
        ledger.sent.dedup();
        ledger.sent_lines = ledger.sent.iter().map(|sent| sent.line.clone()).collect();
        ledger
    }

    /// Returns whether an order was created under this identifier.
    pub fn created(&self, identifier: &str) -> bool {
        self.created.iter().any(|known| known == identifier)
    }

    /// Returns the lines of the orders that were created.
    pub fn sent(&self) -> &[SentLine] {
        &self.sent
    }

    /// Returns whether this line was sent to Twikit, as part of an order or for its file.
    pub fn was_sent(&self, line: &str) -> bool {
        self.sent_lines.contains(line) || self.value(EXPORTED, line).is_some()
    }

    /// Returns whether a shopper's address was sent to Twikit.
    pub fn personal(&self) -> bool {
        self.personal
    }

    /// Returns how many attempts under this identifier Twikit answered with a rejection.
    pub fn answered(&self, identifier: &str) -> u32 {
        self.value(ANSWERED, identifier).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Returns whether Twikit asked about this identifier and the response was that the order is valid.
    pub fn verified(&self, identifier: &str) -> bool {
        self.value(VERIFIED, identifier).is_some()
    }

    /// Returns the event in which fetching this line's file ended with an unknown result.
    pub fn unknown_export(&self, line: &str) -> Option<&str> {
        self.value(UNKNOWN, line)
    }

    /// Returns the quantity of this line that Twikit was asked to make, if it is known.
    pub fn amount(&self, line: &str) -> Option<u32> {
        let sent = self.sent.iter().filter(|sent| sent.line == line).map(|sent| sent.amount).max();
        sent.or_else(|| self.count(EXPORTED, line))
    }

    fn count(&self, kind: &str, name: &str) -> Option<u32> {
        self.value(kind, name)?.parse().ok()
    }

    fn value(&self, kind: &str, name: &str) -> Option<&str> {
        let memo = self.memos.iter().rev().find(|memo| memo.name.strip_prefix(kind) == Some(name));
        memo.map(|memo| memo.value.as_str())
    }
}

/// Records that an order was created.
pub fn remember_created(
    host: &mut dyn Host,
    identifier: &str,
    personal: bool,
    lines: &[Configured<'_>],
) -> Result<(), CallError> {
    let mut pieces: Vec<Vec<SentLine>> = vec![Vec::new()];
    let mut bytes = 0;
    for Configured { line, configuration } in lines {
        bytes += line.id.len() + 80;
        if bytes > MAX_MEMO_BYTES {
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
        let value = serde_json::to_string(&piece).map_err(|error| CallError::Internal(error.to_string()))?;
        host.emit(Outcome::SetMemo(Memo { name: format!("{CREATED}{identifier}#{index}"), value }))?;
    }
    Ok(())
}

/// Records one more attempt that Twikit answered with a rejection.
pub fn remember_answered(host: &mut dyn Host, ledger: &Ledger, identifier: &str) -> Result<(), CallError> {
    let count = ledger.answered(identifier).saturating_add(1);
    host.emit(remember(ANSWERED, identifier, &count.to_string()))
}

/// Records that a line's file was fetched, and the quantity.
pub fn remember_exported(host: &mut dyn Host, line: &OrderLine) -> Result<(), CallError> {
    host.emit(remember(EXPORTED, &line.id, &line.cart_line.quantity.to_string()))
}

/// Records that it is unknown whether a line's file was ordered.
pub fn remember_unknown_export(host: &mut dyn Host, line: &str, event: &str) -> Result<(), CallError> {
    host.emit(remember(UNKNOWN, line, event))
}

/// Returns the memo that Twikit asked about this identifier and the order is valid.
pub fn verified(identifier: &str) -> Outcome {
    remember(VERIFIED, identifier, "yes")
}

fn remember(kind: &str, name: &str, value: &str) -> Outcome {
    Outcome::SetMemo(Memo { name: format!("{kind}{name}"), value: value.to_owned() })
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
        let memos = host.memos();
        assert!(memos.len() > 1 && memos.iter().all(|memo| memo.value.len() < 4096));
        let ledger = Ledger::new(&memos);
        assert!(ledger.created("i:s:1") && ledger.personal() && ledger.sent().len() == 200);
        assert!(order.lines.iter().all(|line| ledger.was_sent(&line.id)));
    }

    #[test]
    fn of_one_name_the_last_memo_counts() {
        let memo = |value: &str| Memo { name: "answered:i".into(), value: value.into() };
        assert_eq!(Ledger::new(&[memo("1"), memo("2")]).answered("i"), 2);
        assert_eq!(Ledger::new(&[memo("x")]).answered("i"), 0);
    }
}
