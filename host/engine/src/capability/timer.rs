//! `timer`: waits of an order hook.

use cartwright_contract::error::limit_exceeded;
use cartwright_contract::hook::Capability;
use cartwright_contract::records::{CallError, WakeReason};

use crate::bindings::timer::{self, Host};
use crate::bindings::{to_guest, types};
use crate::durable::MAX_WAIT_SECONDS;
use crate::state::GuestState;

impl Host for GuestState {
    async fn sleep(&mut self, seconds: u32) -> wasmtime::Result<Result<timer::WakeReason, types::CallError>> {
        Ok(to_guest(self.wait(seconds).await?, Into::into))
    }
}

impl GuestState {
    async fn wait(&mut self, seconds: u32) -> wasmtime::Result<Result<WakeReason, CallError>> {
        if let Err(denied) = self.permit(Capability::Timer)? {
            return Ok(Err(denied));
        }
        if seconds > MAX_WAIT_SECONDS {
            let text = format!(
                "timer.sleep: {seconds} s is longer than 90 days ({MAX_WAIT_SECONDS} s); wait in several steps, or \
                 return `continue-later`"
            );
            return Ok(Err(limit_exceeded("wait-seconds", text)));
        }
        match &mut self.durable {
            Some(cursor) => Ok(Ok(cursor.sleep(seconds).await?)),
            // Every hook with this capability is durable.
            None => Ok(Ok(WakeReason::Elapsed)),
        }
    }
}
