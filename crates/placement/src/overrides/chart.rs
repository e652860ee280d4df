//! Overrides on a HelmChart: its values, and the chart itself.

use api::apps::{OverrideConfig, OverrideType};
use serde_json::{Value, json};

use super::{
    apply::{Applying, merge},
    bounds::{Budget, Limits},
    error::{Fault, OverrideError, Problem, Skipped},
    json_patch,
    provenance::Provenance,
    rule::Rule,
};
use crate::Cluster;

/// The fields of a HelmChart's spec that no override changes.
const FIXED: [&str; 2] = ["chart", "targetNamespace"];

/// A HelmChart as a cluster gets it.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "overrides that were skipped are to be told of"]
pub struct RenderedChart {
    /// The HelmChart.
    pub chart: Value,
    /// The values; none where no override gives any.
    pub values: Option<Value>,
    /// Which override changed what of the HelmChart.
    pub provenance: Provenance,
    /// Which override changed what of the values.
    pub values_provenance: Provenance,
    /// What was not applied.
    pub skipped: Vec<Skipped>,
}

impl RenderedChart {
    /// The values as an item of a Description's `spec.raw`: JSON, or a space where there are none.
    pub fn values_raw(&self) -> Vec<u8> {
        self.values.as_ref().map_or_else(|| vec![b' '], |values| values.to_string().into_bytes())
    }
}

/// Applies overrides, in the order of [`in_order`](super::in_order), to a HelmChart.
///
/// The first override of the values that is no JSON patch is the values, nulls included: to Helm they take a default of the
/// chart away. Later ones are merged into it.
///
/// # Errors
///
/// The first override that cannot be applied.
pub fn chart(
    chart: &Value,
    cluster: &Cluster,
    rules: &[&Rule],
    limits: &Limits,
) -> Result<RenderedChart, OverrideError> {
    let mut applying = Applying::new(cluster, limits);
    applying.admit(chart, rules, true)?;
    let mut rendered = RenderedChart {
        chart: chart.clone(),
        values: None,
        provenance: Provenance::default(),
        values_provenance: Provenance::default(),
        skipped: Vec::new(),
    };
    let nothing = json!({});
    for (by, config) in rules.iter().flat_map(|rule| rule.overrides_for(true)) {
        if config.override_chart.unwrap_or(false) {
            let current = &rendered.chart;
            let mut fixed = Vec::new();
            let provenance = &mut rendered.provenance;
            let next = applying.step(&by, config, current, provenance, |patch, _| {
                of_chart(current, config, patch, &mut fixed)
            })?;
            for path in &fixed {
                applying.skip(&by, path, Problem::FieldFixed);
            }
            rendered.chart = next.unwrap_or(rendered.chart);
        } else {
            let current = rendered.values.as_ref();
            let (shown, provenance) = (current.unwrap_or(&nothing), &mut rendered.values_provenance);
            let next = applying.step(&by, config, shown, provenance, |patch, budget| {
                of_values(current, config, patch, budget)
            })?;
            rendered.values = next.or(rendered.values);
        }
    }
    rendered.skipped = applying.skipped;
    Ok(rendered)
}

/// Merges a patch into a HelmChart. What it cannot change is left out of it, and told of in `fixed`.
fn of_chart(
    chart: &Value,
    config: &OverrideConfig,
    mut patch: Value,
    fixed: &mut Vec<String>,
) -> Result<Value, Fault> {
    if config.type_ != OverrideType::Helm {
        return Err(not_for(config.type_, "a HelmChart with overrideChart", "Helm"));
    }
    let Some(parts) = patch.as_object_mut() else { return Err(Problem::NoMapping.into()) };
    // Another object, and what is not the user's to say.
    for part in ["apiVersion", "kind", "status"] {
        if parts.remove(part).is_some_and(|value| chart.get(part) != Some(&value)) {
            fixed.push(format!("/{part}"));
        }
    }
    for (parent, keys) in [("metadata", &["name", "namespace", "uid"][..]), ("spec", &FIXED)] {
        let Some(inner) = parts.get_mut(parent) else { continue };
        // Taken away as a whole, it would take the fixed fields with it.
        let Some(fields) = inner.as_object_mut() else {
            return Err(Problem::NoMapping.at(format!("/{parent}")));
        };
        for key in keys {
            if fields.remove(*key).is_some_and(|value| chart[parent].get(key) != Some(&value)) {
                fixed.push(format!("/{parent}/{key}"));
            }
        }
    }
    let mut next = chart.clone();
    merge(&mut next, &patch)?;
    Ok(next)
}

/// The next values.
fn of_values(
    values: Option<&Value>,
    config: &OverrideConfig,
    patch: Value,
    budget: &mut Budget<'_>,
) -> Result<Value, Fault> {
    match config.type_ {
        OverrideType::Helm | OverrideType::MergePatch if !patch.is_object() => Err(Problem::NoMapping.into()),
        OverrideType::Helm | OverrideType::MergePatch => {
            let Some(values) = values else { return Ok(patch) };
            let mut next = values.clone();
            merge(&mut next, &patch)?;
            Ok(next)
        }
        OverrideType::JsonPatch => {
            let mut next = values.cloned().ok_or_else(|| Fault::from(Problem::NoValues))?;
            json_patch::apply(&mut next, patch, budget)?;
            if next.is_object() { Ok(next) } else { Err(Problem::NoMapping.into()) }
        }
        type_ @ (OverrideType::FieldJsonPatch | OverrideType::FieldMergePatch) => {
            Err(not_for(type_, "the values of a chart", "Helm, MergePatch and JSONPatch"))
        }
    }
}

fn not_for(type_: OverrideType, feed: &'static str, expected: &'static str) -> Fault {
    let given = match type_ {
        OverrideType::Helm => "Helm",
        OverrideType::JsonPatch => "JSONPatch",
        OverrideType::MergePatch => "MergePatch",
        OverrideType::FieldJsonPatch => "FieldJSONPatch",
        OverrideType::FieldMergePatch => "FieldMergePatch",
    };
    Problem::NotForThisFeed { given, feed, expected }.into()
}
