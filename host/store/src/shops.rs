//! Shops, their accounts, and their product links, from which a host is set up when it starts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use cartwright::types::Rounding;
use cartwright::{
    AccountId, AccountSecret, AccountSnapshot, Currencies, ProductLink, ReleasePolicy, Secret, Shop, ShopId,
};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use crate::database::{Store, WriteTransaction, milliseconds};
use crate::error::StoreError;
use crate::facades::Shops;
use crate::keys::aad;

/// A shop without its id and its secret.
#[derive(Serialize, Deserialize)]
struct StoredShop {
    currencies: Currencies,
    base_country: Option<String>,
    time_zone: Option<String>,
    locale: String,
    prices_include_tax: bool,
    rounding: Rounding,
    seal_seconds: u32,
    pin_seconds: u32,
    sell_unconfigured: bool,
    release: ReleasePolicy,
    max_storefront_body_bytes: Option<u32>,
}

/// A secret of an account, encrypted with the others.
#[derive(Serialize, Deserialize)]
struct StoredSecret<'a> {
    value: Cow<'a, [u8]>,
    authorized_hosts: Cow<'a, BTreeSet<String>>,
}

impl<'a> StoredSecret<'a> {
    fn of(secret: &'a AccountSecret) -> Self {
        let AccountSecret { value, authorized_hosts } = secret;
        Self { value: Cow::Borrowed(value.expose()), authorized_hosts: Cow::Borrowed(authorized_hosts) }
    }
}

/// A stored product link.
#[derive(Debug, Clone)]
pub struct StoredProductLink {
    /// The product link.
    pub link: ProductLink,
    /// Whether the link is current. False if a vendor switch replaced it: then it serves the lines that were made with
    /// it.
    pub is_current: bool,
}

