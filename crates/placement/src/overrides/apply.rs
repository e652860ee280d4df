//! Overrides on an ordinary object.

use api::apps::{OverrideConfig, OverrideType};
use serde_json::Value;

use super::{
    bounds::{Budget, Limits},
    error::{Fault, OverrideError, OverrideRef, Problem, Skipped},
    field, json_patch,
    provenance::Provenance,
    rule::Rule,
    value::value,
};
use crate::{Cluster, diff, json};

/// An object as a cluster gets it.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "overrides that were skipped are to be told of"]
pub struct Rendered {
    /// The object.
    pub object: Value,
    /// Which override changed what.
    pub provenance: Provenance,
    /// What was not applied.
    pub skipped: Vec<Skipped>,
}

/// Applies overrides, in the order of [`in_order`](super::in_order), to an object that is no HelmChart. In the end
/// `metadata.managedFields`, `metadata.uid` and `status` are removed.
///
/// # Errors
///
/// The first override that cannot be applied.
pub fn object(
    object: &Value,
    cluster: &Cluster,
    rules: &[&Rule],
    limits: &Limits,
) -> Result<Rendered, OverrideError> {
    let mut applying = Applying::new(cluster, limits);
    applying.admit(object, rules, false)?;
    let mut current = object.clone();
    let identity = identity(object);
    let mut provenance = Provenance::default();
    for (by, config) in rules.iter().flat_map(|rule| rule.overrides_for(false)) {
        let next = applying.step(&by, config, &current, &mut provenance, |patch, budget| {
            let mut next = current.clone();
            patch_object(&mut next, config, patch, budget)?;
            if self::identity(&next) == identity { Ok(next) } else { Err(Problem::IdentityChanged.into()) }
        })?;
        current = next.unwrap_or(current);
    }
    for (parent, key) in [("/metadata", "managedFields"), ("/metadata", "uid"), ("", "status")] {
        json::remove(&mut current, parent, key);
    }
    Ok(Rendered { object: current, provenance, skipped: applying.skipped })
}

fn patch_object(
    object: &mut Value,
    config: &OverrideConfig,
    patch: Value,
    budget: &mut Budget<'_>,
) -> Result<(), Fault> {
    match config.type_ {
        OverrideType::JsonPatch => json_patch::apply(object, patch, budget),
        OverrideType::MergePatch => merge(object, &patch),
        OverrideType::FieldJsonPatch | OverrideType::FieldMergePatch => {
            field::apply(object, config, patch, budget)
        }
        OverrideType::Helm => Err(Problem::NotForThisFeed {
            given: "Helm",
            feed: "an object that is no HelmChart",
            expected: "JSONPatch, MergePatch, FieldJSONPatch and FieldMergePatch",
        }
        .into()),
    }
}

/// What makes an object this object.
fn identity(object: &Value) -> [Option<&str>; 4] {
    ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"].map(|path| json::text(object, path))
}

/// A merge patch (RFC 7386) of a mapping; no other would leave anything of the object.
pub(super) fn merge(target: &mut Value, patch: &Value) -> Result<(), Fault> {
    if !patch.is_object() {
        return Err(Problem::NoMapping.into());
    }
    ::json_patch::merge(target, patch);
    Ok(())
}

/// Overrides on their way into a feed.
pub(super) struct Applying<'a> {
    cluster: &'a Cluster,
    facts: Value,
    budget: Budget<'a>,
    pub(super) skipped: Vec<Skipped>,
}

impl<'a> Applying<'a> {
    pub(super) fn new(cluster: &'a Cluster, limits: &'a Limits) -> Self {
        Self { cluster, facts: cluster.facts(), budget: Budget::new(limits), skipped: Vec::new() }
    }

    /// Refuses overrides that may be for the feed or not, and feeds and numbers of overrides that are too large.
    pub(super) fn admit(&mut self, feed: &Value, rules: &[&Rule], chart: bool) -> Result<(), OverrideError> {
        // One that has nothing to change concerns nothing, whatever it is for.
        let mut unclear = rules.iter().filter(|rule| rule.overrides_for(chart).next().is_some());
        if let Some((rule, problem)) = unclear.find_map(|rule| Some((rule, rule.problem()?))) {
            return Err(self.error(Some(rule.reference()), Problem::SelectorInvalid(problem.clone()).into()));
        }
        self.budget.check(feed).map_err(|fault| self.error(None, fault))?;
        let limit = self.budget.limits.overrides;
        let mut overrides = rules.iter().flat_map(|rule| rule.overrides_for(chart));
        match overrides.nth(limit) {
            Some((by, _)) => Err(self.error(Some(by), Problem::TooManyOverrides { limit }.into())),
            None => Ok(()),
        }
    }

    /// Applies one override to what there is by `change`; none where it is blank or was skipped.
    pub(super) fn step(
        &mut self,
        by: &OverrideRef,
        config: &OverrideConfig,
        current: &Value,
        provenance: &mut Provenance,
        change: impl FnOnce(Value, &mut Budget<'_>) -> Result<Value, Fault>,
    ) -> Result<Option<Value>, OverrideError> {
        match self.changed(config, current, change) {
            Ok(None) => Ok(None),
            Ok(Some(next)) => {
                let limit = self.budget.limits.changes;
                provenance.record(by, diff::paths(current, &next, limit), limit);
                Ok(Some(next))
            }
            Err(fault) => {
                let skips = fault.problem.skips();
                let error = self.error(Some(by.clone()), fault);
                if !skips {
                    return Err(error);
                }
                self.skipped.push(Skipped(error));
                Ok(None)
            }
        }
    }

    fn changed(
        &mut self,
        config: &OverrideConfig,
        current: &Value,
        change: impl FnOnce(Value, &mut Budget<'_>) -> Result<Value, Fault>,
    ) -> Result<Option<Value>, Fault> {
        let Some(value) = value(config, &self.facts, &mut self.budget)? else { return Ok(None) };
        // Once for the copy, once for the comparison.
        let size = self.budget.measure(current)?.bytes;
        self.budget.work(size)?;
        let next = change(value, &mut self.budget)?;
        self.budget.check(&next)?;
        Ok(Some(next))
    }

    /// Tells of a part of an override that was left out of it.
    pub(super) fn skip(&mut self, by: &OverrideRef, path: &str, problem: Problem) {
        let error = self.error(Some(by.clone()), problem.at(path));
        self.skipped.push(Skipped(error));
    }

    fn error(&self, by: Option<OverrideRef>, fault: Fault) -> OverrideError {
        OverrideError {
            by: by.map(Box::new),
            cluster: self.cluster.key.clone(),
            path: fault.path,
            problem: fault.problem,
        }
    }
}
