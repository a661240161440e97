//! Signals: those that ask the process to end, and the one that tells of a file that may not grow any more.
#![cfg(unix)]

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Returns once somebody asks the process to end. A signal that is ignored, as by `nohup`, stays so.
pub async fn asked_to_end() {
    tokio::select! {
        () = arrival(Signal::TERM) => {}
        () = arrival(Signal::INT) => {}
        () = arrival(Signal::HUP) => {}
    }
}

async fn arrival(of: Signal) {
    let caught = (!is_ignored(of)).then(|| signal(SignalKind::from_raw(of.as_raw())));
    match caught {
        Some(Ok(mut caught)) => {
            caught.recv().await;
        }
        // It does what it did before.
        Some(Err(_)) | None => std::future::pending().await,
    }
}

#[cfg(target_os = "linux")]
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & (1 << (signal.as_raw() - 1)) != 0)
}

#[cfg(not(target_os = "linux"))]
fn is_ignored(_signal: Signal) -> bool {
    false
}

/// From here on a write beyond the limit on a file's size is an error instead of the end of the process.
pub fn survive_full_files() {
    // Who caught a signal once is not ended by it any more; where that fails, nothing is lost but this.
    let _ = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()));
}
