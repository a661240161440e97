//! Any text: nothing forbidden is left, cleaning and masking again change nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use managed_agents_mcp::secrets::{MASK, mask, mask_field};
use managed_agents_mcp::session::clean::{clean, clean_line, escape};

fuzz_target!(|text: &str| {
    let cleaned = clean(text);
    fuzz::check(&cleaned.text);
    assert_eq!(clean(&cleaned.text).text, cleaned.text);
    let line = clean_line(text);
    assert!(!line.contains(['\n', '\t']));
    assert_eq!(clean_line(&line), line);
    fuzz::check(&escape(text).replace('\r', ""));
    let masked = mask_field(text);
    assert_eq!(mask_field(&masked), masked);
    assert!(masked == text || masked.contains(MASK));
    let masked = mask(text);
    assert!(masked == text || masked.contains(MASK));
});
