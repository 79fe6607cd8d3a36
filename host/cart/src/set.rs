//! Sets of a plan: several lines for one configured product. One line names the item and is priced like any line that
//! does. Each other line buys something else at the platform's price of it.

use std::collections::HashMap;

use cartwright_contract::records::{LineSet, PlannedLine};

use crate::error::CartError;
use crate::line::CartLine;
use crate::plan::{PlanCheck, SetPlace, plan_error};
use crate::shopper_texts::ShopperTexts;

impl PlanCheck<'_> {
    /// Returns the line of a set that names the item, or what is wrong with the set.
    pub(crate) fn item_line(set: &LineSet) -> Result<&PlannedLine, &'static str> {
        if set.lines.len() < 2 {
            return Err("is a set of fewer than two lines; a single line is an entry of its own");
        }
        let mut named = set.lines.iter().filter(|line| line.item.is_some());
        match (named.next(), named.next()) {
            (Some(line), None) => Ok(line),
            (None, _) => Err("is a set in which no line names the item; exactly one line must"),
            (Some(_), Some(_)) => Err("is a set in which several lines name an item; exactly one line must"),
        }
    }

    /// Creates the lines of a set: first the line that names the item, then the others in their order.
    pub(crate) fn set(&self, set: &LineSet, item_line: &PlannedLine) -> Result<Vec<CartLine>, CartError> {
        let mut first = self.line(item_line)?;
        let texts = ShopperTexts::of(self.pricing.items, &self.facts(item_line)?.descendants);
        let mut others = Vec::with_capacity(set.lines.len());
        let mut bought: HashMap<String, u32> = HashMap::new();
        for planned in set.lines.iter().filter(|line| line.item.is_none()) {
            let Some(variant) = self.variant(&planned.target)? else {
                return plan_error("a line of a set must buy a product; only a bundle's child may be a text");
            };
            if first.variant_id.as_ref() == Some(&variant.id) {
                return plan_error(format!(
                    "its set buys {} twice; a line that does not name the item buys something else",
                    self.describe_line(planned)
                ));
            }
            let count = bought.entry(variant.id).or_default();
            let copy = (*count > 0).then(|| count.to_string());
            *count += 1;
            let place = SetPlace { item_line: &first, texts: &texts, copy: copy.as_deref() };
            let mut line = self.line_of_set(planned, &place)?;
            line.price.expires.clone_from(&first.price.expires);
            line.valid_until.clone_from(&first.valid_until);
            others.push(line);
        }
        first.set = Some(first.key.clone());
        first.set_lines = others.iter().map(|line| line.key.clone()).collect();
        Ok(std::iter::once(first).chain(others).collect())
    }
}
