//! A cart at gems, configured with Twikit.

use anyhow::{bail, ensure};
use cartwright::CartLine;
use cartwright::types::PriceState;

use super::{Demo, describe};
use crate::Steps;

impl Demo<'_> {
    pub(super) async fn shop_with_twikit(&self, steps: &mut Steps) -> anyhow::Result<Vec<CartLine>> {
        steps.chapter("A cart at gems, configured with Twikit")?;
        let saved = self.twikit.save_configuration("diamond-letter-jewel", "JEWEL-A", 49.0);
        let cart = steps
            .step("a configuration saved at Twikit becomes a line", async {
                let add = self.add("jewel", &saved.envelope().to_string(), 2, &[]);
                let change = self.host.add_to_cart(&self.gems, add).await?;
                let mut cart = Vec::new();
                change.apply(&mut cart);
                ensure!(
                    cart[0].reference.as_deref() == Some(saved.configuration_id.to_string().as_str()),
                    "{:?}",
                    cart[0]
                );
                ensure!(
                    cart[0].price.state == PriceState::Verified && cart[0].price.total.minor == 9_800,
                    "{:?}",
                    cart[0].price
                );
                Ok((cart, describe(&change)))
            })
            .await?;
        steps
            .step("a SKU other than the linked one is rejected", async {
                let cheap = self.twikit.save_configuration("diamond-letter-jewel", "TOTEM", 1.0);
                match self
                    .host
                    .add_to_cart(&self.gems, self.add("jewel", &cheap.envelope().to_string(), 1, &cart))
                    .await
                {
                    Err(error) => Ok(((), error.to_string())),
                    Ok(change) => bail!("the SKU was accepted: {}", describe(&change)),
                }
            })
            .await?;
        steps.step("the cart checks out", self.checked(&self.gems, &cart)).await?;
        Ok(cart)
    }
}
