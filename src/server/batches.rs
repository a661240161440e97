//! The requests of a batch are handled like any others; only their answers leave together, as protocol 2025-03-26 wants it.

use std::collections::HashSet;

use rmcp::model::RequestId;
use serde_json::Value;

/// The batches whose answers are not complete.
#[derive(Debug, Default)]
pub(super) struct Batches {
    open: Vec<Batch>,
}

#[derive(Debug)]
struct Batch {
    unanswered: HashSet<RequestId>,
    answers: Vec<Value>,
}

impl Batches {
    /// Takes a batch in, with the answers there are already.
    pub(super) fn add(&mut self, requests: HashSet<RequestId>, answers: Vec<Value>) {
        self.open.push(Batch {
            unanswered: requests,
            answers,
        });
    }

    /// Holds an answer back where it belongs to a batch; otherwise it is returned.
    pub(super) fn hold(&mut self, id: &RequestId, answer: Value) -> Option<Value> {
        match self.settle(id) {
            Some(batch) => {
                batch.answers.push(answer);
                None
            }
            None => Some(answer),
        }
    }

    /// There will be no answer.
    pub(super) fn cancel(&mut self, id: &RequestId) {
        self.settle(id);
    }

    /// The answers of the batches that are complete.
    pub(super) fn complete(&mut self) -> Vec<Value> {
        let complete = self
            .open
            .extract_if(.., |batch| batch.unanswered.is_empty());
        let answers = complete.map(|batch| batch.answers);
        // A batch of notifications has no answer.
        answers
            .filter(|answers| !answers.is_empty())
            .map(Value::from)
            .collect()
    }

    fn settle(&mut self, id: &RequestId) -> Option<&mut Batch> {
        let is_its = |batch: &Batch| batch.unanswered.contains(id);
        let batch = self.open.iter_mut().find(|batch| is_its(batch))?;
        batch.unanswered.remove(id);
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(numbers: &[i64]) -> HashSet<RequestId> {
        numbers.iter().copied().map(RequestId::Number).collect()
    }

    #[test]
    fn answers_leave_together_and_only_with_their_own_batch() {
        let mut batches = Batches::default();
        batches.add(ids(&[1, 2]), vec![json!("refused")]);
        batches.add(ids(&[3, 4]), Vec::new());
        assert_eq!(
            batches.hold(&RequestId::Number(9), json!(9)),
            Some(json!(9))
        );
        assert_eq!(batches.hold(&RequestId::Number(2), json!(2)), None);
        assert_eq!(batches.hold(&RequestId::Number(3), json!(3)), None);
        assert!(batches.complete().is_empty());
        assert_eq!(batches.hold(&RequestId::Number(1), json!(1)), None);
        assert_eq!(batches.complete(), [json!(["refused", 2, 1])]);
        // A cancelled request is not waited for.
        batches.cancel(&RequestId::Number(4));
        assert_eq!(batches.complete(), [json!([3])]);
        assert_eq!(
            batches.hold(&RequestId::Number(4), json!(4)),
            Some(json!(4))
        );
    }

    #[test]
    fn a_batch_without_requests_is_answered_only_where_something_was_wrong() {
        let mut batches = Batches::default();
        batches.add(ids(&[]), Vec::new());
        assert!(batches.complete().is_empty());
        batches.add(ids(&[]), vec![json!("refused")]);
        assert_eq!(batches.complete(), [json!(["refused"])]);
        assert!(batches.complete().is_empty());
    }
}
