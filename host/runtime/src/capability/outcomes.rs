//! `outcomes`: what an order hook says at once.

use crate::capability::Capability;
use crate::contract::outcomes::Host;
use crate::contract::{Error, Outcome};
use crate::guest::GuestState;

impl Host for GuestState {
    async fn emit(&mut self, outcome: Outcome) -> wasmtime::Result<Result<(), Error>> {
        if let Err(denied) = self.permit(Capability::Outcomes)? {
            return Ok(Err(denied));
        }
        // Every hook that this answers in is durable.
        if let Some(cursor) = &mut self.durable {
            cursor.emit(outcome).await?;
        }
        Ok(Ok(()))
    }
}
