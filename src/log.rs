//! Lines on standard error: one write and one line each, without secrets and without anything that could forge another.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::secrets;
use crate::session::clean::escape;

/// Writes a line. That nobody can read it is no reason to stop.
pub fn line(text: &str) {
    let _ = Stderr.write_all(text.as_bytes());
}

fn as_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = secrets::mask(text.trim_end_matches('\n'));
    escape(&text).replace('\n', "\\n") + "\n"
}

/// Standard error for `tracing`, which formats an event before it writes it.
#[derive(Debug, Clone, Copy)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(as_line(bytes).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Stderr;

    fn make_writer(&self) -> Stderr {
        Stderr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_without_secrets_whatever_is_in_it() {
        let said = "a\nforged: line\r\u{1b}[31m ghp_a1B2c3D4e5F6g7H8i9J0\n";
        assert_eq!(
            as_line(said.as_bytes()),
            "a\\nforged: line\\u{d}\\u{1b}[31m [secret]\n"
        );
    }
}
