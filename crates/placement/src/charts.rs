//! Charts on their way: from a HelmChart to what of it is a feed, and from there to what a HelmRelease says.

use api::{
    apps::{HelmChart, HelmReleaseSpec},
    names::apps::{
        annotations::{FEED_PROTECTION, KUBECTL_LAST_APPLIED},
        labels::is_uid,
    },
};
use k8s_openapi::ByteString;
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

/// What is deployed of a HelmChart: itself, without its status and the marks that are ours or kubectl's.
pub fn template(chart: &HelmChart) -> Value {
    let mut labels = chart.labels().clone();
    labels.retain(|key, _| !is_uid(key));
    let mut annotations = chart.annotations().clone();
    annotations.retain(|key, _| ![FEED_PROTECTION, KUBECTL_LAST_APPLIED].contains(&key.as_str()));
    json!({
        "apiVersion": HelmChart::api_version(&()),
        "kind": HelmChart::kind(&()),
        "metadata": {
            "namespace": chart.namespace(), "name": chart.name_any(), "labels": labels, "annotations": annotations,
        },
        "spec": chart.spec,
    })
}

/// What the HelmRelease says of a HelmChart of this name, as it is after overrides, with values of a Description's `spec.raw`.
pub fn release(name: &str, chart: &HelmChart, values: &ByteString) -> HelmReleaseSpec {
    let is_blank = values.0.iter().all(u8::is_ascii_whitespace);
    HelmReleaseSpec {
        options: chart.spec.options.clone(),
        release_name: Some(name.to_owned()),
        overrides: (!is_blank).then(|| values.clone()),
    }
}

/// The same with what the API server fills in, which is no difference to what is not set.
#[must_use]
pub fn filled_in(mut spec: HelmReleaseSpec) -> HelmReleaseSpec {
    spec.options.create_namespace.get_or_insert(true);
    spec.options.timeout_seconds.get_or_insert(300);
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> HelmChart {
        serde_json::from_value(json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart",
            "metadata": {
                "namespace": "default", "name": "db", "uid": "u", "resourceVersion": "7",
                "labels": { "app": "db", "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a": "Subscription" },
                "annotations": { FEED_PROTECTION: "held", KUBECTL_LAST_APPLIED: "{}", "team": "a" },
            },
            "spec": { "repo": "https://charts.example.com", "chart": "mysql", "targetNamespace": "data" },
            "status": { "phase": "Found" },
        }))
        .unwrap()
    }

    #[test]
    fn what_is_deployed_of_a_chart_is_what_people_wrote() {
        assert_eq!(
            template(&chart()),
            json!({
                "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart",
                "metadata": { "namespace": "default", "name": "db", "labels": { "app": "db" }, "annotations": { "team": "a" } },
                "spec": { "repo": "https://charts.example.com", "chart": "mysql", "targetNamespace": "data" },
            })
        );
    }

    #[test]
    fn a_release_is_called_as_its_chart_object_and_blank_values_are_none() {
        let of = |values: &str| release("db", &chart(), &ByteString(values.as_bytes().to_vec()));
        assert_eq!((of(" ").release_name.as_deref(), of(" ").overrides), (Some("db"), None));
        assert!(of("{}").overrides.is_some());
        let spec = filled_in(of(" "));
        assert_eq!((spec.options.create_namespace, spec.options.timeout_seconds), (Some(true), Some(300)));
        assert_eq!(filled_in(spec.clone()), spec);
    }
}
