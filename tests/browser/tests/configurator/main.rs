//! Product pages of embed data and cartwright.js alone, in a real browser.

mod contract;
mod expivi;
mod faults;
mod loader;
mod shop;
mod twikit;
