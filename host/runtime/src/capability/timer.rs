//! `timer`: waiting in an order hook.

use std::sync::Mutex;
use std::sync::PoisonError;

use async_trait::async_trait;

use crate::capability::Capability;
use crate::contract::timer::{Host, Woken};
use crate::guest::GuestState;

/// The longest wait: 90 days.
const LONGEST_SECONDS: u32 = 90 * 24 * 3600;

/// How an order hook waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Waits.
    async fn sleep(&self, seconds: u32);
}

/// A clock that is wound forward: a wait is over at once and is written down.
#[derive(Debug, Default)]
pub struct SimulatedClock {
    slept: Mutex<Vec<u32>>,
}

impl SimulatedClock {
    /// The waits so far, in seconds.
    pub fn slept(&self) -> Vec<u32> {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    async fn sleep(&self, seconds: u32) {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner).push(seconds);
    }
}

impl Host for GuestState {
    async fn sleep(&mut self, seconds: u32) -> wasmtime::Result<Woken> {
        self.permit(Capability::Timer)?.map_err(|denied| wasmtime::Error::msg(crate::error::describe(&denied)))?;
        if seconds > LONGEST_SECONDS {
            return Err(wasmtime::Error::msg(format!("timer.sleep: {seconds} s is longer than 90 days")));
        }
        if let Some(clock) = &self.clock {
            clock.sleep(seconds).await;
        }
        Ok(Woken::Elapsed)
    }
}
