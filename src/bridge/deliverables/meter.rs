//! How far a transfer is, for whoever waits for it.

use std::time::Duration;

use tokio::time::Instant;

use super::super::Attention;
use crate::session::report::cut;

/// A line is told no more often.
const PACE: Duration = Duration::from_millis(300);
/// Of what is being done, name included.
const DOING_CHARS: usize = 120;

/// Counts bytes and tells of them.
pub(super) struct Meter {
    attention: Attention,
    doing: String,
    total: u64,
    moved: u64,
    told: Option<Instant>,
}

impl Meter {
    /// `doing` is the start of the line: "uploading report.pdf".
    pub(super) fn new(attention: &Attention, doing: &str, total: u64) -> Meter {
        Meter {
            attention: attention.clone(),
            doing: cut(doing, DOING_CHARS),
            total,
            moved: 0,
            told: None,
        }
    }

    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
        if self.told.is_some_and(|told| told.elapsed() < PACE) {
            return;
        }
        self.told = Some(Instant::now());
        self.attention.tell(self.line());
    }

    fn line(&self) -> String {
        let total = self.total.max(self.moved);
        let (unit, bytes) = if total < 1_000_000 {
            ("kB", 1_000)
        } else {
            ("MB", 1_000_000)
        };
        let (moved, total) = (self.moved / bytes, total.div_ceil(bytes));
        format!("{}: {moved} of {total} {unit}", self.doing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_is_not_told_at_every_byte() {
        let attention = Attention::none();
        let mut lines = attention.progress.subscribe();
        let mut meter = Meter::new(&attention, "uploading report.pdf", 200_000_000);
        meter.moved(120_000_000);
        assert!(lines.has_changed().unwrap());
        assert_eq!(
            *lines.borrow_and_update(),
            "uploading report.pdf: 120 of 200 MB"
        );
        meter.moved(1_000_000);
        assert!(!lines.has_changed().unwrap());
        let small = Meter::new(&attention, "x", 1_500);
        assert_eq!(small.line(), "x: 0 of 2 kB");
        let long = Meter::new(&attention, &"x".repeat(500), u64::MAX);
        assert!(long.line().chars().count() <= 180);
    }
}
