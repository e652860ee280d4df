//! What becomes of a chart in a cluster.
//!
//! Its values are nobody's to show: a plan tells which of them differ and by which override, and never what they are.

use api::apps::{Description, Feed, HelmChart, HelmReleaseSpec};
use k8s_openapi::ByteString;
use kube::Resource as _;
use serde_json::{Value, json};

use super::{Action, Change, Field, Release, planner::Place};
use crate::{
    charts::{filled_in, release},
    diff::{Difference, diff, hidden},
    overrides::{Provenance, RenderedChart},
};

/// Fields that are shown of one chart.
const FIELDS: usize = 100;
/// What stands before the path of a value.
const VALUES: &str = "/values";

/// A chart as a cluster gets it.
#[derive(Debug, Clone)]
pub(super) struct DrawnChart {
    pub(super) feed: Feed,
    /// What its release would be without overrides.
    template: HelmReleaseSpec,
    spec: HelmReleaseSpec,
    provenance: Provenance,
    values_provenance: Provenance,
}

impl DrawnChart {
    /// None where what was rendered is no HelmChart any more.
    pub(super) fn new(feed: &Feed, template: &Value, rendered: RenderedChart) -> Option<Self> {
        let nothing = ByteString(vec![b' ']);
        let values = ByteString(rendered.values_raw());
        let read = |chart: Value| serde_json::from_value::<HelmChart>(chart).ok();
        Some(Self {
            feed: feed.clone(),
            template: filled_in(release(&feed.name, &read(template.clone())?, &nothing)),
            spec: filled_in(release(&feed.name, &read(rendered.chart)?, &values)),
            provenance: rendered.provenance,
            values_provenance: rendered.values_provenance,
        })
    }

    /// What becomes of it; `there` is what is deployed, `old` what was rendered of it before.
    pub(super) fn change(
        &self,
        place: &Place,
        there: Option<&HelmReleaseSpec>,
        old: Option<&Self>,
    ) -> Option<Change> {
        let action = if there.is_some() { Action::Change } else { Action::Create };
        let from = there.unwrap_or(&self.template);
        let mut options = diff(&options(from), &options(&self.spec), FIELDS);
        let left = FIELDS.saturating_sub(options.differences.len());
        let values = hidden(&values(from), &values(&self.spec), left);
        options.differences.extend(values.differences);
        options.omitted += values.omitted;
        if there.is_some() && options.is_empty() {
            return None;
        }
        let mut change = self::change(place, action, &self.feed, &self.spec);
        change.omitted = options.omitted;
        change.fields = options.differences.into_iter().map(|it| self.field(it, old)).collect();
        Some(change)
    }

    fn field(&self, Difference { path, before, after }: Difference, old: Option<&Self>) -> Field {
        let mut by = self.overrides(&path);
        if by.is_empty() {
            by = old.map(|old| old.overrides(&path)).unwrap_or_default();
        }
        Field { path, before, after, overrides: by }
    }

    fn overrides(&self, path: &str) -> Vec<String> {
        let by = match path.strip_prefix(VALUES) {
            Some(path) => self.values_provenance.of(path),
            None => self.provenance.of(path),
        };
        by.into_iter().map(ToString::to_string).collect()
    }
}

/// The release of a chart, with what is done to it.
pub(super) fn change(place: &Place, action: Action, feed: &Feed, spec: &HelmReleaseSpec) -> Change {
    let release = Release {
        name: spec.release_name.clone().unwrap_or_default(),
        namespace: spec.options.target_namespace.clone(),
        chart: spec.options.chart.clone(),
        version: spec.options.version.clone().filter(|version| !version.trim().is_empty()),
    };
    Change { release: Some(release), ..place.change(action, feed) }
}

/// The releases of a Description of charts.
pub(super) fn deployed(description: &Description) -> Vec<(Feed, HelmReleaseSpec)> {
    let spec = &description.spec;
    let all = spec.charts.iter().zip(&spec.raw).zip(&spec.chart_raw);
    all.filter_map(|((reference, values), chart)| {
        let chart: HelmChart = serde_json::from_slice(&chart.0).ok()?;
        let feed = Feed {
            kind: HelmChart::kind(&()).into_owned(),
            api_version: HelmChart::api_version(&()).into_owned(),
            namespace: Some(reference.namespace.clone()),
            name: reference.name.clone(),
        };
        Some((feed.normalised(), filled_in(release(&reference.name, &chart, values))))
    })
    .collect()
}

/// What a HelmRelease says beside the values.
fn options(spec: &HelmReleaseSpec) -> Value {
    json!({ "spec": HelmReleaseSpec { overrides: None, ..spec.clone() } })
}

fn values(spec: &HelmReleaseSpec) -> Value {
    let raw = spec.overrides.as_ref().and_then(|raw| serde_json::from_slice::<Value>(&raw.0).ok());
    json!({ VALUES[1..]: raw.unwrap_or_else(|| json!({})) })
}
