//! `catalog`: the platform's catalogue, with answers that stay the same within one call.

use crate::capability::Capability;
use crate::contract::catalog::Host;
use crate::contract::{Error, Outage, SkuQuery, VariantInfo};
use crate::durable::Call;
use crate::guest::GuestState;

type Key = (String, Option<String>, bool);

fn key(query: &SkuQuery) -> Key {
    (query.sku.clone(), query.within_product.clone(), query.ignore_case)
}

impl Host for GuestState {
    async fn resolve(&mut self, queries: Vec<SkuQuery>) -> wasmtime::Result<Result<Vec<Vec<VariantInfo>>, Error>> {
        let scope = match self.permit(Capability::Catalog)? {
            Ok(scope) => scope,
            Err(denied) => return Ok(Err(denied)),
        };
        let known = &self.catalogue;
        let resolve = async || {
            let unknown: Vec<SkuQuery> =
                queries.iter().filter(|query| !known.contains_key(&key(query))).cloned().collect();
            let unavailable = |detail| Error::Unavailable(Outage { retry_after_seconds: None, detail });
            let mut answers = Vec::new();
            if !unknown.is_empty() {
                answers = match scope.platform.catalogue.resolve(&scope.shop, &scope.currency, &unknown).await {
                    Ok(answers) if answers.len() == unknown.len() => answers,
                    Ok(answers) => {
                        let (given, asked) = (answers.len(), unknown.len());
                        return Err(unavailable(format!("the catalogue gave {given} answers to {asked} queries")));
                    }
                    Err(error) => return Err(unavailable(format!("the catalogue: {error}"))),
                };
            }
            let fresh: std::collections::HashMap<Key, Vec<VariantInfo>> =
                unknown.iter().map(key).zip(answers).collect();
            let find = |query| fresh.get(&key(query)).or_else(|| known.get(&key(query))).cloned().unwrap_or_default();
            Ok(queries.iter().map(find).collect::<Vec<_>>())
        };
        let found = match &mut self.durable {
            Some(cursor) => {
                let skus: Vec<&str> = queries.iter().map(|query| query.sku.as_str()).collect();
                cursor.ask(Call::new("catalog.resolve", &skus.join(", "), &queries), resolve()).await?
            }
            None => resolve().await,
        };
        // Also what a journal answered: the rest of the call must see the same.
        if let Ok(found) = &found {
            self.catalogue.extend(queries.iter().map(key).zip(found.iter().cloned()));
        }
        Ok(found)
    }
}
