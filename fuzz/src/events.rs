//! Any JSON as events: a report and a page that keep their budget and hold nothing forbidden.
#![no_main]

use libfuzzer_sys::fuzz_target;
use managed_agents_mcp::api::events::Event;
use serde_json::value::RawValue;

fuzz_target!(|input: (u16, bool, &str)| {
    let (budget, is_listed, text) = input;
    let mut lines = text.lines();
    let session = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let raw = lines.filter_map(|line| serde_json::from_str::<Box<RawValue>>(line).ok());
    let events: Vec<Event> = raw.map(Event::new).collect();
    fuzz::tell(events, is_listed, session, usize::from(budget), usize::from(budget));
});
