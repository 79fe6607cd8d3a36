//! The access tokens that the host holds (see `token.rs`).

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use cartwright_contract::ids::{AccountId, Digest, ShopId};
use cartwright_contract::settings::Secret;

/// Access tokens by the credentials that they were issued for. Another secret gets another token.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(super) cached: Mutex<HashMap<TokenKey, (Secret, Instant)>>,
}

type TokenKey = (ShopId, AccountId, String, Digest, String, String, Option<String>);
