//! `catalog`: the platform's catalog. Its results stay the same within one call.

use cartwright_contract::error::limit_exceeded;
use cartwright_contract::hook::Capability;
use cartwright_contract::records::{CallError, Outage, SkuQuery, VariantInfo};

use crate::bindings::catalog::Host;
use crate::bindings::{catalog, convert_list, to_guest, types};
use crate::durable::Call;
use crate::state::GuestState;

/// Maximum number of queries of one call.
const MAX_QUERIES: usize = 1_000;

type Key = (String, Option<String>, bool);

fn key(query: &SkuQuery) -> Key {
    (query.sku.clone(), query.within_product.clone(), query.ignore_case)
}

impl Host for GuestState {
    async fn resolve(
        &mut self,
        queries: Vec<types::SkuQuery>,
    ) -> wasmtime::Result<Result<Vec<Vec<catalog::VariantInfo>>, types::CallError>> {
        let answers = self.resolve_skus(convert_list(queries)).await?;
        Ok(to_guest(answers, |answers| answers.into_iter().map(convert_list).collect()))
    }
}

impl GuestState {
    async fn resolve_skus(
        &mut self,
        queries: Vec<SkuQuery>,
    ) -> wasmtime::Result<Result<Vec<Vec<VariantInfo>>, CallError>> {
        let scope = match self.permit(Capability::Catalog)? {
            Ok(scope) => scope,
            Err(denied) => return Ok(Err(denied)),
        };
        if queries.len() > MAX_QUERIES {
            let text =
                format!("catalog.resolve: {} queries; at most {MAX_QUERIES} are allowed in one call", queries.len());
            return Ok(Err(limit_exceeded("catalog-queries", text)));
        }
        let currency = self.currency.clone().unwrap_or_else(|| scope.main_currency.clone());
        let unknown: Vec<SkuQuery> =
            queries.iter().filter(|query| !self.catalog.contains_key(&key(query))).cloned().collect();
        if !unknown.is_empty() {
            let resolve = async || match scope.platform.catalog.resolve(&scope.shop, &currency, &unknown).await {
                Ok(answers) if answers.len() == unknown.len() => Ok(answers),
                Ok(answers) => {
                    let detail =
                        format!("the catalog returned {} results for {} queries", answers.len(), unknown.len());
                    Err(CallError::Unavailable(Outage { retry_after_seconds: None, detail }))
                }
                Err(error) => {
                    let detail = format!("the catalog: {error}");
                    Err(CallError::Unavailable(Outage { retry_after_seconds: None, detail }))
                }
            };
            // A replay knows the results of earlier queries of the same call as well.
            let answers = match &mut self.durable {
                Some(cursor) => {
                    let skus: Vec<&str> = unknown.iter().map(|query| query.sku.as_str()).collect();
                    cursor.ask(Call::new("catalog.resolve", &skus.join(", "), &unknown)?, resolve()).await?
                }
                None => resolve().await,
            };
            self.record_doubt(&answers);
            match answers {
                Ok(answers) => self.catalog.extend(unknown.iter().map(key).zip(answers)),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(queries.iter().map(|query| self.catalog.get(&key(query)).cloned().unwrap_or_default()).collect()))
    }
}
