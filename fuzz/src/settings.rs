//! Any values of the variables: settings or a sentence that names the variable, and never a secret in either.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use managed_agents_mcp::config::Config;
use managed_agents_mcp::settings;

const SECRET: &str = "canary-7f3a91-canary";

fuzz_target!(|text: &str| {
    // An agent may be named like the key: what leaves the process is masked, this is not.
    if text.contains(SECRET) {
        return;
    }
    // Files belong to the file system; what is learned of a secret stays for good, so that there is one only.
    let names = settings::names().filter(|name| !name.ends_with("_FILE") && !name.ends_with("_PROXY"));
    let mut values: HashMap<&str, String> = names.zip(text.lines().map(str::to_owned)).collect();
    for name in [
        "ANTHROPIC_MANAGED_AGENTS_TOKEN",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "MANAGED_AGENTS_GITHUB_TOKEN",
        "GITHUB_TOKEN",
    ] {
        values.insert(name, SECRET.to_owned());
    }
    let said = match Config::read(&|name| values.get(name).cloned()) {
        Ok(config) => format!("{config:?}"),
        Err(error) => {
            let said = error.to_string();
            assert!(settings::names().any(|name| said.contains(name)), "{said}");
            said
        }
    };
    assert!(!said.contains(SECRET), "{said}");
    settings::unknown(text.split_whitespace().map(str::to_owned));
});
