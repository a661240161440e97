//! What the checks found, as lines for a person and as JSON for a program.

use serde_json::{Value, json};

use super::secrets::Secrets;

/// Width of the column of states, and of the column of names.
const WIDTHS: (usize, usize) = (9, 14);

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, but should be looked at.
    Warning,
    /// It does not work.
    Failed,
    /// There was nothing to check, or no way to.
    Skipped,
}

impl Status {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was found, in one line.
    pub found: String,
    /// How to fix it, in one sentence.
    pub fix: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check {
            name,
            status: Status::Ok,
            found: found.into(),
            fix: None,
        }
    }

    pub(super) fn warning(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Check {
        Check::of(name, Status::Warning, found, fix)
    }

    pub(super) fn failed(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Check {
        Check::of(name, Status::Failed, found, fix)
    }

    pub(super) fn skipped(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Check {
        Check::of(name, Status::Skipped, found, fix)
    }

    fn of(
        name: &'static str,
        status: Status,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Check {
        Check {
            name,
            status,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }

    fn without(self, secrets: &Secrets) -> Check {
        Check {
            found: secrets.hide(&self.found),
            fix: self.fix.map(|fix| secrets.hide(&fix)),
            ..self
        }
    }
}

/// All checks, with no secret in them.
#[derive(Debug, Clone)]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(checks: Vec<Check>, secrets: &Secrets) -> Report {
        let checks = checks.into_iter().map(|check| check.without(secrets));
        Report {
            checks: checks.collect(),
        }
    }

    /// Whether nothing failed.
    pub fn is_ok(&self) -> bool {
        self.count(Status::Failed) == 0
    }

    /// For a person: aligned lines, the last of which is the verdict.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} {}\n\n",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION")
        );
        let (states, names) = WIDTHS;
        for check in &self.checks {
            let (state, name) = (check.status.word(), check.name);
            text.push_str(&format!("{state:states$}{name:names$}{}\n", check.found));
            if let Some(fix) = &check.fix {
                text.push_str(&format!("{:1$}-> {fix}\n", "", states + names));
            }
        }
        format!("{text}\n{}\n", self.verdict())
    }

    /// For a program, on one line.
    pub fn json(&self) -> String {
        let check = |check: &Check| {
            json!({
                "name": check.name,
                "status": check.status.word(),
                "found": check.found,
                "fix": check.fix,
            })
        };
        let checks: Vec<Value> = self.checks.iter().map(check).collect();
        let report =
            json!({"ok": self.is_ok(), "version": env!("CARGO_PKG_VERSION"), "checks": checks});
        format!("{report}\n")
    }

    fn verdict(&self) -> String {
        let warnings = match self.count(Status::Warning) {
            0 => String::new(),
            1 => ", with 1 warning".to_owned(),
            count => format!(", with {count} warnings"),
        };
        match self.count(Status::Failed) {
            0 if warnings.is_empty() => "Everything is in place.".to_owned(),
            0 => format!("It works{warnings}."),
            _ => format!("Not ready: {} failed{warnings}.", self.failed()),
        }
    }

    /// The names of what failed.
    fn failed(&self) -> String {
        let failed = self
            .checks
            .iter()
            .filter(|check| check.status == Status::Failed);
        let names: Vec<&str> = failed.map(|check| check.name).collect();
        match names.split_last() {
            Some((last, first)) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            _ => names.concat(),
        }
    }

    fn count(&self, status: Status) -> usize {
        let counted = self.checks.iter().filter(|check| check.status == status);
        counted.count()
    }
}
