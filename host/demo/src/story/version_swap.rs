//! A plugin version is switched while shoppers use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use cartwright::{CartLine, CartOperation, NewHostPolicy};
use cartwright_fake_vendors::samples;
use cartwright_service::source;

use super::{Demo, describe};
use crate::Steps;

impl Demo<'_> {
    /// Switches Expivi's version back and forth while a shopper adds to the cart.
    pub(super) async fn switch_version(&self, steps: &mut Steps, cart: &[CartLine]) -> anyhow::Result<()> {
        steps.chapter("A version is switched while shoppers use it")?;
        let first = self.host.current_version(&self.lumen, &self.expivi_account)?.digest();
        steps
            .step("a broken version leaves the old one serving", async {
                let whole = source::bytes("expivi")?;
                let refused = match self.host.install(&whole[..whole.len() / 2], None).await {
                    Err(error) => error.to_string(),
                    Ok(_) => bail!("a truncated component was installed"),
                };
                ensure!(
                    self.host.current_version(&self.lumen, &self.expivi_account)?.digest() == first,
                    "the version was switched"
                );
                Ok(((), refused.chars().take(100).collect()))
            })
            .await?;
        let second = steps
            .step("install another version", async {
                // The same component with an added note: the same code with another digest.
                let mut bytes = source::bytes("expivi")?;
                bytes.extend([0, 5, 4, b'd', b'e', b'm', b'o']);
                let plugin = self.host.install(&bytes, None).await?;
                ensure!(plugin.digest() != first, "the digest is the same");
                Ok((plugin.digest(), plugin.digest().to_string()))
            })
            .await?;
        steps
            .step("switch and roll back ten times under load", async {
                let stop = Arc::new(AtomicBool::new(false));
                let (added, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                let adding: Vec<_> = (0..2)
                    .map(|_| {
                        let (host, shop, add) = (
                            self.host.clone(),
                            self.lumen.clone(),
                            self.add("shirt", samples::EXPIVI_VARIATION, 1, &[]),
                        );
                        let (stop, added, failed) = (stop.clone(), added.clone(), failed.clone());
                        tokio::spawn(async move {
                            while !stop.load(Ordering::Relaxed) {
                                match host.add_to_cart(&shop, add.clone()).await {
                                    Ok(_) => added.fetch_add(1, Ordering::Relaxed),
                                    Err(_) => failed.fetch_add(1, Ordering::Relaxed),
                                };
                            }
                        })
                    })
                    .collect();
                let mut held = Duration::ZERO;
                for round in 0..10 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let to = if round % 2 == 0 { second } else { first };
                    held = held.max(
                        self.host
                            .switch_version(&self.lumen, &self.expivi_account, to, NewHostPolicy::Reject)
                            .await?
                            .lock_duration,
                    );
                }
                stop.store(true, Ordering::Relaxed);
                for task in adding {
                    task.await?;
                }
                let (added, failed) = (added.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
                ensure!(failed == 0 && added > 0, "{failed} of {added} failed");
                Ok((
                    (),
                    format!("{added} carts planned, none failed, the pointer was held {} µs at most", held.as_micros()),
                ))
            })
            .await?;
        self.host.switch_version(&self.lumen, &self.expivi_account, second, NewHostPolicy::Reject).await?;
        steps
            .step("old lines keep the version that made them", async {
                let change = self.host.change_quantity(&self.lumen, &cart[0].key, 3, cart, &self.visitor).await?;
                match &change.operations[..] {
                    [CartOperation::Update { lines }] if lines[0].pin.digest == first => Ok(((), describe(&change))),
                    other => bail!("{other:?}"),
                }
            })
            .await
    }
}
