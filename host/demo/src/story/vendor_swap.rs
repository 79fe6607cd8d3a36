//! A shop switches its vendor.

use std::time::Instant;

use anyhow::{bail, ensure};
use cartwright::{CartLine, CartOperation};
use serde_json::json;

use super::{Demo, describe};
use crate::{Steps, shops};

impl Demo<'_> {
    /// Switches lumen's ring from Expivi to Twikit.
    pub(super) async fn switch_vendor(
        &self,
        steps: &mut Steps,
        cart: &[CartLine],
        twikit: cartwright::Digest,
    ) -> anyhow::Result<()> {
        steps.chapter("A shop switches its vendor")?;
        self.host.set_account(&self.lumen, twikit, shops::twikit_account(&self.twikit)?).await?;
        let mapped = |skus: &[&str]| {
            shops::link(json!({
                "shop_product": "ring", "account": "twikit", "vendor_product": "diamond-letter-jewel", "allowed_skus": skus,
            }))
        };
        steps
            .step("a mapping that is not ready reports the reasons", async {
                let readiness = self.host.readiness(&self.lumen, &self.expivi_account, &[mapped(&[])?]).await?;
                ensure!(!readiness.is_ready(), "{readiness:?}");
                let reason = readiness.products[0].issues.first().map(|issue| issue.message.text.clone());
                Ok(((), reason.unwrap_or_default()))
            })
            .await?;
        steps
            .step("a mapping that is ready is switched", async {
                let links = [mapped(&["RING"])?];
                let readiness = self.host.readiness(&self.lumen, &self.expivi_account, &links).await?;
                ensure!(readiness.is_ready(), "{readiness:?}");
                let began = Instant::now();
                self.host.link(&self.lumen, &links).await?;
                Ok((
                    (),
                    format!(
                        "ring is Twikit's after {} µs, {} products stay with Expivi",
                        began.elapsed().as_micros(),
                        readiness.unmapped.len()
                    ),
                ))
            })
            .await?;
        steps
            .step("new lines come from Twikit", async {
                let saved = self.twikit.save_configuration("diamond-letter-jewel", "RING", 199.0);
                let add = self.add("ring", &saved.envelope().to_string(), 1, cart);
                let change = self.host.add_to_cart(&self.lumen, add).await?;
                match &change.operations[..] {
                    [CartOperation::Add { lines }] if lines[0].pin.account == self.twikit_account => {
                        Ok(((), describe(&change)))
                    }
                    other => bail!("{other:?}"),
                }
            })
            .await?;
        steps
            .step("old lines are still served by Expivi", async {
                let change = self.host.change_quantity(&self.lumen, &cart[0].key, 4, cart, &self.visitor).await?;
                match &change.operations[..] {
                    [CartOperation::Update { lines }] if lines[0].pin.account == self.expivi_account => {
                        Ok(((), describe(&change)))
                    }
                    other => bail!("{other:?}"),
                }
            })
            .await?;
        steps.step("the cart can still be ordered", self.checked(&self.lumen, cart)).await
    }
}
