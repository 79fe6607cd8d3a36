//! `outcomes`: what an order hook says at once.

use crate::contract::outcomes::Host;
use crate::contract::{Error, Outcome};
use crate::error::Failure;
use crate::guest::GuestState;
use crate::hook::Capability;
use crate::outcome;

impl Host for GuestState {
    async fn emit(&mut self, outcome: Outcome) -> wasmtime::Result<Result<(), Error>> {
        if let Err(denied) = self.permit(Capability::Outcomes)? {
            return Ok(Err(denied));
        }
        // Every hook that this answers in is durable.
        if let Some(cursor) = &mut self.durable {
            outcome::check(&cursor.plugin.about().form, Some(&cursor.order), &self.readable, &outcome)
                .map_err(Failure::BrokeContract)?;
            cursor.emit(outcome).await?;
        }
        Ok(Ok(()))
    }
}
