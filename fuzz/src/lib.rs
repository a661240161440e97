//! What the targets share: a report and a page of any record.

use managed_agents_mcp::api::events::Event;
use managed_agents_mcp::api::sessions::Session;
use managed_agents_mcp::secrets::mask_field;
use managed_agents_mcp::session::asked::Asked;
use managed_agents_mcp::session::digest::{self, Detail};
use managed_agents_mcp::session::history::History;
use managed_agents_mcp::session::render::{self, SMALLEST_BUDGET};
use managed_agents_mcp::session::report::{self, Anew, Facts, rewritten};
use managed_agents_mcp::session::turn::{self, Lifecycle};

/// Characters that may never leave.
fn is_forbidden(c: char) -> bool {
    let is_control = c.is_control() && !matches!(c, '\n' | '\t');
    is_control || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}' | '\u{feff}')
}

/// Nothing forbidden is in a text.
pub fn check(text: &str) {
    assert!(!text.chars().any(is_forbidden), "{text:?}");
}

const MASKED: Anew = Anew {
    text: |text| mask_field(text).into_owned(),
    value: |value| rewritten(value, &|text| mask_field(text).into_owned()),
};

/// Events come in this order over the stream, or in a list, and are told within this budget.
pub fn tell(events: Vec<Event>, is_listed: bool, session: Option<Session>, budget: usize, offset: usize) {
    let budget = SMALLEST_BUDGET + budget % 30_000;
    let mut history = History::default();
    if is_listed {
        history.listed(events);
    } else {
        events.into_iter().for_each(|event| { let _ = history.streamed(event); });
    }
    let turn = turn::judge(&history, &Asked::default(), Lifecycle::default());
    let now = "2026-11-25T12:00:00Z".parse().expect("a time");
    let facts = Facts { session_id: "sesn_01fuzz", session: session.as_ref(), history: &history, turn: &turn, final_places: offset, now, anew: MASKED };
    let mut report = report::report(&facts);
    report.next = "get_status with session_ids [\"sesn_01fuzz\"] and wait_seconds waits on.".to_owned();
    let report = render::fit(report, budget);
    assert!(render::size(&report) <= budget, "{} > {budget}", render::size(&report));
    check(&render::text(&report));
    let events: Vec<&Event> = history.events().collect();
    for detail in [Detail::Digest, Detail::Full] {
        let fitted = digest::fill(&events, &|_| true, Event::can_be_cursor, detail, 100, budget, MASKED);
        assert!(fitted.used > 0 || events.is_empty());
        for entry in &fitted.entries {
            check(entry["text"].as_str().unwrap_or_default());
        }
    }
    if let Some(event) = events.first() {
        let slice = digest::slice(event, Detail::Digest, offset % 100_000, budget, MASKED);
        assert!(slice.next_offset.is_none_or(|next| next > offset % 100_000));
    }
}
