//! Whether a value tells all that a text says. A value keeps one of two fields of one name, and of a number as many digits as
//! a computer counts with: enough to read a message by, not to let somebody allow what was sent.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memchr2;
use serde_json::Value;

/// A number of so many characters without an exponent is held as it is.
const SHORT_NUMBER: usize = 15;

/// What a value leaves out of a text that is JSON; `None`: nothing.
pub(super) fn lost(json: &str) -> Option<&'static str> {
    let mut names: Vec<HashSet<Cow<'_, str>>> = Vec::new();
    let mut rest = json;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => number_length(rest),
            _ => 1,
        };
        // Nothing but ASCII stands outside of strings.
        let (token, after) = rest.split_at_checked(length)?;
        rest = after;
        match first {
            b'{' => names.push(HashSet::new()),
            b'}' => drop(names.pop()),
            b'"' if after.trim_start().starts_with(':') => {
                let of_object = names.last_mut()?;
                if !of_object.insert(name(token)) {
                    return Some("one of its names stands there twice");
                }
            }
            b'-' | b'0'..=b'9' if !is_held(token) => {
                return Some("one of its numbers is too long or too large");
            }
            _ => {}
        }
    }
    None
}

/// Whether a number is the same once it was read.
pub(super) fn is_held(number: &str) -> bool {
    let is_short = number.len() <= SHORT_NUMBER && !number.contains(['e', 'E']);
    // A fraction may be written with the fewest digits that tell it from others, or with all 17 that count.
    let is_same = |value: Value| {
        let sent = Decimal::of(number);
        let all_digits = value.as_f64().map(|value| format!("{value:.16e}"));
        let mut written = [Some(value.to_string()), all_digits].into_iter().flatten();
        sent.is_some() && written.any(|written| sent == Decimal::of(&written))
    };
    is_short || serde_json::from_str(number).is_ok_and(is_same)
}

/// Bytes of the string at the start, with its quotation marks.
fn string_length(text: &str) -> usize {
    let mut at = 1;
    while let Some(rest) = text.as_bytes().get(at..) {
        let Some(found) = memchr2(b'"', b'\\', rest) else {
            break;
        };
        match rest.get(found) {
            Some(b'"') => return at + found + 1,
            _ => at += found + 2,
        }
    }
    text.len()
}

/// Bytes of the number at the start.
fn number_length(text: &str) -> usize {
    text.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'))
        .unwrap_or(text.len())
}

/// What a string says; two ways to write one name are one name.
fn name(string: &str) -> Cow<'_, str> {
    match string.contains('\\') {
        true => serde_json::from_str(string).map_or(Cow::Borrowed(string), Cow::Owned),
        false => Cow::Borrowed(string.trim_matches('"')),
    }
}

/// A number, however it is written: its digits from the first to the last that is no zero, and the power of ten they stand for.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(number: &str) -> Option<Decimal> {
        let (number, exponent) = match number.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
            None => (number, 0),
        };
        let unsigned = number.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_end_matches('0');
        if digits.is_empty() {
            return Some(Decimal {
                is_negative: false,
                digits: String::new(),
                exponent: 0,
            });
        }
        let zeros = i64::try_from(all.len() - digits.len()).ok()?;
        let places = i64::try_from(fraction.len()).ok()?;
        Some(Decimal {
            is_negative: unsigned.len() < number.len(),
            digits: digits.trim_start_matches('0').to_owned(),
            exponent: exponent.checked_add(zeros)?.checked_sub(places)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_held_where_it_is_the_same_once_it_was_read() {
        for number in [
            "0",
            "-0",
            "0.0",
            "0.1",
            "-12.50",
            "1e5",
            "1E+2",
            "2.5e-3",
            "1e300",
            "18446744073709551615",
            "-9223372036854775808",
            "0.30000000000000004",
            "123456.78901234567",
            "52.520006600000002",
            "1.000000000000000000000",
            "100000000000000000000",
        ] {
            assert!(is_held(number), "{number}");
        }
        for number in [
            "123456789012345678901234567890",
            "18446744073709551617",
            "-9223372036854775809",
            "1.0000000000000000001",
            "3.14159265358979323846",
            "1e-400",
            "1e400",
            "1e99999999999999999999",
        ] {
            assert!(!is_held(number), "{number}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_in_one_object_is_met_at_any_depth() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"[1,{"b":{"a":{"c":"\"}"},"x":[{"a":1}], "a" : 2}}]"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"":1,"":2}"#,
            r#"{"\"":1,"\u0022":2}"#,
        ] {
            assert!(lost(json).is_some(), "{json}");
        }
        for json in [
            r#"{"a":{"a":["a","a",{"a":"a"}]},"b":{"a":"a"}}"#,
            r#"{"a":"\"a\":1,","b":"\\","\\":1,"é":{},"e":{}}"#,
            r#"{"n":"123456789012345678901234567890"}"#,
            "\"never closed",
            "}}",
            "",
        ] {
            assert_eq!(lost(json), None, "{json}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[ab\"\\\\:é]{0,3}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_of_a_text_that_a_value_wrote(value in values()) {
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(lost(&json), None, "{}", json);
            }
        }

        #[test]
        fn of_few_digits_a_number_is_held_and_of_many_only_a_whole_one(
            number in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?"
        ) {
            let digits = Decimal::of(&number).unwrap().digits.len();
            let is_whole = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
            prop_assert!(is_held(&number) || (digits > 15 && !is_whole), "{}", number);
            prop_assert!(!is_held(&number) || digits <= 17 || is_whole, "{}", number);
        }
    }
}
