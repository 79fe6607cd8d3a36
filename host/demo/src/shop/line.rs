//! Cart lines as the host returns them. A shop stores them whole and sends them back unchanged; it reads only what its
//! pages show.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Message;

/// An amount of money, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Money {
    pub(crate) minor: i64,
    pub(crate) scale: u32,
    pub(crate) currency: String,
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.minor < 0 { "−" } else { "" };
        let unit = 10_u64.checked_pow(self.scale).unwrap_or(1);
        let (whole, rest) = (self.minor.unsigned_abs() / unit, self.minor.unsigned_abs() % unit);
        match self.currency.as_str() {
            "EUR" => write!(f, "{sign}€{whole}")?,
            other => write!(f, "{sign}{other} {whole}")?,
        }
        if self.scale > 0 { write!(f, ".{rest:0width$}", width = self.scale as usize) } else { Ok(()) }
    }
}

/// A complete line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub(crate) struct Line {
    whole: Value,
    pub(crate) view: LineView,
}

/// The part of a line that a page shows.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LineView {
    pub(crate) key: String,
    pub(crate) parent: Option<String>,
    #[serde(default)]
    pub(crate) set: Option<String>,
    pub(crate) title: String,
    pub(crate) quantity: u32,
    pub(crate) linked_product: String,
    pub(crate) shown: Vec<Part>,
    pub(crate) price: Price,
    pub(crate) thumbnail: Option<String>,
    pub(crate) configuration: Option<String>,
    pub(crate) unconfirmed: Option<UnverifiedLine>,
}

impl LineView {
    /// Returns the key of the line that this line belongs to: its bundle's parent, or the first line of its set.
    pub(crate) fn top_key(&self) -> Option<&str> {
        let set = self.set.as_deref().filter(|top| *top != self.key);
        self.parent.as_deref().or(set)
    }
}

/// A choice of the shopper.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Price {
    pub(crate) unit: Option<Money>,
    pub(crate) total: Money,
    pub(crate) included_in_parent: bool,
}

/// The data of a line that no server vouches for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UnverifiedLine {
    pub(crate) reason: Message,
    pub(crate) hold: bool,
}

impl TryFrom<Value> for Line {
    type Error = serde_json::Error;

    fn try_from(whole: Value) -> Result<Self, Self::Error> {
        Ok(Self { view: LineView::deserialize(&whole)?, whole })
    }
}

impl From<Line> for Value {
    fn from(line: Line) -> Self {
        line.whole
    }
}

/// All operations of one change of a cart.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    pub(crate) operations: Vec<Operation>,
}

/// One operation, as the API's document describes it.
#[derive(Debug, Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
pub(crate) enum Operation {
    Add {
        lines: Vec<Line>,
    },
    Replace {
        key: String,
        lines: Vec<Line>,
    },
    Update {
        lines: Vec<Line>,
    },
    Remove {
        keys: Vec<String>,
    },
    #[serde(rename = "request-quotation")]
    RequestQuote {
        lines: Vec<Line>,
    },
}

impl Change {
    /// Applies the change, and returns the lines that a quote is requested for.
    pub(crate) fn apply(self, cart: &mut Vec<Line>) -> Vec<Line> {
        let mut quote_lines = Vec::new();
        for operation in self.operations {
            match operation {
                Operation::Add { lines } => cart.extend(lines),
                Operation::Replace { key, lines } => {
                    let is_removed = |line: &Line| line.view.key == key || line.view.top_key() == Some(key.as_str());
                    let place = cart.iter().position(is_removed).unwrap_or(cart.len());
                    cart.retain(|line| !is_removed(line));
                    cart.splice(place..place, lines);
                }
                Operation::Update { lines } => update(cart, lines),
                Operation::Remove { keys } => cart.retain(|line| !keys.contains(&line.view.key)),
                Operation::RequestQuote { lines } => quote_lines.extend(lines),
            }
        }
        quote_lines
    }
}

/// Replaces lines by new ones with the same keys.
pub(crate) fn update(cart: &mut [Line], lines: Vec<Line>) {
    for new in lines {
        if let Some(old) = cart.iter_mut().find(|old| old.view.key == new.view.key) {
            *old = new;
        }
    }
}

/// Returns the top-level lines, each with its children or the other lines of its set.
pub(crate) fn families(lines: &[Line]) -> impl Iterator<Item = (&Line, Vec<&Line>)> {
    let children =
        |line: &Line| lines.iter().filter(|child| child.view.top_key() == Some(line.view.key.as_str())).collect();
    lines.iter().filter(|line| line.view.top_key().is_none()).map(move |line| (line, children(line)))
}

/// Returns the total, or `None` without lines.
pub(crate) fn total(lines: &[Line]) -> Option<Money> {
    let amounts = lines.iter().filter(|line| !line.view.price.included_in_parent).map(|line| &line.view.price.total);
    amounts.cloned().reduce(|sum, next| Money { minor: sum.minor + next.minor, ..sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_with_its_own_scale() {
        for (minor, scale, currency, shown) in [
            (41_150, 2, "EUR", "€411.50"),
            (-5, 2, "EUR", "−€0.05"),
            (300, 0, "JPY", "JPY 300"),
            (1, 3, "KWD", "KWD 0.001"),
        ] {
            assert_eq!(Money { minor, scale, currency: currency.to_owned() }.to_string(), shown);
        }
    }
}
