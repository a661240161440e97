//! Queries and pages: filters read strictly, opaque tokens bound to their order.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::stamp;

/// The query of a request, decoded, in order.
#[derive(Clone, Default)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    /// Reads a query string in form encoding.
    pub(super) fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (decode(k), decode(v)))
                .collect(),
        )
    }

    /// Refuses parameters nobody knows; `beta` is an SDK's habit on every path.
    #[inline(never)]
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), Refusal> {
        match self
            .0
            .iter()
            .find(|(key, _)| key != "beta" && !allowed.contains(&key.as_str()))
        {
            Some((key, _)) => Err(Refusal::invalid(format!(
                "{key}: Extra inputs are not permitted"
            ))),
            None => Ok(()),
        }
    }

    /// The last value of a parameter.
    #[inline(never)]
    pub(super) fn one(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a bracketed parameter such as `types[]`.
    #[inline(never)]
    pub(super) fn all(&self, key: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// A whole number.
    #[inline(never)]
    pub(super) fn whole(&self, key: &str) -> Result<Option<u64>, Refusal> {
        let read = |text: &str| {
            text.parse()
                .map_err(|_| wrong(key, "Input should be a valid integer"))
        };
        self.one(key).map(read).transpose()
    }

    /// `true` or `false`; absent is false.
    #[inline(never)]
    pub(super) fn flag(&self, key: &str) -> Result<bool, Refusal> {
        match self.one(key) {
            None | Some("false" | "False") => Ok(false),
            Some("true" | "True") => Ok(true),
            Some(_) => Err(wrong(key, "Input should be a valid boolean")),
        }
    }

    /// Whether a time, as text, passes all four `created_at[…]` bounds; no time passes only when there is no bound.
    pub(super) fn window(&self) -> Result<impl Fn(&str) -> bool + use<>, Refusal> {
        let bound = |key: &str| {
            let read = |text: &str| {
                stamp::parse(text).ok_or_else(|| wrong(key, "Input should be a valid datetime"))
            };
            self.one(key).map(read).transpose()
        };
        let (gt, gte) = (bound("created_at[gt]")?, bound("created_at[gte]")?);
        let (lt, lte) = (bound("created_at[lt]")?, bound("created_at[lte]")?);
        let open = [gt, gte, lt, lte].iter().all(Option::is_none);
        Ok(move |time: &str| {
            open || stamp::parse(time).is_some_and(|time| {
                gt.is_none_or(|bound| time > bound)
                    && gte.is_none_or(|bound| time >= bound)
                    && lt.is_none_or(|bound| time < bound)
                    && lte.is_none_or(|bound| time <= bound)
            })
        })
    }
}

fn wrong(key: &str, why: &str) -> Refusal {
    Refusal::invalid(format!("{key}: {why}"))
}

/// Percent-decoding with `+` for a space.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => digit(*high)
                .zip(digit(*low))
                .map(|(high, low)| high * 16 + low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(letter: u8) -> Option<u8> {
    char::from(letter)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Which part of a list is asked for.
pub(super) struct Page {
    limit: usize,
    order: &'static str,
    anchor: Option<Anchor>,
}

/// The token of a list that never ends: it returns the first page again, in any order.
pub(super) const AGAIN: &str = "page_again";

/// Where a page begins: after an item, or before one.
#[derive(Clone, Copy)]
enum Anchor {
    After(u64),
    Before(u64),
}

/// One page of a list and the tokens of its neighbours.
pub(super) struct Leaf<T> {
    pub(super) data: Vec<T>,
    pub(super) next: Option<String>,
    pub(super) prev: Option<String>,
}

impl Page {
    /// Reads `limit`, `order` and `page`.
    #[inline(never)]
    pub(super) fn read(
        query: &Query,
        order: &'static str,
        default: usize,
        most: usize,
    ) -> Result<Self, Refusal> {
        let order = match query.one("order") {
            None => order,
            Some("asc") => "asc",
            Some("desc") => "desc",
            Some(_) => return Err(wrong("order", "Input should be 'asc' or 'desc'")),
        };
        let limit = query.whole("limit")?.map_or(default, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        if limit == 0 || limit > most {
            return Err(wrong("limit", &format!("Input should be from 1 to {most}")));
        }
        let anchor = query
            .one("page")
            .filter(|token| *token != AGAIN)
            .map(|token| Anchor::read(token, order))
            .transpose()?;
        Ok(Self {
            limit,
            order,
            anchor,
        })
    }

    /// The same page, of at most so many items.
    pub(super) fn at_most(mut self, most: usize) -> Self {
        self.limit = self.limit.min(most);
        self
    }

    /// Cuts the page out of a list in ascending order of its keys.
    pub(super) fn cut<'a, T: 'a>(
        &self,
        list: impl DoubleEndedIterator<Item = (u64, T)> + 'a,
    ) -> Leaf<T> {
        self.cut_boxed(Box::new(list))
    }

    /// The same, compiled once for each kind of item and not for each list.
    fn cut_boxed<'a, T: 'a>(
        &self,
        list: Box<dyn DoubleEndedIterator<Item = (u64, T)> + 'a>,
    ) -> Leaf<T> {
        let ascending = self.order == "asc";
        let mut list: Box<dyn Iterator<Item = (u64, T)> + 'a> = if ascending {
            list
        } else {
            Box::new(list.rev())
        };
        let (kept, next, prev) = match self.anchor {
            Some(Anchor::Before(key)) => {
                let before = move |item: &(u64, T)| {
                    if ascending {
                        item.0 < key
                    } else {
                        item.0 > key
                    }
                };
                let mut kept: Vec<_> = list.take_while(before).collect();
                let surplus = kept.len().saturating_sub(self.limit);
                kept.drain(..surplus);
                (kept, true, surplus > 0)
            }
            anchor => {
                let beyond =
                    move |found: u64, key: u64| if ascending { found > key } else { found < key };
                if let Some(Anchor::After(key)) = anchor {
                    list = Box::new(list.skip_while(move |item| !beyond(item.0, key)));
                }
                let mut kept: Vec<_> = list.take(self.limit.saturating_add(1)).collect();
                let more = kept.len() > self.limit;
                kept.truncate(self.limit);
                (kept, more, anchor.is_some())
            }
        };
        let token = |sign: char, item: Option<&(u64, T)>| item.map(|item| self.token(sign, item.0));
        Leaf {
            next: if next { token('n', kept.last()) } else { None },
            prev: if prev { token('p', kept.first()) } else { None },
            data: kept.into_iter().map(|(_, item)| item).collect(),
        }
    }

    fn token(&self, sign: char, key: u64) -> String {
        format!("page_{}{sign}{key:x}", self.order)
    }
}

impl Anchor {
    fn read(token: &str, order: &str) -> Result<Self, Refusal> {
        let refusal = || {
            wrong(
                "page",
                "The page token is not valid for this list and order",
            )
        };
        let rest = token
            .strip_prefix("page_")
            .and_then(|rest| rest.strip_prefix(order))
            .ok_or_else(refusal)?;
        let (sign, key) = rest.split_at_checked(1).ok_or_else(refusal)?;
        let key = u64::from_str_radix(key, 16).map_err(|_| refusal())?;
        match sign {
            "n" => Ok(Self::After(key)),
            "p" => Ok(Self::Before(key)),
            _ => Err(refusal()),
        }
    }
}

impl Leaf<Value> {
    /// The list object; only sessions page backwards.
    pub(super) fn one_way(self) -> Value {
        json!({"data": self.data, "next_page": self.next})
    }

    /// The list object with both tokens.
    pub(super) fn both_ways(self) -> Value {
        json!({"data": self.data, "next_page": self.next, "prev_page": self.prev})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(query: &str, order: &'static str) -> (Vec<u64>, Option<String>, Option<String>) {
        let page = Page::read(&Query::parse(query), order, 3, 100).unwrap();
        let leaf = page.cut((0..8).map(|n| (n, n)));
        (leaf.data, leaf.next, leaf.prev)
    }

    #[test]
    fn pages_lead_forward_and_back() {
        let (first, next, prev) = walk("", "desc");
        assert_eq!((first, prev), (vec![7, 6, 5], None));
        let (second, _, prev) = walk(&format!("page={}", next.unwrap()), "desc");
        assert_eq!(second, vec![4, 3, 2]);
        let (back, next, prev) = walk(&format!("page={}", prev.unwrap()), "desc");
        assert_eq!((back, prev), (vec![7, 6, 5], None));
        assert!(next.is_some());
    }

    #[test]
    fn a_token_is_bound_to_its_order() {
        let (_, next, _) = walk("", "asc");
        let query = Query::parse(&format!("order=desc&page={}", next.unwrap()));
        assert!(Page::read(&query, "asc", 3, 100).is_err());
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(decode("created_at%5Bgte%5D"), "created_at[gte]");
        assert_eq!(decode("a+b%zz%C3%A9é"), "a b%zzéé");
    }
}
