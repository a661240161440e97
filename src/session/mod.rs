//! What a session's events mean. Pure: data in, data out; no clock, no I/O.

pub mod activity;
mod answering;
pub mod asked;
pub mod clean;
pub mod digest;
pub mod grading;
pub mod history;
mod lifecycle;
pub mod outline;
pub mod places;
pub mod queue;
pub mod render;
pub mod report;
pub mod sieve;
pub mod state;
pub mod summary;
pub mod turn;
