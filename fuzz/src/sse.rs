//! A stream of any bytes, whole and in pieces: the same events or an explicit error, never a panic and never an endless wait.
#![no_main]

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use libfuzzer_sys::fuzz_target;
use managed_agents_mcp::api::stream::{EventStream, Frame};

/// The events before the end, and whether an error was the end.
fn read(pieces: Vec<&[u8]>) -> (Vec<String>, bool) {
    let pieces: Vec<_> = pieces.into_iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut events = EventStream::of(stream::iter(pieces));
    let mut ids = Vec::new();
    loop {
        match events.next().now_or_never().expect("the decoder waits for nothing") {
            None => return (ids, false),
            Some(Err(_)) => return (ids, true),
            Some(Ok(Frame::Alive)) => {}
            Some(Ok(Frame::Event(event))) => ids.push(event.raw().to_owned()),
        }
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, text) = input;
    let (whole, whole_failed) = read(vec![text]);
    let (pieces, pieces_failed) = read(text.chunks(usize::from(size % 31) + 1).collect());
    let common = whole.len().min(pieces.len());
    assert_eq!(whole[..common], pieces[..common]);
    // An error may come sooner where more bytes are seen at once.
    assert!(whole.len() >= common && (pieces.len() == whole.len() || whole_failed || pieces_failed));
    assert_eq!(whole_failed, pieces_failed);
});
