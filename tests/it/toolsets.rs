//! What is offered: the toolsets that the settings name, and of them only what reads where that is asked for.

use crate::rig::{Rig, length};
use crate::tools::named_tools;

const ADMIN: [&str; 5] = [
    "close_agent",
    "close_environment",
    "list_memory_stores",
    "list_vaults",
    "update_agent",
];
const SCHEDULES: [&str; 3] = ["control_schedule", "create_schedule", "list_schedules"];

async fn offered(toolsets: &str, read_only: &str) -> (Vec<String>, String) {
    let rig = Rig::start()
        .await
        .set("MANAGED_AGENTS_TOOLSETS", toolsets)
        .set("MANAGED_AGENTS_READ_ONLY", read_only);
    let client = rig.client().await;
    let names = client.tools.iter().map(|tool| tool.name.to_string());
    (names.collect(), client.server().instructions.unwrap())
}

#[tokio::test]
async fn each_toolset_is_offered_or_left_out_as_a_whole() {
    let (core, _) = offered("", "0").await;
    assert!(core.contains(&"create_session".to_owned()));
    assert!(
        !core
            .iter()
            .any(|name| ADMIN.contains(&&**name) || SCHEDULES.contains(&&**name))
    );
    assert_eq!(offered("core", "0").await.0, core);
    assert_eq!(offered("admin", "0").await.0, ADMIN);
    assert_eq!(offered("schedules", "0").await.0, SCHEDULES);
    let mut all: Vec<String> = core;
    all.extend(
        ADMIN
            .iter()
            .chain(&SCHEDULES)
            .map(|name| (*name).to_owned()),
    );
    all.sort();
    assert_eq!(offered("all", "0").await.0, all);
    assert_eq!(offered("schedules, core ,admin", "0").await.0, all);
}

#[tokio::test]
async fn read_only_leaves_the_tools_that_read_and_no_other() {
    let (names, _) = offered("all", "1").await;
    assert!(
        names.contains(&"list_schedules".to_owned()) && names.contains(&"get_status".to_owned())
    );
    let reads = |name: &String| name.starts_with("get_") || name.starts_with("list_");
    assert!(names.iter().all(reads), "{names:?}");
}

#[tokio::test]
async fn the_instructions_name_only_what_is_offered_and_stay_short() {
    for toolsets in [
        "core",
        "admin",
        "schedules",
        "all",
        "core,schedules",
        "admin,schedules",
    ] {
        for read_only in ["0", "1"] {
            let (names, instructions) = offered(toolsets, read_only).await;
            for named in named_tools(&instructions) {
                assert!(names.contains(&named), "{toolsets} {read_only}: {named}");
            }
            assert!(
                length(&instructions) <= 2000,
                "{toolsets}: {}",
                length(&instructions)
            );
        }
    }
}
