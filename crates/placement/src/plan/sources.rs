//! What people write into the parent, and what changes of it.

use std::collections::{BTreeMap, BTreeSet};

use api::apps::{Feed, GROUP, Globalization, HelmChart, Localization, Subscription};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{charts, overrides::Rule};

/// Namespace and name.
pub(super) type Name = (String, String);

/// What people write into the parent.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub(super) subscriptions: BTreeMap<Name, Subscription>,
    /// Ordinary objects, and HelmCharts.
    pub(super) templates: BTreeMap<Feed, Value>,
    pub(super) globalizations: BTreeMap<String, Globalization>,
    pub(super) localizations: BTreeMap<Name, Localization>,
}

/// What is not for a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Without apiVersion, kind or name.
    #[error("an object has no apiVersion, kind or metadata.name")]
    Nameless,
    /// Not of the form its kind asks for.
    #[error("{kind} {name} cannot be read: {why}")]
    Unreadable {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// What the parser says: fields, never their values.
        why: String,
    },
    /// A Base, a Description, a HelmRelease, …
    #[error(
        "{kind} {name} is made by the hub; plan what it is made of: Subscriptions, objects and overrides"
    )]
    MadeByTheHub {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
}

impl Sources {
    /// Lays an object over what there is: a Subscription, Globalization, Localization or HelmChart; a Manifest, which stands
    /// for what is in it; or any other object, as it would be in its Manifest.
    ///
    /// # Errors
    ///
    /// When it is no object, or one that people do not write.
    pub fn insert(&mut self, object: Value) -> Result<(), SourceError> {
        let feed = Feed::of(&object).ok_or(SourceError::Nameless)?;
        let ours = feed.api_version.split_once('/').is_some_and(|(group, _)| group == GROUP);
        let name = (feed.namespace.clone().unwrap_or_default(), feed.name.clone());
        match (ours, feed.kind.as_str()) {
            (true, "Subscription") => drop(self.subscriptions.insert(name, read(&feed, object)?)),
            (true, "Globalization") => {
                drop(self.globalizations.insert(feed.name.clone(), read(&feed, object)?));
            }
            (true, "Localization") => drop(self.localizations.insert(name, read(&feed, object)?)),
            (true, "Manifest") => {
                let template = object.get("template").cloned().unwrap_or_default();
                return self.insert(template);
            }
            (true, "HelmChart") => {
                let chart: HelmChart = read(&feed, object)?;
                self.templates.insert(feed, charts::template(&chart));
            }
            (true, kind) => {
                return Err(SourceError::MadeByTheHub { kind: kind.to_owned(), name: feed.name });
            }
            (false, _) => drop(self.templates.insert(feed, object)),
        }
        Ok(())
    }

    /// The overrides, and those of which nobody knows what they are for.
    pub(super) fn rules(&self) -> (Vec<Rule>, BTreeSet<String>) {
        let rules: Vec<Rule> = self
            .globalizations
            .values()
            .map(Rule::from)
            .chain(self.localizations.values().map(Rule::from))
            .collect();
        let wrong = |rule: &Rule| {
            let (kind, place) = match &rule.namespace {
                Some(namespace) => ("Localization", format!("{namespace}/")),
                None => ("Globalization", String::new()),
            };
            let problem = rule.problem()?;
            Some(format!(
                "{kind} {place}{}: {problem}; nothing new is deployed to what it may be for until it is corrected or deleted.",
                rule.name
            ))
        };
        let wrong = rules.iter().filter_map(wrong).collect();
        (rules, wrong)
    }

    /// Whether the overrides are the same.
    pub(super) fn has_rules_of(&self, other: &Self) -> bool {
        let globalizations =
            |all: &Self| all.globalizations.values().map(|it| it.spec.clone()).collect::<Vec<_>>();
        let localizations =
            |all: &Self| all.localizations.values().map(|it| it.spec.clone()).collect::<Vec<_>>();
        self.globalizations.keys().eq(other.globalizations.keys())
            && self.localizations.keys().eq(other.localizations.keys())
            && globalizations(self) == globalizations(other)
            && localizations(self) == localizations(other)
    }
}

fn read<T: DeserializeOwned>(feed: &Feed, object: Value) -> Result<T, SourceError> {
    serde_json::from_value(object).map_err(|error| SourceError::Unreadable {
        kind: feed.kind.clone(),
        name: feed.name.clone(),
        why: error.to_string(),
    })
}
