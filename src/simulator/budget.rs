//! A session's budget: whole cents, above what was consumed, for models with a list price.

use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::body::Fields;
use super::json::{at, items, text};
use super::session::Session;

/// A budget as sent, if its model has a list price.
pub(super) fn checked(value: &Value, agent: &Value) -> Answer {
    let fields = Fields::of(value, "budget", &["type", "max_list_cost"])?;
    fields.need("type")?;
    fields.choice("type", &["limit"])?;
    let cost = Fields::of(
        fields.need("max_list_cost")?,
        "budget.max_list_cost",
        &["amount", "currency"],
    )?;
    cost.need("currency")?;
    cost.choice("currency", &["USD"])?;
    let amount = cost.need_text("amount", 1..=18)?;
    if !amount.bytes().all(|digit| digit.is_ascii_digit()) || amount.starts_with('0') {
        return Err(cost.wrong(
            "amount",
            "Input should be whole cents as a string without leading zeros, above 0",
        ));
    }
    let team = items(agent, "/multiagent/agents").iter();
    let models = team.chain([agent]).map(|agent| text(agent, "/model/id"));
    // Team members without a model of their own are copies of the agent itself.
    let mut priced = models.filter(|model| !model.is_empty());
    if let Some(model) = priced.find(|model| !model.starts_with("claude-")) {
        return Err(Refusal::invalid(format!(
            "model_not_budgetable: the model `{model}` has no public list price"
        )));
    }
    Ok(value.clone())
}

/// The budget after an update; none can be added later.
pub(super) fn updated(session: &Session, value: Option<&Value>) -> Answer {
    let Some(value) = value else {
        return Ok(Value::Null);
    };
    if session.cap().is_none() {
        return Err(Refusal::invalid(
            "budget_create_only: a budget cannot be added to a session without one",
        ));
    }
    let budget = checked(value, at(&session.object, "/agent"))?;
    let cents = text(&budget, "/max_list_cost/amount")
        .parse::<u64>()
        .unwrap_or_default();
    if cents <= session.usage.cents {
        let used = session.usage.cents;
        return Err(Refusal::invalid(format!(
            "budget_not_raised: max_list_cost must be above the consumed list cost, which is {used}"
        )));
    }
    Ok(budget)
}
