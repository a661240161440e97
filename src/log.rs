//! Lines on standard error: one write and one line each, without secrets and without anything that could forge another.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::secrets;
use crate::session::clean::escape;

/// Writes a line. That nobody can read it is no reason to stop.
pub fn line(text: &str) {
    let _ = Stderr.write_all(text.as_bytes());
}

/// Standard error for `tracing`, which formats an event before it writes it.
#[derive(Debug, Clone, Copy)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = secrets::mask(text.trim_end_matches('\n'));
        let line = escape(&text).replace('\n', "\\n") + "\n";
        io::stderr().write_all(line.as_bytes())?;
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
