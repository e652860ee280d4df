//! The text of an override: its template, then JSON or YAML.

use api::apps::{OverrideConfig, OverrideType};
use gotemplate::{Environment, NO_VALUE, Template};
use serde_json::Value;

use super::{
    bounds::Budget,
    error::{Fault, Problem},
};

/// A place in a text, from 1; 0 where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// The value of an override in a cluster; none where it is blank.
pub(super) fn value(
    config: &OverrideConfig,
    facts: &Value,
    budget: &mut Budget<'_>,
) -> Result<Option<Value>, Fault> {
    let limit = budget.limits.value_bytes;
    if config.value.len() > limit {
        return Err(Problem::ValueTooLarge { limit }.into());
    }
    let rendered =
        if config.template.unwrap_or(false) { Some(render(&config.value, facts, budget)?) } else { None };
    let text = rendered.as_deref().unwrap_or(&config.value);
    if text.trim().is_empty() {
        return Ok(None);
    }
    // A path in what is merged is one in the object; one in a list of operations would mean something else there.
    let merged = matches!(config.type_, OverrideType::Helm | OverrideType::MergePatch);
    let parsed = parse(text, budget).map_err(|fault| if merged { fault } else { fault.problem.into() })?;
    Ok(Some(parsed.map_err(|Place { line, column }| Problem::ValueInvalid { line, column })?))
}

/// Fills the facts of a cluster into a template.
fn render(text: &str, facts: &Value, budget: &mut Budget<'_>) -> Result<String, Problem> {
    // A template may read all facts again with each step, but it pays for that with its own steps.
    budget.measure(facts)?;
    let limits =
        gotemplate::Limits { output_bytes: budget.limits.value_bytes, ..budget.limits.template.clone() };
    let rendered = Template::parse("value", text)?.render(facts, &limits, &Environment::default())?;
    if rendered.contains(NO_VALUE) && !text.contains(NO_VALUE) {
        return Err(Problem::FactMissing);
    }
    Ok(rendered)
}

/// Reads JSON or YAML of any author. Errors tell the place and nothing else: the text may hold secrets.
pub(super) fn parse(text: &str, budget: &mut Budget<'_>) -> Result<Result<Value, Place>, Fault> {
    budget.work(text.len())?;
    // First as JSON, which YAML does not take in every form (tabs).
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => match parse_yaml(text, budget) {
            Ok(value) => value,
            Err(place) => return Ok(Err(place)),
        },
    };
    budget.check(&value)?;
    Ok(Ok(value))
}

/// How much aliases of a YAML document may repeat, in scalars and brackets. A few hundred bytes of aliases of aliases would
/// otherwise be seconds of work.
const REPEATED: usize = 10_000;

/// Reads one YAML document.
pub(super) fn parse_yaml(text: &str, budget: &Budget<'_>) -> Result<Value, Place> {
    let limits = budget.limits;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: limits.depth,
            flow_nesting_limit: limits.depth,
            max_nodes: limits.result_bytes / 2,
            max_events: limits.result_bytes,
            max_total_scalar_bytes: limits.result_bytes,
            max_documents: 2,
            max_recorded_anchor_events: 10 * REPEATED,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        error
            .location()
            .map_or(Place { line: 0, column: 0 }, |at| Place { line: at.line(), column: at.column() })
    })
}