impl Shops<'_> {
    /// Stores a shop, or its changes.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn save_shop(self, shop: &Shop, now: SystemTime) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        self.save_shop_in(&mut work, shop, now).await?;
        work.commit().await
    }

    pub(crate) async fn save_shop_in(
        self,
        connection: &mut AnyConnection,
        shop: &Shop,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        // Destructured field by field, so that a new field is not forgotten here.
        let Shop {
            id,
            currencies,
            base_country,
            time_zone,
            locale,
            prices_include_tax,
            rounding,
            seal_key,
            seal_seconds,
            pin_seconds,
            sell_unconfigured,
            release,
            max_storefront_body_bytes,
        } = shop;
        let stored = StoredShop {
            currencies: currencies.clone(),
            base_country: base_country.clone(),
            time_zone: time_zone.clone(),
            locale: locale.clone(),
            prices_include_tax: *prices_include_tax,
            rounding: *rounding,
            seal_seconds: *seal_seconds,
            pin_seconds: *pin_seconds,
            sell_unconfigured: *sell_unconfigured,
            release: *release,
            max_storefront_body_bytes: *max_storefront_body_bytes,
        };
        sqlx::query(
            "insert into shops (id, shop, price_seal_key, changed_at) values ($1, $2, $3, $4)
             on conflict (id) do update set shop = excluded.shop, price_seal_key = excluded.price_seal_key,
                                            changed_at = excluded.changed_at",
        )
        .bind(id.as_str())
        .bind(json(&stored)?)
        .bind(self.store.keys().encrypt(&aad("shop", id.as_str(), ""), seal_key.expose())?)
        .bind(milliseconds(now))
        .execute(&mut *connection)
        .await?;
        tick_shop(connection, id).await
    }

    /// Returns all shops, by id.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn list(self) -> Result<Vec<Shop>, StoreError> {
        self.read_shops(&mut *self.store.pool().acquire().await?, None).await
    }

    /// Returns all shops, or one.
    pub(crate) async fn read_shops(
        self,
        connection: &mut AnyConnection,
        only: Option<&ShopId>,
    ) -> Result<Vec<Shop>, StoreError> {
        let rows: Vec<(String, String, Vec<u8>)> =
            sqlx::query_as("select id, shop, price_seal_key from shops where id = $1 or $1 is null order by id")
                .bind(only.map(ShopId::as_str))
                .fetch_all(connection)
                .await?;
        let rows = rows.into_iter().map(|(id, stored, encrypted)| {
            let what = aad("shop", &id, "");
            let stored: StoredShop = read(&what, &stored)?;
            let key = self.store.keys().decrypt(&what, &encrypted)?;
            let key = std::str::from_utf8(&key).map_err(|error| StoreError::corrupt(&what, error))?;
            Ok(Shop {
                id: id.parse().map_err(|error| StoreError::corrupt(&what, error))?,
                currencies: stored.currencies,
                base_country: stored.base_country,
                time_zone: stored.time_zone,
                locale: stored.locale,
                prices_include_tax: stored.prices_include_tax,
                rounding: stored.rounding,
                seal_key: Secret::new(key),
                seal_seconds: stored.seal_seconds,
                pin_seconds: stored.pin_seconds,
                sell_unconfigured: stored.sell_unconfigured,
                release: stored.release,
                max_storefront_body_bytes: stored.max_storefront_body_bytes,
            })
        });
        rows.collect()
    }

    /// Stores a whole account in place of its previous revision.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the stored revision is not the previous one, [`StoreError::NotFound`] if the shop is
    /// not stored.
    pub async fn save_account(
        self,
        shop: &ShopId,
        account: &AccountSnapshot,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut work = self.store.begin_shop(shop).await?;
        self.save_account_in(&mut work, shop, account, now).await?;
        work.commit().await
    }

    pub(crate) async fn save_account_in(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        account: &AccountSnapshot,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let what = aad("account", shop.as_str(), account.id.as_str());
        let secrets: BTreeMap<&str, StoredSecret> =
            account.secrets.iter().map(|(name, secret)| (name.as_str(), StoredSecret::of(secret))).collect();
        let changed = sqlx::query(
            "insert into accounts (shop, id, current, versions, secrets, grants, revision, changed_at)
             select $1, $2, $3, $4, $5, $6, $7, $8
             where $7 = 1 or exists (select 1 from accounts where shop = $1 and id = $2)
             on conflict (shop, id) do update set current = $3, versions = $4, secrets = $5, grants = $6,
                                                  revision = $7, changed_at = $8
             where accounts.revision = $7 - 1",
        )
        .bind(shop.as_str())
        .bind(account.id.as_str())
        .bind(account.current.to_string())
        .bind(json(&account.versions)?)
        .bind(self.store.keys().current().encrypt_json(&what, &secrets)?)
        .bind(json(&account.grants)?)
        .bind(i64::try_from(account.revision).unwrap_or(i64::MAX))
        .bind(milliseconds(now))
        .execute(&mut *connection)
        .await?;
        match changed.rows_affected() {
            0 => Err(StoreError::Conflict(format!("the account {} was changed in the meantime", account.id))),
            _ => tick_shop(connection, shop).await,
        }
    }

    /// Returns a shop's accounts, by id.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn accounts(self, shop: &ShopId) -> Result<Vec<AccountSnapshot>, StoreError> {
        self.read_accounts(&mut *self.store.pool().acquire().await?, shop).await
    }

    pub(crate) async fn read_accounts(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
    ) -> Result<Vec<AccountSnapshot>, StoreError> {
        let rows: Vec<(String, String, String, Vec<u8>, String, i64)> = sqlx::query_as(
            "select id, current, versions, secrets, grants, revision from accounts where shop = $1 order by id",
        )
        .bind(shop.as_str())
        .fetch_all(connection)
        .await?;
        let rows = rows.into_iter().map(|(id, current, versions, encrypted, grants, revision)| {
            let what = aad("account", shop.as_str(), &id);
            let secrets: BTreeMap<String, StoredSecret> =
                serde_json::from_slice(&self.store.keys().decrypt(&what, &encrypted)?)
                    .map_err(|error| StoreError::corrupt_json(&what, &error))?;
            let secrets = secrets.into_iter().map(|(name, secret)| {
                let text = std::str::from_utf8(&secret.value).map_err(|error| StoreError::corrupt(&what, error))?;
                let secret =
                    AccountSecret { value: Secret::new(text), authorized_hosts: secret.authorized_hosts.into_owned() };
                Ok::<_, StoreError>((name, secret))
            });
            Ok(AccountSnapshot {
                id: id.parse().map_err(|error| StoreError::corrupt(&what, error))?,
                current: current.parse().map_err(|error| StoreError::corrupt(&what, error))?,
                versions: read(&what, &versions)?,
                secrets: secrets.collect::<Result<_, _>>()?,
                grants: read(&what, &grants)?,
                revision: u64::try_from(revision).unwrap_or(0),
            })
        });
        rows.collect()
    }

    /// Stores product links, all or none. A product's link to another account is kept as a replaced one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if an account is not stored.
    pub async fn save_links(self, shop: &ShopId, links: &[ProductLink], now: SystemTime) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        self.save_links_in(&mut work, shop, links, now).await?;
        work.commit().await
    }

    pub(crate) async fn save_links_in(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        links: &[ProductLink],
        now: SystemTime,
    ) -> Result<(), StoreError> {
        for link in links {
            require_account(&mut *connection, shop, &link.account).await?;
            sqlx::query(
                "update product_links set is_current = 0 where shop = $1 and shop_product = $2 and account <> $3",
            )
            .bind(shop.as_str())
            .bind(&link.shop_product)
            .bind(link.account.as_str())
            .execute(&mut *connection)
            .await?;
            sqlx::query(
                "insert into product_links (shop, shop_product, account, link, is_current, changed_at)
                 values ($1, $2, $3, $4, 1, $5)
                 on conflict (shop, shop_product, account) do update set link = excluded.link, is_current = 1,
                                                                        changed_at = excluded.changed_at",
            )
            .bind(shop.as_str())
            .bind(&link.shop_product)
            .bind(link.account.as_str())
            .bind(json(link)?)
            .bind(milliseconds(now))
            .execute(&mut *connection)
            .await?;
        }
        tick_shop(connection, shop).await
    }

    /// Marks a product's link as replaced.
    pub(crate) async fn end_link_in(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
        product: &str,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        sqlx::query("update product_links set is_current = 0, changed_at = $3 where shop = $1 and shop_product = $2")
            .bind(shop.as_str())
            .bind(product)
            .bind(milliseconds(now))
            .execute(&mut *connection)
            .await?;
        tick_shop(connection, shop).await
    }

    /// Returns a shop's product links by product, including replaced ones.
    ///
    /// # Errors
    /// Fails if the database does.
    pub async fn links(self, shop: &ShopId) -> Result<Vec<StoredProductLink>, StoreError> {
        self.read_links(&mut *self.store.pool().acquire().await?, shop).await
    }

    pub(crate) async fn read_links(
        self,
        connection: &mut AnyConnection,
        shop: &ShopId,
    ) -> Result<Vec<StoredProductLink>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("select link, is_current from product_links where shop = $1 order by shop_product, account")
                .bind(shop.as_str())
                .fetch_all(connection)
                .await?;
        let rows = rows.into_iter().map(|(link, is_current)| {
            Ok(StoredProductLink { link: read("a link", &link)?, is_current: is_current == 1 })
        });
        rows.collect()
    }
}

