//! The command line.

use clap::{Parser, Subcommand};

use crate::clients::Client;

/// Hand long work to Claude Managed Agents from any MCP client: a stdio MCP server.
///
/// Without a command it serves MCP on standard input and output, for a client that starts it; settings come from the environment.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true, after_long_help = crate::settings::help())]
pub struct Cli {
    /// Use the built-in simulator instead of the API: no key, no network, no cost.
    #[arg(long, global = true)]
    pub simulate: bool,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does beside serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check settings, key, network, access and clock, and say how to fix what is wrong.
    ///
    /// Changes nothing and prints no secret. Exits with 0 if nothing failed, with 1 otherwise.
    Doctor {
        /// Print one JSON object: ok, version, checks (name, status, found, fix).
        #[arg(long)]
        json: bool,
    },
    /// Print the configuration that a client wants: the block on stdout, where it goes on stderr.
    ///
    /// No key is in either: the block says how the client comes by it. With --simulate none is needed.
    #[command(arg_required_else_help = true)]
    Config {
        /// The client.
        #[arg(ignore_case = true)]
        client: Client,
    },
    /// Run the simulator alone, on 127.0.0.1; prints its base URL.
    #[command(after_long_help = crate::simulator::help())]
    Simulator {
        /// Port to listen on; 0 takes any free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}
