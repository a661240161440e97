//! Marks in the metadata of what was made here, by which it is found again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{Delivery, Error};

/// The mark of what was made through this product.
pub const MARK: &str = "managed-agents-mcp";
/// Holds the key of the one request that made it: the caller's `request_key`, or a random one.
pub(super) const REQUEST: &str = "managed-agents-mcp-request";
/// The API takes no more pairs.
const MOST_PAIRS: usize = 16;

/// Whether metadata holds the key of a request.
pub(super) fn bears(metadata: &BTreeMap<String, String>, key: &str) -> bool {
    metadata.get(REQUEST).is_some_and(|held| held == key)
}

/// A random mark on one request.
#[derive(Debug, Clone)]
pub(super) struct Stamp(Option<String>);

impl Stamp {
    /// Stamps the metadata of a body; where that is full, it stays as it is.
    pub(super) fn on(body: &mut Value) -> Stamp {
        let Some(fields) = body.as_object_mut() else {
            return Stamp(None);
        };
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        match metadata.as_object_mut() {
            Some(pairs) if pairs.len() < MOST_PAIRS => {
                let key = uuid::Uuid::new_v4().to_string();
                pairs.insert(REQUEST.to_owned(), json!(key));
                Stamp(Some(key))
            }
            _ => Stamp(None),
        }
    }

    /// The value to look for; without one nobody can look.
    pub(super) fn value(&self) -> Result<&str, Error> {
        self.0.as_deref().ok_or_else(|| Error::Unreachable {
            reason: "its metadata had no room for a mark by which it could be found".to_owned(),
            delivery: Delivery::NotSent,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn a_body_is_stamped_unless_its_metadata_is_full() {
        let mut plain = json!({"name": "a"});
        let stamp = Stamp::on(&mut plain);
        assert_eq!(plain["metadata"][REQUEST], stamp.value().unwrap());
        let pairs: Map<String, Value> = (0..16).map(|n| (n.to_string(), json!("x"))).collect();
        let full = json!({"name": "a", "metadata": pairs});
        let mut body = full.clone();
        assert!(Stamp::on(&mut body).value().is_err());
        assert_eq!(body, full);
    }
}
