//! `managed-agents-mcp`: hand long work to Claude Managed Agents from any MCP client.
//!
//! A call walks in once and out once; no room calls back to the left:
//!
//! ```text
//! stdin ─▶ server ─▶ server/tools/* ─▶ bridge ─▶ api ─▶ HTTP + SSE
//!                         │              │
//!                         │              └─▶ session: history ─▶ turn ─▶ report ─▶ render ─┐
//! stdout ◀────────────────┴───────────────────────────────────────────────────────────────┘
//! ```
//!
//! | room | what it does | what it may use |
//! | --- | --- | --- |
//! | [`server`] | the MCP face: tools, resources, prompts, progress, cancellation | `bridge`, `session`, ids and errors of `api`, rmcp, schemars |
//! | [`bridge`] | what a request means: start, send, wait, resolve, read, close; files in and out | `api`, `session`, tokio, cap-std |
//! | [`session`] | what a session's events mean; pure | `api::events` and other types of `api`, std, serde |
//! | [`api`] | the Managed Agents API, typed | reqwest, serde |
//! | [`simulator`] | the same API on loopback, served by a scripted agent | its HTTP server, serde_json |
//! | [`doctor`] | is everything in place, and how to fix what is not | `api`, settings, `session::clean` |
//! | [`clients`] | the configuration that each MCP client wants | serde_json |
//!
//! The API holds the record. Nothing here outlives a call but what watches a session for a subscriber, so the process may be
//! killed at any moment.

pub mod api;
pub mod bridge;
pub mod cli;
pub mod clients;
pub mod config;
pub mod doctor;
pub mod key;
pub mod log;
pub mod secrets;
pub mod seen;
pub mod server;
pub mod session;
pub mod settings;
pub mod signals;
pub mod simulator;
pub mod weight;
