//! HorizontalPodAutoscalers.
//!
//! Version 1 has a field for the processor only; all other metrics are in annotations, as JSON of their own.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Error, List, Metadata, Text, TextMap, cells, decode, fields},
    duration::age,
    text::{NONE, UNKNOWN, UNSET, join_some},
};

/// How many metrics are printed.
const MOST: usize = 2;

fields! { Autoscaler<'a> { metadata: Metadata<'a>, spec: Spec<'a>, status: Status<'a>, }}

fields! { Spec<'a> {
    scale_target_ref: Target<'a>,
    min_replicas: Option<i64>,
    max_replicas: i64,
    metrics: List<Metric<'a>>,
}}

fields! { Target<'a> { kind: Text<'a>, name: Text<'a>, }}

fields! { Status<'a> { current_replicas: i64, current_metrics: List<Metric<'a>>, }}

// A metric with its target, if it is in the specification, or with its current amount, if it is in the status.
fields! { Metric<'a> {
    #[serde(rename = "type")]
    type_: Text<'a>,
    resource: Option<Source<'a>>,
    container_resource: Option<Source<'a>>,
    pods: Option<Source<'a>>,
    object: Option<Source<'a>>,
    external: Option<Source<'a>>,
}}

fields! { Source<'a> { name: Text<'a>, target: Amount<'a>, current: Amount<'a>, }}

fields! { Amount<'a> {
    value: Option<Text<'a>>,
    average_value: Option<Text<'a>>,
    average_utilization: Option<i64>,
}}

/// Name, Reference, Targets, MinPods, MaxPods, Replicas, Age.
pub(crate) fn v2(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Autoscaler { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        spec.scale_target_ref.print(),
        targets(&spec.metrics, &status.current_metrics),
        print_minimum(spec.min_replicas),
        spec.max_replicas,
        status.current_replicas,
        age(&metadata.creation_timestamp, now),
    ])
}

/// `cpu: 45%/80%, 12/30 + 1 more...`; target and current amount belong together by their place in the lists.
fn targets(wanted: &[Metric<'_>], current: &[Metric<'_>]) -> String {
    if wanted.is_empty() {
        return NONE.into();
    }
    let metrics = wanted.iter().enumerate().map(|(index, metric)| metric.print(current.get(index)));
    join_some(metrics, MOST, ", ")
}

fn print_minimum(replicas: Option<i64>) -> String {
    replicas.map_or_else(|| UNSET.into(), |replicas| replicas.to_string())
}

impl Target<'_> {
    fn print(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

impl<'a> Metric<'a> {
    fn source(&self, type_: &str) -> Option<&Source<'a>> {
        match type_ {
            "Resource" => self.resource.as_ref(),
            "ContainerResource" => self.container_resource.as_ref(),
            "Pods" => self.pods.as_ref(),
            "Object" => self.object.as_ref(),
            "External" => self.external.as_ref(),
            _ => None,
        }
    }

    fn print(&self, status: Option<&Metric<'_>>) -> String {
        let Some(Source { name, target, .. }) = self.source(&self.type_) else {
            return "<unknown type>".into();
        };
        let current = status.and_then(|status| status.source(&self.type_)).map(|source| &source.current);
        match (&*self.type_, &target.average_value) {
            ("External" | "Object", Some(average)) => {
                let current = current.and_then(|current| current.average_value.as_deref());
                format!("{}/{average} (avg)", current.unwrap_or(UNKNOWN))
            }
            ("External" | "Object", None) => {
                let current = current.map_or(UNKNOWN, |current| or_nil(current.value.as_ref()));
                format!("{current}/{}", or_nil(target.value.as_ref()))
            }
            ("Pods", average) => {
                let current = current.map_or(UNKNOWN, |current| or_nil(current.average_value.as_ref()));
                format!("{current}/{}", or_nil(average.as_ref()))
            }
            (_, Some(average)) => {
                let current = current.map_or(UNKNOWN, |current| or_nil(current.average_value.as_ref()));
                format!("{name}: {current}/{average}")
            }
            (_, None) => {
                let percent = |share: Option<i64>, instead: &str| {
                    share.map_or_else(|| instead.to_owned(), |share| format!("{share}%"))
                };
                let current = percent(current.and_then(|current| current.average_utilization), UNKNOWN);
                format!("{name}: {current}/{}", percent(target.average_utilization, "<auto>"))
            }
        }
    }
}

