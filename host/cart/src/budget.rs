//! Budgets of the host's own work for one request about a cart. The work is linear in its input, and [`Budget`] bounds
//! the input.

use cartwright_contract::articles::MAX_ARTICLE_DEPTH;
use serde::Serialize;

/// Maximum quantity of one line.
pub const MAX_LINE_QUANTITY: u32 = 1_000_000;
/// Maximum number of lines in a plan, and in a cart.
pub const MAX_LINES: usize = 10_000;
/// Maximum length in bytes of a `named-json` that is stored with a line.
pub(crate) const MAX_NAMED_JSON_BYTES: usize = 64 << 10;
/// Maximum number of cart lines that a strategy receives. With more, replanning every line of a cart would cost the
/// square of the cart's size.
pub const MAX_LINES_FOR_STRATEGY: usize = 100;
/// Size in bytes above which the states of a configuration are hashed on a blocking thread.
pub const INLINE_STATE_BYTES: usize = 32 << 10;

/// A budget of the host's own work for one request about a cart. The amounts are far above what shops sell; they bound
/// the cost of a hostile request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Lines of the cart in the request.
    CartLines,
    /// Items of one configuration.
    Items,
    /// Attributes of all items of one configuration.
    Attributes,
    /// Articles of all items of one configuration.
    Articles,
    /// Levels of a bill of materials, whose articles may have parts.
    ArticleDepth,
    /// Bytes of the states of all items of one configuration.
    StateBytes,
    /// Items of all configurations that one request plans. A configuration that is planned twice counts twice.
    PlannedItems,
    /// Bytes of all configurations that one request plans. A configuration that is planned twice counts twice.
    PlannedBytes,
}

impl Budget {
    /// Returns the allowed amount.
    pub const fn allowed(self) -> usize {
        match self {
            // As many as a plan may have, so that every plan fits into a cart.
            Self::CartLines => MAX_LINES,
            Self::Items => 1_000,
            Self::Attributes | Self::Articles => 50_000,
            Self::ArticleDepth => MAX_ARTICLE_DEPTH,
            Self::StateBytes => 4 << 20,
            Self::PlannedItems => 20_000,
            Self::PlannedBytes => 256 << 20,
        }
    }

    /// Checks an amount against the budget.
    ///
    /// # Errors
    /// Returns [`OverBudget`] if the amount is more than [`allowed`](Self::allowed).
    pub fn check(self, given: usize) -> Result<(), OverBudget> {
        let allowed = self.allowed();
        if given > allowed { Err(OverBudget { limit: self, given, allowed }) } else { Ok(()) }
    }

    fn what(self) -> &'static str {
        match self {
            Self::CartLines => "lines in a cart",
            Self::Items => "configured products in a configuration",
            Self::Attributes => "attributes in a configuration",
            Self::Articles => "articles in a configuration",
            Self::ArticleDepth => "levels of a bill of materials",
            Self::StateBytes => "bytes of states in a configuration",
            Self::PlannedItems => "configured products planned in one request",
            Self::PlannedBytes => "bytes of configurations planned in one request",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::CartLines => "cart_lines",
            Self::Items => "items",
            Self::Attributes => "attributes",
            Self::Articles => "articles",
            Self::ArticleDepth => "article_depth",
            Self::StateBytes => "state_bytes",
            Self::PlannedItems => "planned_items",
            Self::PlannedBytes => "planned_bytes",
        }
    }
}

/// The error of a request that exceeds a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{given} {}, at most {allowed} are allowed (limit {})", .limit.what(), .limit.name())]
pub struct OverBudget {
    /// The budget.
    pub limit: Budget,
    /// The amount that the request needs.
    pub given: usize,
    /// The allowed amount.
    pub allowed: usize,
}