/// Increments the change counter and returns its value. The lock on its row serializes changes.
pub(crate) async fn change_number(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    let update: (i64,) = sqlx::query_as("update change_counter set number = number + 1 where id = 1 returning number")
        .fetch_one(connection)
        .await?;
    Ok(update.0)
}

/// Returns the change number of a shop, or `None` if the shop is not stored.
pub(crate) async fn shop_change_number(
    connection: &mut AnyConnection,
    shop: &ShopId,
) -> Result<Option<i64>, StoreError> {
    let (number,): (Option<i64>,) = sqlx::query_as("select max(change_number) from shops where id = $1")
        .bind(shop.as_str())
        .fetch_one(connection)
        .await?;
    Ok(number)
}

/// Records a change of this shop.
pub(crate) async fn tick_shop(connection: &mut AnyConnection, shop: &ShopId) -> Result<(), StoreError> {
    let change_number = change_number(connection).await?;
    sqlx::query("update shops set change_number = $1 where id = $2")
        .bind(change_number)
        .bind(shop.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unusable(error.to_string()))
}

fn read<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(what, error))
}

/// Checks that the account is stored, because nothing is stored for an unknown one. Accounts are never deleted.
///
/// # Errors
/// [`StoreError::NotFound`], or an error of the database.
pub(crate) async fn require_account(
    connection: &mut AnyConnection,
    shop: &ShopId,
    account: &AccountId,
) -> Result<(), StoreError> {
    let found: Option<(String,)> = sqlx::query_as("select id from accounts where shop = $1 and id = $2")
        .bind(shop.as_str())
        .bind(account.as_str())
        .fetch_optional(connection)
        .await?;
    found.map(drop).ok_or_else(|| StoreError::NotFound { what: "account", id: account.to_string() })
}

impl Store {
    /// Begins a write transaction with the shop locked by [`lock_shop`].
    pub(crate) async fn begin_shop(&self, shop: &ShopId) -> Result<WriteTransaction, StoreError> {
        let mut work = self.begin().await?;
        lock_shop(&mut work, shop).await?;
        Ok(work)
    }
}

/// Locks a shop, so that changes of its data are serialized.
pub(crate) async fn lock_shop(work: &mut WriteTransaction, shop: &ShopId) -> Result<(), StoreError> {
    let locked = sqlx::query("update shops set changed_at = changed_at where id = $1")
        .bind(shop.as_str())
        .execute(&mut **work)
        .await?;
    match locked.rows_affected() {
        0 => Err(StoreError::NotFound { what: "shop", id: shop.to_string() }),
        _ => Ok(()),
    }
}
