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

/// Everything that a token depends on.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    pub(super) shop: ShopId,
    pub(super) account: AccountId,
    /// The name of the secret setting.
    pub(super) secret: String,
    /// The digest of the secret's value.
    pub(super) value: Digest,
    pub(super) token_url: String,
    pub(super) client_id: String,
    /// Whether the secret is sent in the form.
    pub(super) is_in_form: bool,
    pub(super) parameters: Vec<(String, String)>,
}