/// What a server prints for a quantity that it relies on and that is not there.
fn or_nil<'s>(quantity: Option<&'s Text<'_>>) -> &'s str {
    quantity.map_or("<nil>", |quantity| quantity)
}

fields! { AutoscalerV1<'a> { metadata: MetadataV1<'a>, spec: SpecV1<'a>, status: StatusV1, }}

fields! { MetadataV1<'a> { name: Text<'a>, creation_timestamp: Text<'a>, annotations: TextMap<'a>, }}

fields! { SpecV1<'a> {
    scale_target_ref: Target<'a>,
    min_replicas: Option<i64>,
    max_replicas: i64,
    #[serde(rename = "targetCPUUtilizationPercentage")]
    processor: Option<i64>,
}}

fields! { StatusV1 {
    current_replicas: i64,
    #[serde(rename = "currentCPUUtilizationPercentage")]
    processor: Option<i64>,
}}

// A metric as the annotations spell it.
fields! { MetricV1<'a> {
    #[serde(rename = "type")]
    type_: Text<'a>,
    resource: Option<SourceV1<'a>>,
    container_resource: Option<SourceV1<'a>>,
    pods: Option<SourceV1<'a>>,
    object: Option<SourceV1<'a>>,
    external: Option<SourceV1<'a>>,
}}

fields! { SourceV1<'a> {
    name: Text<'a>,
    target_value: Option<Text<'a>>,
    target_average_value: Option<Text<'a>>,
    target_average_utilization: Option<i64>,
    current_value: Option<Text<'a>>,
    current_average_value: Option<Text<'a>>,
    current_average_utilization: Option<i64>,
    // Of an object: the target or the current one, as the metric stands in the specification or in the status.
    average_value: Option<Text<'a>>,
}}

/// Name, Reference, Targets, MinPods, MaxPods, Replicas, Age.
///
/// Where the processor's metric stood among the others is lost in this version; it is printed first.
pub(crate) fn v1(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let AutoscalerV1 { metadata, spec, status } = decode(object)?;
    let annotated = |key: &str| -> Option<Vec<Metric<'_>>> {
        let (_, json) = metadata.annotations.iter().find(|(given, _)| &***given == key)?;
        let metrics: Vec<MetricV1<'_>> = decode(json.as_bytes()).ok()?;
        Some(metrics.into_iter().map(Metric::from).collect())
    };
    let mut wanted: Vec<_> = spec.processor.map(Metric::processor).into_iter().collect();
    wanted.extend(annotated("autoscaling.alpha.kubernetes.io/metrics").unwrap_or_default());
    let current = annotated("autoscaling.alpha.kubernetes.io/current-metrics")
        .unwrap_or_else(|| status.processor.map(Metric::processor).into_iter().collect());
    Ok(cells![
        &*metadata.name,
        spec.scale_target_ref.print(),
        targets(&wanted, &current),
        print_minimum(spec.min_replicas),
        spec.max_replicas,
        status.current_replicas,
        age(&metadata.creation_timestamp, now),
    ])
}

impl Metric<'_> {
    /// The share of the processor that is used or wanted.
    fn processor(share: i64) -> Self {
        let amount = || Amount { average_utilization: Some(share), ..Amount::default() };
        let resource = Source { name: Text::from("cpu"), target: amount(), current: amount() };
        Self { type_: Text::from("Resource"), resource: Some(resource), ..Self::default() }
    }
}

impl<'a> From<MetricV1<'a>> for Metric<'a> {
    fn from(metric: MetricV1<'a>) -> Self {
        Self {
            type_: metric.type_,
            resource: metric.resource.map(Source::from),
            container_resource: metric.container_resource.map(Source::from),
            pods: metric.pods.map(Source::from),
            object: metric.object.map(Source::from),
            external: metric.external.map(Source::from),
        }
    }
}

impl<'a> From<SourceV1<'a>> for Source<'a> {
    fn from(source: SourceV1<'a>) -> Self {
        Self {
            name: source.name,
            target: Amount {
                value: source.target_value,
                average_value: source.target_average_value.or_else(|| source.average_value.clone()),
                average_utilization: source.target_average_utilization,
            },
            current: Amount {
                value: source.current_value,
                average_value: source.current_average_value.or(source.average_value),
                average_utilization: source.current_average_utilization,
            },
        }
    }
}
