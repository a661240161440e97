//! Ids and times in the forms the API gives them.

use chrono::{DateTime, Duration, SecondsFormat, Utc};

const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A new id: the prefix, `_01`, and 24 base-58 characters.
#[inline(never)]
pub(super) fn id(prefix: &str) -> String {
    format!("{prefix}_01{}", letters(24))
}

/// A new request id, as the header `request-id` carries it.
#[inline(never)]
pub(super) fn request_id() -> String {
    format!("req_011{}", letters(21))
}

fn letters(count: usize) -> String {
    let letter = || {
        BASE58
            .get(fastrand::usize(..BASE58.len()))
            .copied()
            .unwrap_or(b'1')
    };
    (0..count).map(|_| char::from(letter())).collect()
}

/// Now, for `created_at` and its like.
#[inline(never)]
pub(super) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A time to come, for `expires_at`.
pub(super) fn later(wait: std::time::Duration) -> String {
    (Utc::now() + wait).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Now, for `processed_at`: sometimes only milliseconds, sometimes a little before its predecessor, as recorded.
#[inline(never)]
pub(super) fn processed_at() -> String {
    let mut time = Utc::now();
    if fastrand::u8(..10) == 0 {
        time -= Duration::microseconds(fastrand::i64(200..3000));
    }
    let precise = fastrand::u8(..8) != 0;
    time.to_rfc3339_opts(
        if precise {
            SecondsFormat::Micros
        } else {
            SecondsFormat::Millis
        },
        true,
    )
}

/// Reads a time in RFC 3339.
#[inline(never)]
pub(super) fn parse(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_real_form() {
        let id = id("sesn");
        assert_eq!(id.len(), "sesn_01".len() + 24);
        assert!(
            id.strip_prefix("sesn_01")
                .unwrap()
                .bytes()
                .all(|letter| BASE58.contains(&letter))
        );
    }

    #[test]
    fn every_time_can_be_read_back() {
        for _ in 0..200 {
            assert!(parse(&processed_at()).is_some());
        }
    }
}
