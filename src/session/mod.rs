//! What a session's events mean. Pure: data in, data out; no clock, no I/O.

pub mod clean;
pub mod digest;
pub mod history;
pub mod render;
pub mod report;
pub mod turn;
