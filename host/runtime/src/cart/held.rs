//! A cart's lines by key, so that no loop over lines holds another one.

use std::collections::HashMap;

use super::CartError;
use super::budget::Budget;
use super::line::CartLine;

/// The lines that a platform sent, by key. Nothing says that they are as they were sealed, nor that a key is there once.
pub(super) struct Cart<'l> {
    lines: &'l [CartLine],
    top: HashMap<&'l str, Vec<&'l CartLine>>,
    children: HashMap<&'l str, Vec<&'l CartLine>>,
}

impl<'l> Cart<'l> {
    /// # Errors
    /// For more lines than [`Budget::CartLines`] allows.
    pub(super) fn new(lines: &'l [CartLine]) -> Result<Self, CartError> {
        Budget::CartLines.check(lines.len())?;
        let mut cart = Self { lines, top: HashMap::with_capacity(lines.len()), children: HashMap::new() };
        for line in lines {
            match &line.parent {
                None => cart.top.entry(&line.key).or_default().push(line),
                Some(parent) => cart.children.entry(parent).or_default().push(line),
            }
        }
        Ok(cart)
    }

    pub(super) fn lines(&self) -> &'l [CartLine] {
        self.lines
    }

    /// The first line of this key that is not a child.
    pub(super) fn top(&self, key: &str) -> Option<&'l CartLine> {
        self.copies(key).first().copied()
    }

    /// All lines of this key that are not children.
    pub(super) fn copies(&self, key: &str) -> &[&'l CartLine] {
        self.top.get(key).map_or(&[], Vec::as_slice)
    }

    /// The children of the lines of this key.
    pub(super) fn children(&self, key: &str) -> &[&'l CartLine] {
        self.children.get(key).map_or(&[], Vec::as_slice)
    }

    /// A line and its children.
    pub(super) fn family(&self, line: &'l CartLine) -> Vec<&'l CartLine> {
        std::iter::once(line).chain(self.children(&line.key).iter().copied()).collect()
    }

    /// How many of a line the cart asks for. A replacement takes the place of every copy of its line, so all of them count.
    pub(super) fn asked(&self, key: &str) -> u32 {
        self.copies(key).iter().fold(0, |sum, line| sum.saturating_add(line.asked_quantity))
    }

    /// A line's key with those of its children.
    pub(super) fn keys(&self, key: &str) -> Vec<String> {
        let children = self.children(key).iter().map(|line| line.key.clone());
        std::iter::once(key.to_owned()).chain(children).collect()
    }
}
