//! Cron schedules: five fields, read strictly, and when they fall due in a time zone.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// How far it is worth looking: 29 February on a certain weekday comes once in 40 years.
const HORIZON_DAYS: usize = 41 * 366;

/// When something is due.
pub(super) struct Cron {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// The numbers one field allows, as bits.
struct Field {
    allowed: u64,
    /// Whether it begins with a star, so that the other day field decides alone.
    open: bool,
}

impl Cron {
    /// Reads an expression, or says what is wrong with it.
    pub(super) fn read(expression: &str) -> Result<Self, String> {
        let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!(
                "Five fields are required (minute hour day-of-month month day-of-week), got {}",
                fields.len()
            ));
        };
        let mut cron = Self {
            minutes: Field::read(minutes, "minute", 0, 59, &[])?,
            hours: Field::read(hours, "hour", 0, 23, &[])?,
            days: Field::read(days, "day-of-month", 1, 31, &[])?,
            months: Field::read(months, "month", 1, 12, &MONTHS)?,
            weekdays: Field::read(weekdays, "day-of-week", 0, 7, &WEEKDAYS)?,
        };
        // 0 and 7 are both Sunday.
        cron.weekdays.allowed |= cron.weekdays.allowed >> 7;
        if cron
            .upcoming(&TimeZone::UTC, Timestamp::now(), 1)
            .is_empty()
        {
            return Err("The expression never comes due".into());
        }
        Ok(cron)
    }

    /// The next times after one, at most so many.
    pub(super) fn upcoming(
        &self,
        zone: &TimeZone,
        after: Timestamp,
        most: usize,
    ) -> Vec<Timestamp> {
        let mut found = Vec::new();
        let mut day = zone.to_datetime(after).date();
        for _ in 0..HORIZON_DAYS {
            if self.includes(day) {
                found.extend(self.on(day, zone).filter(|time| *time > after));
                // An hour that is skipped or repeated can bring two times together, or out of order.
                found.sort();
                found.dedup();
            }
            let Ok(next) = day.tomorrow() else {
                break;
            };
            if found.len() >= most {
                break;
            }
            day = next;
        }
        found.truncate(most);
        found
    }

    fn includes(&self, day: Date) -> bool {
        let by_date = self.days.allows(day.day());
        let by_weekday = self.weekdays.allows(day.weekday().to_sunday_zero_offset());
        let due = match self.days.open || self.weekdays.open {
            true => by_date && by_weekday,
            // With both restricted, one of them is enough, as in every cron.
            false => by_date || by_weekday,
        };
        due && self.months.allows(day.month())
    }

    fn on(&self, day: Date, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
        let hours = (0..24).filter(|hour| self.hours.allows(*hour));
        let times = hours.flat_map(move |hour| {
            let minutes = (0..60).filter(|minute| self.minutes.allows(*minute));
            minutes.map(move |minute| day.at(hour, minute, 0, 0))
        });
        times.filter_map(|time| zone.to_timestamp(time).ok())
    }
}

impl Field {
    fn read(text: &str, what: &str, least: u32, most: u32, names: &[&str]) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no {what}: {least} to {most}, with * , - and / only");
        let number = |word: &str| {
            let named = names
                .iter()
                .position(|name| word.eq_ignore_ascii_case(name));
            let named = named.and_then(|place| u32::try_from(place).ok());
            let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            let number = match named {
                Some(place) => place + least,
                None => word.parse().ok().filter(|_| digits)?,
            };
            (least..=most).contains(&number).then_some(number)
        };
        let mut allowed = 0;
        for part in text.split(',') {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let step: u32 = step
                .parse()
                .ok()
                .filter(|step| *step > 0)
                .ok_or_else(wrong)?;
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (least, most),
                Some((from, to)) => (
                    number(from).ok_or_else(wrong)?,
                    number(to).ok_or_else(wrong)?,
                ),
                // A lone number with a step runs to the end.
                None => {
                    let from = number(range).ok_or_else(wrong)?;
                    (from, if part.contains('/') { most } else { from })
                }
            };
            if from > to {
                return Err(wrong());
            }
            let numbers = (from..=to).step_by(usize::try_from(step).unwrap_or(usize::MAX));
            allowed |= numbers.fold(0, |bits, number| bits | 1 << number);
        }
        Ok(Self {
            allowed,
            open: text.starts_with('*'),
        })
    }

    fn allows(&self, number: i8) -> bool {
        self.allowed >> number & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, zone: &str, after: &str, most: usize) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let times = Cron::read(expression).unwrap();
        let times = times.upcoming(&zone, after.parse().unwrap(), most);
        times.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn times_are_those_of_the_zone_also_across_a_change_of_the_clock() {
        // New York goes from UTC-5 to UTC-4 on 8 March 2026 at 2:00.
        let found = next("0 9 * * 1-5", "America/New_York", "2026-03-06T13:59:59Z", 3);
        assert_eq!(
            found,
            [
                "2026-03-06T14:00:00Z",
                "2026-03-09T13:00:00Z",
                "2026-03-10T13:00:00Z"
            ]
        );
        // What would fall into the hour that does not exist comes an hour later by the clock.
        let found = next("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2);
        assert_eq!(found, ["2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"]);
    }

    #[test]
    fn either_day_field_is_enough_when_both_are_restricted() {
        let found = next("0 0 13 * FRI", "UTC", "2026-02-01T00:00:00Z", 3);
        assert_eq!(
            found,
            [
                "2026-02-06T00:00:00Z",
                "2026-02-13T00:00:00Z",
                "2026-02-20T00:00:00Z"
            ]
        );
        let found = next("0 0 */10 * 7", "UTC", "2026-02-01T00:00:00Z", 1);
        assert_eq!(found, ["2026-03-01T00:00:00Z"]);
    }

    #[test]
    fn steps_lists_ranges_and_leap_days_are_understood() {
        let found = next("5/20,59 0 * 1 *", "UTC", "2026-01-01T00:06:00Z", 4);
        assert_eq!(
            found[..3],
            [
                "2026-01-01T00:25:00Z",
                "2026-01-01T00:45:00Z",
                "2026-01-01T00:59:00Z"
            ]
        );
        assert_eq!(
            next("0 12 29 2 *", "UTC", "2097-01-01T00:00:00Z", 1),
            ["2104-02-29T12:00:00Z"]
        );
    }

    #[test]
    fn what_the_vendor_does_not_support_is_refused() {
        for odd in [
            "",
            "* * * *",
            "0 0 9 * * *",
            "@daily",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * 5#2",
            "0 0 ? * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "+5 * * * *",
            "1,,2 * * * *",
            "0 0 30 2 *",
        ] {
            assert!(Cron::read(odd).is_err(), "{odd}");
        }
    }
}
