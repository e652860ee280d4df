//! What is to be in each cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Child;

/// Subscriptions.
pub(super) const SUBSCRIPTIONS: usize = 4;
/// ConfigMaps of each; and there is one object of another kind.
const MAPS: usize = 49;
/// Of these so many are removed again.
const REMOVED: usize = 5;
/// Everything.
pub(super) const FEEDS: usize = SUBSCRIPTIONS * (MAPS + 1);
/// The namespace of everything, in the children, and the value of the label of everything, in the parent.
pub(super) const NAMESPACE: &str = "rollout";

/// How far the rollout has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Of the templates that change.
    pub(super) version: u32,
    /// Of the override that changes.
    pub(super) round: u32,
    /// Whether some feeds are removed again.
    pub(super) removed: bool,
    /// Whether there is one more Subscription.
    pub(super) is_late: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { version: 1, round: 1, removed: false, is_late: false }
    }
}

/// The data of a ConfigMap.
pub(super) type Data = BTreeMap<String, String>;

impl Wanted {
    /// The ConfigMaps of a cluster, by name.
    pub(super) fn maps(&self, child: &Child) -> BTreeMap<String, Data> {
        let mut all: BTreeMap<_, _> = (0..SUBSCRIPTIONS)
            .flat_map(|of| self.numbers(of))
            .map(|number| (map(number), self.data(number, child)))
            .collect();
        if self.is_late {
            all.insert(late_name(), Data::from([(String::from("at"), String::from("late"))]));
        }
        all
    }

    fn data(&self, number: usize, child: &Child) -> Data {
        let mut data = vec![("at", number.to_string())];
        data.push(("version", if is_versioned(number) { self.version } else { 1 }.to_string()));
        if is_overridden(number) {
            data.push(("cluster", child.registered.name.clone()));
            data.push(("round", self.round.to_string()));
        }
        if number == 1 {
            data.push(("local", child.registered.namespace.clone()));
        }
        data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// The ConfigMaps of a Subscription, by number.
    fn numbers(&self, of: usize) -> impl Iterator<Item = usize> + use<> {
        let end = if self.removed { MAPS - REMOVED } else { MAPS };
        (0..end).map(move |at| of * MAPS + at)
    }

    /// The names of the Subscriptions.
    pub(super) fn subscriptions(&self) -> BTreeSet<String> {
        (0..SUBSCRIPTIONS).map(subscription).chain(self.is_late.then(late_name)).collect()
    }

    /// How often ConfigMaps of one cluster change at most, until they are as they are wanted.
    pub(super) fn changes(&self) -> usize {
        let of_one = |number| 1 + usize::from(is_versioned(number)) + usize::from(is_overridden(number));
        (0..SUBSCRIPTIONS * MAPS).map(of_one).sum::<usize>() + usize::from(self.is_late)
    }
}

/// Whether the template changes.
fn is_versioned(number: usize) -> bool {
    number.is_multiple_of(3)
}

/// Whether it is overridden in every cluster.
fn is_overridden(number: usize) -> bool {
    number.is_multiple_of(4)
}

fn map(number: usize) -> String {
    format!("map-{number:03}")
}

fn subscription(of: usize) -> String {
    format!("{NAMESPACE}-{of}")
}

/// What comes in the end: the name of a ConfigMap and of its Subscription.
pub(super) fn late_name() -> String {
    format!("{NAMESPACE}-late")
}

/// The object of a Subscription that is no ConfigMap: kind, plural and name.
pub(super) fn other(of: usize) -> (&'static str, &'static str, String) {
    match of {
        0 => ("Namespace", "namespaces", NAMESPACE.to_owned()),
        _ => ("Service", "services", format!("service-{of}")),
    }
}

/// Every template, behind where it is kept.
pub(super) fn templates() -> Vec<(String, Value)> {
    let maps = (0..SUBSCRIPTIONS * MAPS).map(|number| {
        let labels = if is_overridden(number) { json!({ "everywhere": "yes" }) } else { json!({}) };
        let data = json!({ "at": number.to_string(), "version": "1" });
        (map(number), data, labels)
    });
    let late = (late_name(), json!({ "at": "late" }), json!({}));
    let maps = maps.chain([late]).map(|(name, data, labels)| {
        let template = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": { "name": name, "namespace": NAMESPACE, "labels": labels },
        });
        (format!("namespaces/{NAMESPACE}/configmaps/{name}"), template)
    });
    let others = (0..SUBSCRIPTIONS).map(|of| {
        let (kind, plural, name) = other(of);
        let mut template = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
        if kind == "Namespace" {
            return (format!("{plural}/{name}"), template);
        }
        template["metadata"]["namespace"] = json!(NAMESPACE);
        template["spec"] = json!({ "ports": [{ "port": 80 }] });
        (format!("namespaces/{NAMESPACE}/{plural}/{name}"), template)
    });
    maps.chain(others).collect()
}

/// Where the templates are that change.
pub(super) fn versioned() -> Vec<String> {
    let numbers = (0..SUBSCRIPTIONS * MAPS).filter(|number| is_versioned(*number));
    numbers.map(|number| format!("namespaces/{NAMESPACE}/configmaps/{}", map(number))).collect()
}

/// The Subscriptions, as a manifest.
pub(super) fn subscriptions(wanted: &Wanted) -> String {
    let feed = |kind: &str, name: String| {
        let mut feed = json!({ "apiVersion": "v1", "kind": kind, "name": name });
        if kind != "Namespace" {
            feed["namespace"] = json!(NAMESPACE);
        }
        feed
    };
    let usual = (0..SUBSCRIPTIONS).map(|of| {
        let maps = wanted.numbers(of).map(|number| feed("ConfigMap", map(number)));
        let (kind, _, name) = other(of);
        (subscription(of), maps.chain([feed(kind, name)]).collect::<Vec<_>>())
    });
    let late = wanted.is_late.then(|| (late_name(), vec![feed("ConfigMap", late_name())]));
    let all = usual.chain(late).map(|(name, feeds)| {
        json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Subscription",
            "metadata": { "name": name, "namespace": "default", "labels": { "rollout": NAMESPACE } },
            "spec": { "subscribers": [{ "clusterAffinity": {} }], "feeds": feeds },
        })
    });
    list(&all.collect::<Vec<_>>())
}

/// The overrides, as a manifest: one for every cluster that tells where it is, and one for each cluster.
pub(super) fn overrides(wanted: &Wanted, children: &[Child]) -> String {
    let everywhere = json!({
        "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Globalization",
        "metadata": { "name": NAMESPACE, "labels": { "rollout": NAMESPACE } },
        "spec": {
            "overridePolicy": "ApplyNow",
            "feedSelector": { "matchLabels": { "everywhere": "yes" } },
            "overrides": [{
                "type": "MergePatch", "template": true,
                "value": format!("data: {{cluster: '{{{{ .cluster.name }}}}', round: '{}'}}", wanted.round),
            }],
        },
    });
    let local = children.iter().map(|child| {
        let namespace = &child.registered.namespace;
        let value = json!({ "data": { "local": namespace } }).to_string();
        json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Localization",
            "metadata": { "name": NAMESPACE, "namespace": namespace, "labels": { "rollout": NAMESPACE } },
            "spec": {
                "overridePolicy": "ApplyNow",
                "feed": { "apiVersion": "v1", "kind": "ConfigMap", "namespace": NAMESPACE, "name": map(1) },
                "overrides": [{ "type": "MergePatch", "value": value }],
            },
        })
    });
    list(&[everywhere].into_iter().chain(local).collect::<Vec<_>>())
}

fn list(items: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}
