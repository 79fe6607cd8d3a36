//! Each of two shops sets up a vendor and links its products.

use anyhow::{bail, ensure};
use cartwright::types::Verdict;
use cartwright::{AccountId, ShopId};
use serde_json::json;

use super::Demo;
use crate::{Steps, shops};

impl Demo<'_> {
    pub(super) async fn set_up(
        &self,
        steps: &mut Steps,
        expivi: cartwright::Digest,
        twikit: cartwright::Digest,
    ) -> anyhow::Result<()> {
        steps.chapter("Two shops")?;
        for shop in ["lumen", "gems"] {
            self.host.add_shop(shops::shop(shop)?)?;
        }
        steps
            .step("a wrong setting is rejected with its field", async {
                let mut setup = shops::expivi_account(&self.expivi)?;
                setup.settings.insert("viewer-tokn".to_owned(), json!("x"));
                match self.host.set_account(&self.lumen, expivi, setup).await {
                    Err(error) if error.to_string().contains("viewer-tokn") => {
                        Ok(((), "viewer-tokn: no such setting".to_owned()))
                    }
                    other => bail!("{other:?}"),
                }
            })
            .await?;
        steps
            .step("lumen sets up Expivi", async {
                self.host.set_account(&self.lumen, expivi, shops::expivi_account(&self.expivi)?).await?;
                self.connected(&self.lumen, &self.expivi_account).await
            })
            .await?;
        steps
            .step("gems sets up Twikit", async {
                self.host.set_account(&self.gems, twikit, shops::twikit_account(&self.twikit)?).await?;
                self.connected(&self.gems, &self.twikit_account).await
            })
            .await?;
        steps
            .step("Expivi's products are found", async {
                let found = self.host.search_products(&self.lumen, &self.expivi_account, "", None).await?;
                ensure!(found.products.iter().any(|product| product.id == "1001"), "{found:?}");
                Ok(((), format!("{} products", found.products.len())))
            })
            .await?;
        steps
            .step("products are linked", async {
                for link in shops::expivi_links("components") {
                    self.host.link(&self.lumen, &[shops::link(link)?]).await?;
                }
                let link = shops::link(json!({
                    "shop_product": "jewel", "account": "twikit", "vendor_product": "diamond-letter-jewel",
                    "allowed_skus": ["JEWEL-A"],
                }))?;
                self.host.link(&self.gems, &[link]).await?;
                Ok(((), "ring, shirt and wardrobe to Expivi, jewel to Twikit".to_owned()))
            })
            .await?;
        steps
            .step("both shops are stored", async {
                for shop in [&self.lumen, &self.gems] {
                    self.stored.keep(&self.host, shop).await?;
                }
                let secrets = "an SQLite file in a temporary folder, their secrets encrypted with a random key";
                Ok(((), secrets.to_owned()))
            })
            .await?;
        for (shop, product) in [(&self.lumen, "ring"), (&self.gems, "jewel")] {
            steps
                .step(&format!("the page of {product} gets its embed data"), async {
                    let embed = self.host.embed(shop, product, None, &self.visitor).await?;
                    let paths = embed.start.map(|start| start.paths).unwrap_or_default();
                    ensure!(!embed.scripts.is_empty() && !paths.is_empty(), "nothing to load or to start");
                    Ok(((), format!("{} scripts, starts with {}", embed.scripts.len(), paths.join(" or "))))
                })
                .await?;
        }
        Ok(())
    }

    async fn connected(&self, shop: &ShopId, account: &AccountId) -> anyhow::Result<((), String)> {
        let diagnoses = self.host.test_connection(shop, account).await?;
        let failed: Vec<&str> = diagnoses
            .iter()
            .filter(|diagnosis| diagnosis.verdict == Verdict::Failed)
            .map(|diagnosis| diagnosis.check.text.as_str())
            .collect();
        ensure!(failed.is_empty(), "did not pass: {failed:?}");
        let checks: Vec<&str> = diagnoses.iter().map(|diagnosis| diagnosis.check.text.as_str()).collect();
        Ok(((), checks.join("; ")))
    }
}
