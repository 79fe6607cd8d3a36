//! What the host itself does with what it is given, for one request about a cart. Its work is linear in that, and [`Budget`] bounds it.

use serde::Serialize;

/// Maximum number of pieces of one line.
pub const MAX_LINE_QUANTITY: u32 = 1_000_000;
/// Maximum number of lines that one plan may give, and that a cart may have.
pub const MAX_LINES: usize = 10_000;
/// Maximum length in bytes of a `named-json` that is kept with a line.
pub(crate) const MAX_NAMED_JSON_BYTES: usize = 64 << 10;
/// Maximum number of lines of the cart that a strategy is given. More would make planning each line of a cart again cost the square
/// of the cart.
pub const MAX_LINES_FOR_STRATEGY: usize = 100;
/// Size in bytes above which the states of a configuration are hashed off the async workers.
pub const INLINE_STATE_BYTES: usize = 32 << 10;

/// A budget of the host's own work for one request about a cart. The amounts are far above what shops sell: they bound what a
/// hostile request can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Lines of the cart that a request brings.
    CartLines,
    /// Configured products of one configuration.
    Items,
    /// Attributes of all configured products of one configuration.
    Attributes,
    /// Articles of all configured products of one configuration.
    Articles,
    /// Bytes of the states of all configured products of one configuration.
    StateBytes,
    /// Configured products of all configurations that one request plans; a configuration that is planned twice counts twice.
    PlannedItems,
    /// Bytes of all configurations that one request plans; a configuration that is planned twice counts twice.
    PlannedBytes,
}

impl Budget {
    /// The amount that is allowed.
    pub const fn allowed(self) -> usize {
        match self {
            // As many as a plan may have: what a strategy planned can be put into a cart.
            Self::CartLines => MAX_LINES,
            Self::Items => 1_000,
            Self::Attributes | Self::Articles => 50_000,
            Self::StateBytes => 4 << 20,
            Self::PlannedItems => 20_000,
            Self::PlannedBytes => 256 << 20,
        }
    }

    /// Holds an amount to the budget.
    ///
    /// # Errors
    /// [`OverBudget`] for more than [`allowed`](Self::allowed).
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
            Self::StateBytes => "state_bytes",
            Self::PlannedItems => "planned_items",
            Self::PlannedBytes => "planned_bytes",
        }
    }
}

/// A request asks for more of the host's own work than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{given} {}, at most {allowed} are allowed (limit {})", .limit.what(), .limit.name())]
pub struct OverBudget {
    /// Which budget.
    pub limit: Budget,
    /// How much it would have taken.
    pub given: usize,
    /// How much is allowed.
    pub allowed: usize,
}
