//! An adoption on paper, and whether it would restart anything.

use std::fmt::Write as _;

use api::apps::Feed;
use placement::diff::Difference;
use serde_json::{Value, json};

use super::Adoption;
use crate::{failure::Failure, output::table};

/// Fields whose change makes a workload replace its pods.
const PODS: [&str; 2] = ["/spec/template", "/spec/selector"];

/// Object by object what would differ in the cluster, and the Subscription.
pub(super) fn text(adoption: &Adoption) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(text, "From {}:", adoption.cluster);
    for object in &adoption.objects {
        let differences = &object.differences;
        let same = if differences.is_empty() { "   nothing would differ there" } else { "" };
        let _ = writeln!(text, "  {}{same}", named(&object.feed));
        let rows: Vec<Vec<String>> = differences.differences.iter().map(row).collect();
        for line in table(None, &rows).lines() {
            let _ = writeln!(text, "      {line}");
        }
        if differences.omitted > 0 {
            let _ = writeln!(text, "      and {} fields more", differences.omitted);
        }
    }
    for (object, why) in &adoption.left {
        let _ = writeln!(text, "  {object}   is left: {why}");
    }
    let metadata = &adoption.subscription["metadata"];
    let of = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
    let count = adoption.objects.len();
    let _ = writeln!(
        text,
        "{count} templates, deployed by Subscription {}/{} to this cluster only",
        of("namespace"),
        of("name")
    );
    text
}

fn row(difference: &Difference) -> Vec<String> {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| String::from("(none)"));
    vec![difference.path.clone(), format!("{} → {}", shown(&difference.before), shown(&difference.after))]
}

/// The same for machines.
pub(super) fn json(adoption: &Adoption) -> String {
    let objects: Vec<Value> = adoption
        .objects
        .iter()
        .map(|object| {
            let differences = object
                .differences
                .differences
                .iter()
                .map(|it| json!({ "path": it.path, "before": it.before, "after": it.after }));
            json!({
                "object": object.feed,
                "differences": differences.collect::<Vec<_>>(),
                "omitted": object.differences.omitted,
            })
        })
        .collect();
    let left: Vec<Value> =
        adoption.left.iter().map(|(object, why)| json!({ "object": object, "why": why })).collect();
    let value = json!({
        "cluster": adoption.cluster,
        "objects": objects,
        "left": left,
        "subscription": adoption.subscription,
        "notes": adoption.notes,
    });
    format!("{value:#}\n")
}

/// Why it cannot be done without restarting pods, if that is so.
pub(super) fn restarts(adoption: &Adoption) -> Option<Failure> {
    let has_pods = |live: &Value| !live["spec"]["template"]["spec"].is_null();
    let found = adoption.objects.iter().filter(|object| has_pods(&object.live)).find_map(|object| {
        let paths = object.differences.differences.iter().map(|it| it.path.as_str());
        let touches =
            |path: &str| PODS.iter().any(|pods| path == *pods || path.starts_with(&format!("{pods}/")));
        Some((&object.feed, paths.into_iter().find(|path| touches(path))?))
    });
    found.map(|(feed, path)| {
        Failure::new(format!("{} would be restarted", named(feed)))
            .because(format!("{path} would differ, as shown above"))
            .next("an override, or a default of the parent, sets it: set it in the cluster first, or take the override back")
    })
}

/// Kind, namespace and name.
pub(super) fn named(feed: &Feed) -> String {
    let place = feed.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{} {place}{}", feed.kind, feed.name)
}

#[cfg(test)]
mod tests {
    use placement::diff::diff;

    use super::{super::Adopted, *};

    fn adoption(before: &Value, after: &Value) -> Adoption {
        let feed = Feed {
            kind: "Deployment".into(),
            api_version: "apps/v1".into(),
            namespace: Some("qux".into()),
            name: "web".into(),
        };
        let objects = vec![Adopted {
            feed,
            live: before.clone(),
            template: after.clone(),
            differences: diff(before, after, 10),
        }];
        Adoption {
            cluster: "n/c".into(),
            objects,
            left: vec![(
                "Pod qux/web-1".into(),
                "It belongs to ReplicaSet web, which makes it: adopt that.".into(),
            )],
            subscription: json!({ "metadata": { "namespace": "default", "name": "qux" } }),
            notes: Vec::new(),
        }
    }

    #[test]
    fn what_would_differ_and_what_is_left_is_shown() {
        let live = json!({ "spec": { "template": { "spec": {} } } });
        let mut labelled = live.clone();
        labelled["metadata"] = json!({ "labels": { "a": "b" } });
        let shown = text(&adoption(&live, &labelled));
        assert!(shown.starts_with("From n/c:\n  Deployment qux/web\n      /metadata   (none) → "), "{shown}");
        assert!(shown.contains("Pod qux/web-1   is left: It belongs"), "{shown}");
        assert!(
            shown.ends_with("1 templates, deployed by Subscription default/qux to this cluster only\n"),
            "{shown}"
        );
        assert!(text(&adoption(&live, &live)).contains("nothing would differ there"));
        let value: Value = serde_json::from_str(&json(&adoption(&live, &labelled))).unwrap();
        assert_eq!(value["objects"][0]["differences"][0]["path"], "/metadata");
        assert!(restarts(&adoption(&live, &labelled)).is_none());
    }

    #[test]
    fn a_pod_template_that_would_differ_is_refused() {
        let pods = |image: &str| json!({ "spec": { "template": { "spec": { "image": image } } } });
        let why = restarts(&adoption(&pods("a"), &pods("b"))).unwrap().to_string();
        assert!(why.contains("Deployment qux/web would be restarted: /spec/template/spec/image"), "{why}");
    }
}
