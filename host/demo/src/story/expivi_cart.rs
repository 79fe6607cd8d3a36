//! A cart at lumen, configured with Expivi.

use anyhow::{Context as _, bail, ensure};
use cartwright::{CartLine, CartOperation, LineState};
use cartwright_fake_vendors::samples;

use super::{Demo, describe};
use crate::Steps;

impl Demo<'_> {
    pub(super) async fn shop_with_expivi(&self, steps: &mut Steps) -> anyhow::Result<Vec<CartLine>> {
        steps.chapter("A cart at lumen, configured with Expivi")?;
        let mut cart = Vec::new();
        let price: serde_json::Value = serde_json::from_str(samples::EXPIVI_SIMPLE)?;
        let expected = self.expivi.expected_price(&price[0], None).context("the fake has no price")?;
        cart = steps
            .step("a simple line, priced by Expivi", async {
                let change =
                    self.host.add_to_cart(&self.lumen, self.add("ring", samples::EXPIVI_SIMPLE, 1, &cart)).await?;
                let mut cart = cart.clone();
                change.apply(&mut cart);
                ensure!(cart[0].price.total.minor == expected, "{} is not {expected}", cart[0].price.total.minor);
                ensure!(cart[0].thumbnail.is_some(), "the picture is not stored");
                ensure!(!cart[0].shown.iter().any(|part| part.value.contains('@')), "{:?}", cart[0].shown);
                Ok((cart, describe(&change)))
            })
            .await?;
        cart = steps
            .step("adding the same product again doubles its quantity", async {
                let change =
                    self.host.add_to_cart(&self.lumen, self.add("ring", samples::EXPIVI_SIMPLE, 1, &cart)).await?;
                let mut cart = cart.clone();
                change.apply(&mut cart);
                ensure!(cart.len() == 1 && cart[0].quantity == 2, "{} lines", cart.len());
                ensure!(cart[0].price.total.minor == 2 * expected, "{:?}", cart[0].price);
                Ok((cart, describe(&change)))
            })
            .await?;
        cart = steps
            .step("a variation, found by the keys of its options", async {
                let change =
                    self.host.add_to_cart(&self.lumen, self.add("shirt", samples::EXPIVI_VARIATION, 3, &cart)).await?;
                let mut cart = cart.clone();
                change.apply(&mut cart);
                let line = cart.last().context("no line")?;
                ensure!(line.sku.as_deref() == Some("SHIRT-R-L"), "{:?}", line.sku);
                ensure!(line.price.total.minor == 3 * 2_495, "{:?}", line.price);
                Ok((cart, describe(&change)))
            })
            .await?;
        cart = steps
            .step("a bundle, at the sum of its parts", async {
                let change =
                    self.host.add_to_cart(&self.lumen, self.add("wardrobe", samples::EXPIVI_BUNDLE, 2, &cart)).await?;
                let mut cart = cart.clone();
                change.apply(&mut cart);
                let parent = cart.iter().find(|line| !line.children.is_empty()).context("no bundle")?;
                let children: Vec<&CartLine> =
                    cart.iter().filter(|line| line.parent.as_ref() == Some(&parent.key)).collect();
                let sum: i64 = children.iter().map(|child| child.price.total.minor).sum();
                ensure!(sum == parent.price.total.minor && sum == 2 * (3 * 2_450 + 4 * 320 + 4 * 15), "{sum}");
                Ok((cart, describe(&change)))
            })
            .await?;
        cart = steps
            .step("an edit keeps quantity and place", async {
                let mut other: serde_json::Value =
                    serde_json::from_str(&samples::EXPIVI_SIMPLE.replace("Bob", "Alice"))?;
                // A product without a uuid cannot be uploaded and printed.
                other[0]["uuid"] = "3f2b8c1d-7a4e-4b60-9d15-6e8f0a2c1001".into();
                let other = other.to_string();
                let change =
                    self.host.edit_line(&self.lumen, &cart[0].key, None, self.add("ring", &other, 1, &cart)).await?;
                let old = cart[0].key.clone();
                let mut cart = cart.clone();
                change.apply(&mut cart);
                ensure!(cart[0].quantity == 2 && cart[0].key != old, "{:?}", cart[0]);
                Ok((cart, describe(&change)))
            })
            .await?;
        steps
            .step("a failed edit keeps the old line", async {
                let wrong = self.add("ring", samples::EXPIVI_VARIATION, 1, &cart);
                match self.host.edit_line(&self.lumen, &cart[0].key, None, wrong).await {
                    Err(error) => Ok(((), error.to_string())),
                    Ok(change) => bail!("another product was accepted: {}", describe(&change)),
                }
            })
            .await?;
        steps
            .step("a quote is requested", async {
                let change =
                    self.host.request_quote(&self.lumen, self.add("ring", samples::EXPIVI_SIMPLE, 50, &cart)).await?;
                ensure!(matches!(change.operations[..], [CartOperation::RequestQuote { .. }]), "{change:?}");
                Ok(((), describe(&change)))
            })
            .await?;
        steps.step("the cart checks out", self.checked(&self.lumen, &cart)).await?;
        steps
            .step("a price changed by the browser is detected", async {
                let mut forged = cart.clone();
                forged[0].price.total.minor = 1;
                let checks = self.host.check_cart(&self.lumen, &forged, &self.visitor).await?;
                match &checks[0].state {
                    LineState::MustReconfigure { reason } => Ok(((), format!("the line cannot be ordered: {reason}"))),
                    other => bail!("{other:?}"),
                }
            })
            .await?;
        Ok(cart)
    }
}
