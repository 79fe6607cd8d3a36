//! `timer`: waits of an order hook.

use cartwright_contract::hook::Capability;

use crate::bindings::timer::{Host, Woken};
use crate::state::GuestState;

/// Maximum wait in seconds: 90 days. The contract specifies that a longer wait is shortened.
const MAX_SLEEP_SECONDS: u32 = 90 * 24 * 3600;

impl Host for GuestState {
    async fn sleep(&mut self, seconds: u32) -> wasmtime::Result<Woken> {
        self.permit(Capability::Timer)?
            .map_err(|denied| wasmtime::Error::msg(cartwright_contract::error::describe(&denied)))?;
        match &mut self.durable {
            Some(cursor) => Ok(cursor.sleep(seconds.min(MAX_SLEEP_SECONDS)).await?.into()),
            // Every hook with this capability is durable.
            None => Ok(Woken::Elapsed),
        }
    }
}
