//! `cartwright keys`: access keys of a host's database. The first key is created here; further ones also over HTTP.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{anyhow, bail};
use cartwright::{ShopId, timestamp};
use cartwright_service::access_keys::{self, AccessKeyError};
use cartwright_store::{NewAccessKey, Role, StoreError};
use clap::ValueEnum;
use ipnet::IpNet;

use crate::database::{Actor, Database};

/// Create, list and revoke access keys.
#[derive(clap::Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Make(Create),
    List(List),
    Revoke(Revoke),
}

/// The role of a key.
#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// For a shop's pages: configurators and adding to the cart. Such a key is public.
    Storefront,
    /// For the platform's server: orders and prices, of one shop or of all.
    Backend,
    /// For the person who sets a shop up.
    Integrator,
    /// For the person who runs the installation.
    Admin,
}

/// Create an access key and print it. It is not shown again.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  cartwright keys make --role backend --label webshop --database sqlite:cartwright.db --key-file cartwright.key"
)]
struct Create {
    /// The role of the key.
    #[arg(long)]
    role: RoleName,
    /// The shop that the key is bound to. The roles storefront and integrator need one.
    #[arg(long)]
    shop: Option<ShopId>,
    /// A label for people.
    #[arg(long)]
    label: String,
    /// The networks that the key may be used from, such as 192.0.2.0/24. Default: any.
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<IpNet>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    actor: Actor,
}

/// List the access keys, revoked ones included.
#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    database: Database,
}

/// Revoke an access key at once.
#[derive(clap::Args)]
struct Revoke {
    /// The id of the key, as `keys list` prints it.
    key: String,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    actor: Actor,
}

pub(crate) async fn run(arguments: Keys) -> anyhow::Result<ExitCode> {
    let now = SystemTime::now();
    match arguments.command {
        Command::Make(Create { role, shop, label, networks, database, actor }) => {
            let role = match (role, shop) {
                (RoleName::Storefront, Some(shop)) => Role::Storefront { shop },
                (RoleName::Integrator, Some(shop)) => Role::Integrator { shop },
                (RoleName::Backend, shop) => Role::Backend { shop },
                (RoleName::Admin, None) => Role::Admin,
                (RoleName::Admin, Some(_)) => bail!("an admin key is valid for every shop; omit --shop"),
                (_, None) => bail!("this role is bound to a shop; set --shop"),
            };
            let key = NewAccessKey { role, label, networks, expires: None };
            // The first key of an installation is created before the first node starts, so the database may not exist
            // yet.
            let store = database.open_or_create().await?;
            let created = access_keys::create(&store, &key, &actor.name(), now).await;
            let (_, text) = created.map_err(|error| match error {
                AccessKeyError::Store(StoreError::NotFound { what: "shop", id }) => anyhow!(
                    "shop {id} not found; create it first, on the pages of `cartwright serve` or with PUT /v1/shops/{id}"
                ),
                error => error.into(),
            })?;
            print_line!("{}", String::from_utf8_lossy(text.expose()));
        }
        Command::List(List { database }) => {
            for key in database.open().await?.access().access_keys(None, None, u32::MAX).await? {
                let shop = key.role.shop().map_or_else(|| "every shop".to_owned(), ToString::to_string);
                let ended = key.revoked.map_or_else(String::new, |at| format!(", revoked {}", timestamp(at)));
                let used =
                    key.last_used.map_or_else(|| "never used".to_owned(), |at| format!("used {}", timestamp(at)));
                print_line!("{}  {:<10} {shop}  {}, {used}{ended}", key.id, key.role.name(), key.label);
            }
        }
        Command::Revoke(Revoke { key, database, actor }) => {
            database.open().await?.access().revoke_access_key(None, &key, &actor.name(), now).await?;
            print_line!("{key} is revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}
