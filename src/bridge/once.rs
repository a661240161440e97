//! Sending once: the one rule for everything that is written. The API has no idempotency key: after a failure that leaves
//! open whether a request was acted on, what it should have done is looked for, and only then it is made again. Where
//! nobody can tell, the caller is told so, with the call that shows it.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::Failure;
use crate::api::{Client, Delivery, Error, Fault, tally};

/// What was sent is looked for at once and after these pauses: it may be listed so late.
const BETWEEN_LOOKS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_millis(500),
    Duration::from_millis(1000),
];
/// Before a request is made again, where the server does not say.
const PAUSE: Duration = Duration::from_millis(500);
/// A server that asks to wait for longer is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A create clones repositories before it answers.
const LONGEST_CREATE: Duration = Duration::from_secs(60);
/// Longest time of another first attempt.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);
/// Time for the looks and another attempt.
const SETTLING: Duration = Duration::from_secs(5);

/// What a second attempt does where the first one arrived after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// It makes a second one. While the first attempt may still succeed, there is none.
    Creates,
    /// It says the same again.
    Repeats,
    /// Nothing.
    ChangesNothing,
}

impl Second {
    /// Attempts after the first.
    fn most(self) -> usize {
        match self {
            Second::Creates | Second::Repeats => 1,
            Second::ChangesNothing => 2,
        }
    }

    /// The pauses between the looks before it.
    fn looks(self) -> &'static [Duration] {
        match self {
            Second::Creates | Second::Repeats => &BETWEEN_LOOKS,
            Second::ChangesNothing => &[],
        }
    }
}

/// One thing to be written.
#[derive(Debug, Clone)]
pub(super) struct Write {
    /// "start the session"
    doing: String,
    second: Second,
    /// Of the first attempt.
    longest: Duration,
    /// The call that shows whether it was done.
    next: String,
}

impl Write {
    pub(super) fn new(doing: impl Into<String>, second: Second, next: impl Into<String>) -> Write {
        let longest = match second {
            Second::Creates => LONGEST_CREATE,
            Second::Repeats | Second::ChangesNothing => LONGEST_ATTEMPT,
        };
        Write {
            doing: doing.into(),
            second,
            longest,
            next: next.into(),
        }
    }

    /// The same, whose first attempt may take so long.
    pub(super) fn within(self, longest: Duration) -> Write {
        Write { longest, ..self }
    }

    /// Sends until it is done, refused, or open for good. `look` returns what `send` would have returned, once that is
    /// there. Both get a client that ends in time.
    pub(super) async fn once<T, S, L>(
        &self,
        api: &Client,
        deadline: Instant,
        send: impl Fn(Client) -> S,
        look: impl Fn(Client) -> L,
    ) -> Result<T, Failure>
    where
        S: Future<Output = Result<T, Error>>,
        L: Future<Output = Result<Option<T>, Error>>,
    {
        let mut tried = Tried::default();
        let mut until = first_attempt(deadline, self.longest);
        loop {
            let error = match send(api.until(until)).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            until = deadline;
            if tried.calls_for_a_look(error) {
                tracing::warn!(doing = self.doing, error = ?tried.newest, "looking whether it was done");
                let again = tried.pause(self.second).is_some();
                let pauses = if again {
                    self.second.looks()
                } else {
                    &BETWEEN_LOOKS
                };
                match searched(&api.until(deadline), pauses, &look).await {
                    Ok(Some(done)) => return Ok(done),
                    // There was no time to look for long enough.
                    Ok(None) if tried.open.is_some() && Instant::now() >= deadline => {
                        return Err(self.failure(tried.unseen()));
                    }
                    Ok(None) => {}
                    // Without having looked nothing is sent again.
                    Err(_) => return Err(self.failure(tried.unseen())),
                }
            }
            match tried.pause(self.second) {
                Some(pause) if Instant::now() + pause < deadline => {
                    sleep(pause).await;
                    // The looks are long over by then.
                    if pause > PAUSE && tried.may_have_arrived {
                        match look(api.until(deadline)).await {
                            Ok(Some(done)) => return Ok(done),
                            Ok(None) => {}
                            Err(_) => return Err(self.failure(tried.unseen())),
                        }
                    }
                }
                _ => return Err(self.failure(tried.end())),
            }
            tally::retried();
        }
    }

