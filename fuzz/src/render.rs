//! Events of every kind with any text in them: the report keeps its budget and holds nothing forbidden.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use managed_agents_mcp::api::events::Event;
use serde_json::{Value, json};

#[derive(Arbitrary, Debug)]
struct Said {
    kind: u8,
    text: String,
    name: String,
    times: u8,
}

fn event(number: usize, said: &Said) -> Event {
    let text = said.text.repeat(usize::from(said.times) + 1);
    let content = json!([{"type": "text", "text": text}]);
    let id = format!("sevt_{number}");
    let before = format!("sevt_{}", number.saturating_sub(1));
    let mut event: Value = match said.kind % 9 {
        0 => json!({"type": "user.message", "content": content}),
        1 => json!({"type": "agent.message", "content": content}),
        2 => json!({"type": "agent.tool_use", "name": said.name, "input": {"command": text}, "evaluated_permission": "ask"}),
        3 => json!({"type": "agent.tool_result", "tool_use_id": before, "content": content, "is_error": said.times > 9}),
        4 => json!({"type": "agent.custom_tool_use", "name": said.name, "input": {said.name.clone(): text}}),
        5 => json!({"type": "session.error", "error": {"type": said.name, "message": text}}),
        6 => json!({"type": "session.status_idle", "stop_reason": {"type": "requires_action", "event_ids": [before]}}),
        7 => json!({"type": "session.status_idle", "stop_reason": {"type": said.name}}),
        _ => json!({"type": said.name, "content": content}),
    };
    event["id"] = json!(id);
    event["processed_at"] = json!("2026-11-25T11:59:00Z");
    Event::new(serde_json::value::to_raw_value(&event).expect("JSON"))
}

fuzz_target!(|input: (u16, String, Vec<Said>)| {
    let (budget, title, said) = input;
    let events = said.iter().take(60).enumerate().map(|(number, said)| event(number, said)).collect();
    let session = serde_json::from_value(json!({"id": "sesn_01fuzz", "status": "idle", "title": title})).ok();
    fuzz::tell(events, true, session, usize::from(budget), 0);
});
