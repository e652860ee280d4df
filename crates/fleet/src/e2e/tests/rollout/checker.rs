//! Whether every cluster is exactly as is wanted.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    Child,
    wanted::{Data, NAMESPACE, SUBSCRIPTIONS, Wanted, other},
};
use crate::cluster::Cluster;

/// An object in a cluster that is marked as deployed.
pub(super) struct Marked {
    kind: String,
    namespace: String,
    pub(super) name: String,
    /// `NAMESPACE.DESCRIPTION`.
    owner: String,
    data: Data,
}

impl Marked {
    /// Whether it is the namespace, or in it.
    pub(super) fn is_of(&self, namespace: &str) -> bool {
        self.namespace == namespace || (self.kind == "Namespace" && self.name == namespace)
    }
}

/// The objects of some resources that are marked as deployed.
pub(super) async fn marked(cluster: &Cluster, resources: &str) -> anyhow::Result<Vec<Marked>> {
    let selector = "apps.clusterway.io/deployed=true";
    let list = list(cluster, &["get", resources, "-A", "-l", selector]).await?;
    let object = |object: &Value| {
        let metadata = &object["metadata"];
        let data = object["data"].as_object().into_iter().flatten();
        Marked {
            kind: text(&object["kind"]),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
            owner: text(&metadata["annotations"]["apps.clusternet.io/owned-by-description"]),
            data: data.map(|(key, value)| (key.clone(), text(value))).collect(),
        }
    };
    Ok(list.iter().map(object).collect())
}

/// Says what is not as it is wanted.
pub(super) async fn check(parent: &Cluster, children: &[Child], wanted: &Wanted) -> anyhow::Result<()> {
    for child in children {
        let derived = Derived::read(parent, &child.registered.namespace, wanted).await?;
        let there = marked(&child.cluster, "configmaps,services,namespaces").await?;
        content(child, &there, wanted)?;
        for object in &there {
            let Marked { kind, namespace, name, owner, .. } = object;
            let wants = derived.wants.get(owner);
            let key = (kind.clone(), namespace.clone(), name.clone());
            ensure!(
                wants.is_some_and(|objects| objects.contains(&key)),
                "{kind} {namespace}/{name} in {} says that it is of {owner}, which does not want it",
                child.cluster.name
            );
        }
    }
    let states = list(parent, &["get", "sub", "-n", "default", "-l", super::SELECTOR]).await?;
    for subscription in &states {
        let conditions = subscription["status"]["conditions"].as_array();
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        let ready = ready.context("a Subscription says nothing of being Ready")?;
        ensure!(ready["status"] == "True", "{}: {}", subscription["metadata"]["name"], ready["message"]);
    }
    Ok(())
}

/// Whether the objects of the rollout are those that are wanted, as they are wanted.
fn content(child: &Child, there: &[Marked], wanted: &Wanted) -> anyhow::Result<()> {
    let name = &child.cluster.name;
    let (maps, others): (Vec<&Marked>, Vec<&Marked>) =
        there.iter().filter(|object| object.is_of(NAMESPACE)).partition(|object| object.kind == "ConfigMap");
    let mut expected = wanted.maps(child);
    for map in maps {
        let data =
            expected.remove(&map.name).with_context(|| format!("{} is left behind in {name}", map.name))?;
        ensure!(data == map.data, "{} in {name} is {:?} and not {data:?}", map.name, map.data);
    }
    ensure!(expected.is_empty(), "{} objects are missing in {name}: {:?}", expected.len(), expected.keys());
    let others: BTreeSet<(&str, &str)> =
        others.iter().map(|object| (object.kind.as_str(), object.name.as_str())).collect();
    let expected: Vec<_> = (0..SUBSCRIPTIONS).map(other).collect();
    let expected = expected.iter().map(|(kind, _, name)| (*kind, name.as_str())).collect();
    ensure!(others == expected, "{name} has {others:?}");
    Ok(())
}

/// What is made of the Subscriptions for one cluster.
struct Derived {
    /// By `NAMESPACE.DESCRIPTION`: kind, namespace and name of the objects it wants.
    wants: BTreeMap<String, BTreeSet<(String, String, String)>>,
}

impl Derived {
    /// Reads it, and refuses what is there twice or too much.
    async fn read(parent: &Cluster, namespace: &str, wanted: &Wanted) -> anyhow::Result<Self> {
        let bases = list(parent, &["get", "bases", "-n", namespace]).await?;
        let of = bases.iter().map(|base| text(&base["metadata"]["labels"]["apps.clusternet.io/subs.name"]));
        let of: Vec<String> = of.filter(|name| name.starts_with(NAMESPACE)).collect();
        let names: BTreeSet<String> = of.iter().cloned().collect();
        ensure!(of.len() == names.len(), "a Subscription has several Bases in {namespace}: {of:?}");
        ensure!(names == wanted.subscriptions(), "the Bases in {namespace} are of {names:?}");
        let mut wants = BTreeMap::new();
        let mut owners = Vec::new();
        for description in list(parent, &["get", "descriptions", "-n", namespace]).await? {
            let metadata = &description["metadata"];
            owners.extend(
                metadata["ownerReferences"].as_array().into_iter().flatten().map(|owner| text(&owner["uid"])),
            );
            let raw = description["spec"]["raw"].as_array().into_iter().flatten();
            let mut objects = BTreeSet::new();
            for object in raw {
                let object: Value = serde_json::from_slice(&STANDARD.decode(text(object))?)?;
                let metadata = &object["metadata"];
                objects.insert((
                    text(&object["kind"]),
                    text(&metadata["namespace"]),
                    text(&metadata["name"]),
                ));
            }
            wants.insert(format!("{namespace}.{}", text(&metadata["name"])), objects);
        }
        let uids: BTreeSet<&String> = owners.iter().collect();
        ensure!(uids.len() == owners.len(), "a Base in {namespace} has several Descriptions");
        let orphans =
            owners.iter().filter(|uid| !bases.iter().any(|base| base["metadata"]["uid"] == ***uid)).count();
        ensure!(orphans == 0, "{orphans} Descriptions in {namespace} have no Base");
        Ok(Self { wants })
    }
}

/// Confirms the deletion of what is being deleted in a dedicated namespace.
pub(super) async fn confirm(parent: &Cluster, namespace: &str) -> anyhow::Result<()> {
    for description in list(parent, &["get", "descriptions", "-n", namespace]).await? {
        let metadata = &description["metadata"];
        if metadata["deletionTimestamp"].is_null() {
            continue;
        }
        let confirm = format!("apps.clusterway.io/confirm-deletion={}", metadata["generation"]);
        let name = text(&metadata["name"]);
        // It may be gone meanwhile.
        parent.kubectl(&["annotate", "--overwrite", "description", &name, "-n", namespace, &confirm]).await?;
    }
    Ok(())
}

async fn list(cluster: &Cluster, args: &[&str]) -> anyhow::Result<Vec<Value>> {
    let found = cluster.kubectl_ok(&[args, &["-o", "json"]].concat()).await?;
    let mut found: Value = serde_json::from_str(&found)?;
    let items = found.get_mut("items").map(Value::take);
    Ok(items.and_then(|items| items.as_array().cloned()).unwrap_or_default())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
