//! `outcomes`: outcomes that an order hook emits while it runs.

use std::convert::identity;

use cartwright_contract::hook::Capability;
use cartwright_contract::records::{CallError, Outcome};

use crate::bindings::outcomes::Host;
use crate::bindings::{to_guest, types};
use crate::state::GuestState;

impl Host for GuestState {
    async fn emit(&mut self, outcome: types::Outcome) -> wasmtime::Result<Result<(), types::CallError>> {
        Ok(to_guest(self.emit_outcome(outcome.into()).await?, identity))
    }
}

impl GuestState {
    async fn emit_outcome(&mut self, outcome: Outcome) -> wasmtime::Result<Result<(), CallError>> {
        if let Err(denied) = self.permit(Capability::Outcomes)? {
            return Ok(Err(denied));
        }
        if let Err(error) = self.check_extras(&outcome) {
            return Ok(Err(error));
        }
        // Every hook with this capability is durable.
        if let Some(cursor) = &mut self.durable {
            // A refused outcome is not journaled: a replay makes the same check.
            if let Err(fault) = cursor.check_outcome(&self.readable, &outcome) {
                return Ok(Err(fault.into()));
            }
            cursor.emit(outcome).await?;
        }
        Ok(Ok(()))
    }
}
