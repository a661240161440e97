//! The simulator, driven over real HTTP: what it refuses, what it plays, what its faults do.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy.toml allows these in test functions; here every function is one"
)]

mod budgets;
mod checks;
mod deployments;
mod faults;
mod files;
mod outcomes;
mod pending;
mod resources;
mod rig;
mod stores;
mod streams;
mod threads;
mod turns;
