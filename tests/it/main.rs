//! The product's promises, proved over real pipes: the real binary between an MCP client and the simulator.
//! One file per promise; `rig.rs` is what they share.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail; clippy.toml allows these in test functions, but not in what they share"
)]

mod agents;
mod answers;
mod approvals;
mod attachments;
mod clients;
mod clocks;
mod completions;
mod cursors;
mod cuts;
mod deciding;
mod dialogs;
mod doctor;
mod doctor_network;
mod endings;
mod endless;
mod environments;
mod errors;
mod events;
mod files;
mod flooding;
mod folders;
mod forging;
mod host;
mod hostile;
mod house;
mod interleavings;
mod lists;
mod live;
mod load;
mod network;
mod odd;
mod once;
mod operations;
mod outcomes;
mod progress;
mod prompts;
mod protocol;
#[allow(dead_code, reason = "the figures of bench use the rest")]
mod proxy;
mod readme;
mod refusals;
mod resources;
mod rig;
mod rounds;
mod schedules;
mod scripted;
mod secrets;
mod sending;
mod size;
mod spending;
mod starting;
mod states;
mod subscriptions;
mod tasks;
mod threads;
mod tools;
mod toolsets;
mod waits;
mod walk;

#[test]
fn no_file_of_this_folder_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|ending| ending == "rs") && name != "main" {
            let line = format!("\nmod {name};\n");
            assert!(include_str!("main.rs").contains(&line), "{name} is not run");
        }
    }
}
