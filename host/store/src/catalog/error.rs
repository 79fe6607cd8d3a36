//! Errors of a change of the catalog.

use cartwright::types::FieldIssue;
use serde::Serialize;

use super::variant::VariantKey;
use crate::error::StoreError;
use crate::installation::ChangeError;

/// Why the catalog was not changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The variants or rates are invalid. Lists all issues, by paths such as `[3].prices[0].currency`.
    #[error("{}", issues(.0))]
    Invalid(Vec<FieldIssue>),
    /// Two variants of the shop would have the same SKU. Lists the pairs, up to a limit.
    #[error("{}", conflicts(.0))]
    SkuConflict(Vec<SkuConflict>),
    /// The catalog differs from what the caller expects.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

fn issues(issues: &[FieldIssue]) -> String {
    let texts: Vec<String> = issues.iter().map(|issue| format!("{}: {}", issue.field, issue.message.text)).collect();
    texts.join("; ")
}

/// Two variants that would have the same SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkuConflict {
    /// The SKU.
    pub sku: String,
    /// Both variants, sorted.
    pub variants: [VariantKey; 2],
}

fn conflicts(conflicts: &[SkuConflict]) -> String {
    let describe = |conflict: &SkuConflict| {
        let [one, other] =
            conflict.variants.each_ref().map(|key| format!("the variant {:?} of {:?}", key.id, key.product));
        format!("{one} and {other} have the SKU {:?}", conflict.sku)
    };
    let describe: Vec<String> = conflicts.iter().map(describe).collect();
    format!("{}; give each its own SKU, or remove one of the two first", describe.join("; "))
}