    fn failure(&self, end: End) -> Failure {
        let doing = self.doing.clone();
        match end {
            End::Refused(error) => Failure::Api { doing, error },
            End::Unknown(error) => Failure::DeliveryUnknown {
                doing,
                error,
                next: self.next.clone(),
            },
        }
    }
}

/// Looks until it is there or was looked for long enough.
async fn searched<T, L: Future<Output = Result<Option<T>, Error>>>(
    api: &Client,
    pauses: &[Duration],
    look: impl Fn(Client) -> L,
) -> Result<Option<T>, Error> {
    for pause in pauses {
        let seen = look(api.clone()).await;
        // The last look decides: a list may lag behind at first.
        let decides = match &seen {
            Ok(done) => done.is_some(),
            Err(error) => error.is_final(),
        };
        if decides {
            return seen;
        }
        sleep_until((Instant::now() + *pause).min(api.deadline())).await;
        if Instant::now() >= api.deadline() {
            return seen;
        }
    }
    look(api.clone()).await
}

/// An answer that names nothing is none.
pub(super) fn named<T>(made: T, noun: &str, id: impl Fn(&T) -> &str) -> Result<T, Error> {
    if id(&made).is_empty() {
        return Err(Error::Unreadable {
            reason: format!("the answer has no {noun} id"),
            fault: Fault::Malformed,
            request_id: None,
        });
    }
    Ok(made)
}

/// The first attempt leaves time to look whether it arrived, and to send again, unless there is none to spare.
fn first_attempt(deadline: Instant, longest: Duration) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    let spared = if left > 2 * SETTLING {
        SETTLING
    } else {
        left / 4
    };
    now + (left - spared).min(longest)
}

/// Whether what was asked for may be under way all the same: its answer was not waited for, or says no more than that it
/// was accepted.
pub(super) fn may_still_run(error: &Error) -> bool {
    let is_late = matches!(
        error,
        Error::Unreachable {
            delivery: Delivery::Late,
            ..
        }
    );
    is_late || was_accepted(error)
}

/// Whether it was answered with the status of a success, though in no form that can be read.
fn was_accepted(error: &Error) -> bool {
    matches!(error, Error::Unreadable { .. })
}

/// What a failed attempt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Nothing was sent.
    Unsent,
    /// It may have been acted on: a refusal for the time being as well may have come after the act.
    Open,
    /// No.
    No,
}

fn said(error: &Error) -> Said {
    match error {
        error if error.is_unsent() => Said::Unsent,
        error if error.is_ambiguous() || error.is_transient() => Said::Open,
        _ => Said::No,
    }
}

/// How it ended without being done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// It was refused, and no attempt was acted on.
    Refused(Error),
    /// Nobody can tell; this is how an attempt failed that may have been acted on.
    Unknown(Error),
}

/// The attempts so far. Only the API's own words decide here, no clock and no wire.
#[derive(Debug, Default)]
struct Tried {
    failed: usize,
    may_have_arrived: bool,
    first: Option<Error>,
    newest: Option<Error>,
    /// The newest that may have been acted on, whatever was said about others since.
    open: Option<Error>,
}

impl Tried {
    /// Takes in how an attempt failed; whether to look for what it may have done.
    fn calls_for_a_look(&mut self, error: Error) -> bool {
        // One that is refused may be so because the one before arrived.
        self.may_have_arrived |= said(&error) == Said::Open;
        self.failed += 1;
        if error.is_ambiguous() {
            self.open = Some(error.clone());
        }
        self.first.get_or_insert_with(|| error.clone());
        self.newest = Some(error);
        self.may_have_arrived
    }

    /// How long to wait before it is sent again; `None`: it is not.
    fn pause(&self, second: Second) -> Option<Duration> {
        let newest = self.newest.as_ref()?;
        let forbidden = match newest {
            Error::Refused(refusal) if refusal.should_retry == Some(false) => true,
            error => match second {
                Second::Creates => may_still_run(error),
                Second::Repeats => was_accepted(error),
                Second::ChangesNothing => false,
            },
        };
        if forbidden || said(newest) == Said::No || self.failed > second.most() {
            return None;
        }
        let asked = match newest {
            Error::Refused(refusal) => refusal.retry_after,
            _ => None,
        };
        Some(asked.unwrap_or(PAUSE)).filter(|pause| *pause <= LONGEST_PAUSE)
    }

    /// How it ended, where the looks found nothing.
    fn end(self) -> End {
        match (self.newest, self.open, self.first) {
            (Some(newest), _, _) if said(&newest) == Said::No => End::Refused(newest),
            (_, Some(open), _) => End::Unknown(open),
            (Some(newest), None, first) => End::Refused(first.unwrap_or(newest)),
            (None, None, _) => End::Refused(Error::Keyless("nothing was sent".to_owned())),
        }
    }

    /// How it ended, where nobody could look.
    fn unseen(self) -> End {
        match self.open.or(self.newest) {
            Some(error) => End::Unknown(error),
            None => End::Refused(Error::Keyless("nothing was sent".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Refusal, Trouble};

    fn refused(status: u16) -> Error {
        Error::Refused(Box::new(Refusal {
            status,
            kind: String::new(),
            message: status.to_string(),
            request_id: None,
            retry_after: None,
            should_retry: None,
        }))
    }

    fn advised(status: u16, retry_after: Option<u64>, should_retry: Option<bool>) -> Error {
        match refused(status) {
            Error::Refused(refusal) => Error::Refused(Box::new(Refusal {
                retry_after: retry_after.map(Duration::from_secs),
                should_retry,
                ..*refusal
            })),
            other => other,
        }
    }

    fn lost(delivery: Delivery) -> Error {
        Error::Unreachable {
            reason: format!("{delivery:?}"),
            delivery,
        }
    }

    fn garbled() -> Error {
        Error::Unreadable {
            reason: String::new(),
            fault: Fault::Malformed,
            request_id: None,
        }
    }

    /// Whether each failure in turn calls for a look, and how it ends.
    fn end(errors: &[Error]) -> (Vec<bool>, End) {
        let mut tried = Tried::default();
        let looks = errors
            .iter()
            .map(|error| tried.calls_for_a_look(error.clone()))
            .collect();
        (looks, tried.end())
    }

    #[test]
    fn what_may_have_been_acted_on_is_looked_for_and_what_was_not_is_not() {
        for status in [408, 429, 500, 502, 503, 504, 529, 599] {
            assert_eq!(said(&refused(status)), Said::Open, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 409, 413] {
            assert_eq!(said(&refused(status)), Said::No, "{status}");
        }
        assert_eq!(said(&lost(Delivery::Unknown)), Said::Open);
        assert_eq!(said(&lost(Delivery::Late)), Said::Open);
        assert_eq!(said(&lost(Delivery::NotSent)), Said::Unsent);
        for trouble in [Trouble::Unresolved, Trouble::Untrusted] {
            assert_eq!(said(&Error::Blocked(trouble)), Said::Unsent);
        }
        assert_eq!(said(&garbled()), Said::Open);
        assert_eq!(said(&Error::Keyless(String::new())), Said::No);
        // The server's own word counts, but not against having looked.
        assert_eq!(said(&advised(429, None, Some(false))), Said::No);
        assert_eq!(said(&advised(503, None, Some(false))), Said::Open);
        assert_eq!(said(&advised(400, None, Some(true))), Said::Open);
    }

    #[test]
    fn a_second_attempt_waits_as_long_as_it_was_asked_to_and_there_is_no_third() {
        let pause = |errors: &[Error], second| {
            let mut tried = Tried::default();
            for error in errors {
                tried.calls_for_a_look(error.clone());
            }
            tried.pause(second)
        };
        let all = [Second::Creates, Second::Repeats, Second::ChangesNothing];
        for second in all {
            assert_eq!(pause(&[refused(500)], second), Some(PAUSE));
            let asked = advised(429, Some(7), None);
            assert_eq!(pause(&[asked], second), Some(Duration::from_secs(7)));
            assert_eq!(pause(&[advised(429, Some(61), None)], second), None);
            assert_eq!(pause(&[advised(503, None, Some(false))], second), None);
            assert_eq!(pause(&[refused(400)], second), None);
            let twice = pause(&[refused(500), lost(Delivery::Unknown)], second);
            assert_eq!(twice.is_some(), second == Second::ChangesNothing);
            assert_eq!(
                pause(&[refused(500), refused(500), refused(500)], second),
                None
            );
            // While a create may still succeed, a second would be one too many.
            let late = pause(&[lost(Delivery::Late)], second);
            assert_eq!(late.is_some(), second != Second::Creates);
            // What was accepted is listed late at worst.
            let accepted = pause(&[garbled()], second);
            assert_eq!(accepted.is_some(), second == Second::ChangesNothing);
        }
    }

    #[test]
    fn an_attempt_that_may_have_arrived_is_never_said_to_have_failed() {
        let open = || refused(500);
        assert_eq!(end(&[open()]), (vec![true], End::Unknown(open())));
        assert_eq!(
            end(&[refused(400)]),
            (vec![false], End::Refused(refused(400)))
        );
        assert_eq!(
            end(&[refused(429)]),
            (vec![true], End::Refused(refused(429)))
        );
        // Not sent the second time, or held off: what became of the first is as open as before.
        for again in [lost(Delivery::NotSent), refused(429)] {
            let (looks, unknown) = end(&[open(), again.clone()]);
            assert_eq!(unknown, End::Unknown(open()), "{again}");
            assert_eq!(looks, [true, true]);
            let (_, refusal) = end(&[refused(429), again]);
            assert_eq!(refusal, End::Refused(refused(429)));
        }
        // Refused for good: perhaps because the first one arrived, which the look before that word would have shown.
        assert_eq!(
            end(&[open(), refused(409)]),
            (vec![true, true], End::Refused(refused(409)))
        );
        assert_eq!(
            end(&[refused(429), garbled()]),
            (vec![true, true], End::Unknown(garbled()))
        );
    }

    #[test]
    fn without_having_looked_it_is_not_known() {
        let unseen = |errors: &[Error]| {
            let mut tried = Tried::default();
            for error in errors {
                tried.calls_for_a_look(error.clone());
            }
            tried.unseen()
        };
        assert_eq!(unseen(&[refused(500)]), End::Unknown(refused(500)));
        assert_eq!(unseen(&[refused(429)]), End::Unknown(refused(429)));
        assert_eq!(
            unseen(&[refused(500), refused(409)]),
            End::Unknown(refused(500))
        );
        assert_eq!(
            unseen(&[refused(429), refused(529)]),
            End::Unknown(refused(529))
        );
    }

    #[test]
    fn the_first_attempt_leaves_time_to_settle() {
        let now = Instant::now();
        let left = |seconds: u64, longest| {
            let until = first_attempt(now + Duration::from_secs(seconds), longest);
            (until - now).as_secs_f64().round() as u64
        };
        assert_eq!(left(45, LONGEST_ATTEMPT), 10);
        assert_eq!(left(45, LONGEST_CREATE), 40);
        assert_eq!(left(8, LONGEST_CREATE), 6);
    }

    /// What becomes of one attempt.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fate {
        Done,
        NotSent,
        Refused {
            status: u16,
            acts: bool,
        },
        Lost {
            acts: bool,
        },
        /// The answer does not come in time; it is acted on so many milliseconds later, if at all.
        Late {
            acts_after: Option<u64>,
        },
        Garbled,
    }

    const FATES: [Fate; 11] = [
        Fate::Done,
        Fate::NotSent,
        Fate::Refused {
            status: 429,
            acts: false,
        },
        Fate::Refused {
            status: 429,
            acts: true,
        },
        Fate::Refused {
            status: 503,
            acts: false,
        },
        Fate::Refused {
            status: 503,
            acts: true,
        },
        Fate::Refused {
            status: 409,
            acts: false,
        },
        Fate::Lost { acts: false },
        Fate::Lost { acts: true },
        Fate::Late { acts_after: None },
        Fate::Garbled,
    ];

    /// A server that acts or not, says so or not, and lists what it did a little later.
    struct World {
        fates: Vec<Fate>,
        lag: Duration,
        /// No look from this one on finds an answer.
        sighted: usize,
        seen: std::cell::RefCell<Seen>,
    }

    #[derive(Default)]
    struct Seen {
        attempts: usize,
        looks: usize,
        listed_at: Vec<Instant>,
    }

    impl World {
        async fn send(&self) -> Result<(), Error> {
            let mut seen = self.seen.borrow_mut();
            let fate = self.fates[seen.attempts];
            seen.attempts += 1;
            let now = Instant::now();
            let mut act = |acts: bool, after: Duration| {
                if acts {
                    seen.listed_at.push(now + after + self.lag);
                }
            };
            match fate {
                Fate::Done => {
                    act(true, Duration::ZERO);
                    Ok(())
                }
                Fate::NotSent => Err(lost(Delivery::NotSent)),
                Fate::Refused { status, acts } => {
                    act(acts, Duration::ZERO);
                    Err(refused(status))
                }
                Fate::Lost { acts } => {
                    act(acts, Duration::ZERO);
                    Err(lost(Delivery::Unknown))
                }
                Fate::Late { acts_after } => {
                    act(
                        acts_after.is_some(),
                        Duration::from_millis(acts_after.unwrap_or(0)),
                    );
                    Err(lost(Delivery::Late))
                }
                Fate::Garbled => {
                    act(true, Duration::ZERO);
                    Err(garbled())
                }
            }
        }

        async fn look(&self) -> Result<Option<()>, Error> {
            let mut seen = self.seen.borrow_mut();
            seen.looks += 1;
            if seen.looks > self.sighted {
                return Err(refused(500));
            }
            let is_listed = seen.listed_at.iter().any(|at| *at <= Instant::now());
            Ok(is_listed.then_some(()))
        }

        async fn check(&self, api: &Client, second: Second, time: Duration) {
            let write = Write::new("write", second, "look");
            let deadline = Instant::now() + time;
            let (send, look) = (|_| self.send(), |_| self.look());
            let told = write.once(api, deadline, send, look).await;
            let seen = self.seen.borrow();
            let effects = seen.listed_at.len();
            let fates = &self.fates[..seen.attempts];
            let said = format!(
                "{second:?} {fates:?} lag {:?} sighted {} within {time:?}: {told:?}",
                self.lag, self.sighted
            );
            assert!(effects <= 1 || second == Second::ChangesNothing, "{said}");
            assert!(seen.attempts <= 1 + second.most(), "{said}");
            match told {
                Ok(()) => assert!(effects > 0, "{said}"),
                Err(Failure::Api { .. }) => assert_eq!(effects, 0, "{said}"),
                Err(Failure::DeliveryUnknown { .. }) => {
                    let sure = [
                        Fate::NotSent,
                        Fate::Refused {
                            status: 409,
                            acts: false,
                        },
                    ];
                    assert!(fates.iter().any(|fate| !sure.contains(fate)), "{said}");
                }
                Err(other) => panic!("{said}: {other:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_becomes_of_each_attempt_nothing_is_doubled_and_what_happened_has_not_failed()
    {
        let config = crate::config::Config::read(&|name| {
            (name == "ANTHROPIC_API_KEY").then(|| "sk-ant-none".to_owned())
        });
        let api = Client::new(std::sync::Arc::new(config.unwrap()));
        let mut count = 0;
        for second in [Second::Creates, Second::Repeats, Second::ChangesNothing] {
            // A create may still be acted on long after nobody waits for its answer.
            let lates: &[Option<u64>] = match second {
                Second::Creates => &[None, Some(1000), Some(20_000)],
                _ => &[None, Some(1000)],
            };
            let late = lates.iter().map(|after| Fate::Late { acts_after: *after });
            let fates: Vec<Fate> = FATES.into_iter().chain(late).collect();
            let base = fates.len();
            for place in 0..base.pow(3) {
                let three = [place / base / base, place / base % base, place % base];
                // With little time it is only found where it is listed at once.
                for (lag, time) in [
                    (0, 45_000),
                    (400, 45_000),
                    (900, 45_000),
                    (0, 4000),
                    (0, 1800),
                ] {
                    for sighted in [usize::MAX, 0, 1, 4, 5] {
                        let world = World {
                            fates: three.map(|place| fates[place]).to_vec(),
                            lag: Duration::from_millis(lag),
                            sighted,
                            seen: std::cell::RefCell::default(),
                        };
                        let time = Duration::from_millis(time);
                        world.check(&api, second, time).await;
                        count += 1;
                    }
                }
            }
        }
        assert!(count > 150_000, "{count}");
    }
}
