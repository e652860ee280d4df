//! The Description of a Base as it should be, and the way there from what there is. Pure.

use std::collections::BTreeMap;

use api::{
    apps::{Deployer, Description, Feed},
    names::{
        apps::{annotations::RENDERED, finalizers, generic_description, helm_description, labels},
        deployer::annotations::SUBSCRIPTION_PAUSED,
        labels::{CLUSTER_ID, CLUSTER_NAME, CONTROLLER_MANAGER, CREATED_BY},
    },
};
use serde_json::{Map, Value, json};

use crate::{
    contents::Packed,
    key::Name,
    marks,
    parent::Write,
    world::{BaseRecord, DescriptionRecord},
};

/// The longest value of a label.
const LABEL: usize = 63;

/// From what a Description was rendered, and what that gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provenance {
    pub(crate) inputs: String,
    pub(crate) content: String,
}

impl Provenance {
    fn read(text: &str) -> Option<Self> {
        let (inputs, content) = text.split_once('.')?;
        Some(Self { inputs: inputs.to_owned(), content: content.to_owned() })
    }

    fn written(&self) -> String {
        format!("{}.{}", self.inputs, self.content)
    }
}

/// A Base has a Description for each of them that has something to do.
pub(crate) const DEPLOYERS: [Deployer; 2] = [Deployer::Generic, Deployer::Helm];

/// In which of a Base's Descriptions a feed is.
pub(crate) fn deployer_of(feed: &Feed) -> Deployer {
    if feed.is_chart() { Deployer::Helm } else { Deployer::Generic }
}

/// The name of the Description that a Base has for a deployer.
pub(crate) fn name(base: &Name, deployer: Deployer) -> Name {
    let name = match deployer {
        Deployer::Generic => generic_description(&base.name),
        Deployer::Helm => helm_description(&base.name),
    };
    Name::new(base.namespace.clone(), name)
}

/// The Base whose Description has this name.
pub(crate) fn base_of(description: &Name) -> Option<Name> {
    let name = &description.name;
    let base = name.strip_suffix("-generic").or_else(|| name.strip_suffix("-helm"))?;
    Some(Name::new(description.namespace.clone(), base))
}

/// Whether a Description holds what was rendered from these inputs. What an override that waits would change now is no
/// reason to render again.
pub(crate) fn is_up_to_date(there: &DescriptionRecord, inputs: &str) -> bool {
    let recorded = there.rendered.as_deref().and_then(Provenance::read);
    recorded.is_some_and(|recorded| recorded.inputs == inputs && recorded.content == there.content)
}

/// A new Description; `paused`: its Subscription is.
pub(crate) fn create(base: &BaseRecord, inputs: &str, packed: &Packed, paused: bool) -> Write {
    let name = name(&base.meta.name, packed.spec.deployer);
    let provenance = Provenance { inputs: inputs.to_owned(), content: packed.content.clone() };
    let mut body = json!({
        "apiVersion": format!("{}/{}", api::apps::GROUP, api::apps::VERSION),
        "kind": "Description",
        "metadata": {
            "name": name.name,
            "namespace": name.namespace,
            "labels": labels(base),
            "annotations": { RENDERED: provenance.written() },
            "finalizers": [finalizers::APPS],
            "ownerReferences": [owner(base)],
        },
        "spec": packed.spec,
    });
    if paused {
        body["metadata"]["annotations"][SUBSCRIPTION_PAUSED] = json!("true");
    }
    Write::Create(name.collection::<Description>(), body)
}

/// Hands on whether the Subscription is paused; none where the Description says so already.
pub(crate) fn pause(there: &DescriptionRecord, paused: bool) -> Option<Write> {
    let value = paused.then_some("true");
    let patch = json!({ "metadata": {
        "resourceVersion": there.meta.resource_version,
        "annotations": { SUBSCRIPTION_PAUSED: value },
    } });
    (there.paused != paused).then(|| Write::Merge(there.meta.name.path::<Description>(), patch))
}

/// What has to change of a Description; none where nothing has. Without a spec only its metadata is looked at.
pub(crate) fn update(
    base: &BaseRecord,
    there: &DescriptionRecord,
    rendered: Option<(&str, &Packed)>,
) -> Option<Write> {
    let mut metadata = Map::new();
    let changed = marks::labels(&there.meta.labels, &labels(base), |_, _| false);
    if !changed.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(changed));
    }
    if there.owner.as_deref() != Some(&base.meta.uid) {
        metadata.insert("ownerReferences".to_owned(), json!([owner(base)]));
    }
    if let Some(all) = marks::finalizers(&there.meta.finalizers, &[finalizers::APPS], &[]) {
        metadata.insert("finalizers".to_owned(), json!(all));
    }
    let mut patch = Map::new();
    if let Some((inputs, Packed { spec, content })) = rendered {
        // What it holds may stay where it is, unless its cluster cannot read it there.
        let unreadable = spec.contents.is_empty() && there.contents().next().is_some();
        let changed = *content != there.content || unreadable;
        let written = Provenance { inputs: inputs.to_owned(), content: content.clone() }.written();
        if there.rendered.as_ref() != Some(&written) {
            metadata.insert("annotations".to_owned(), json!({ RENDERED: written }));
        }
        if changed || there.deployer != spec.deployer {
            let mut spec = json!(spec);
            if spec.get("contents").is_none() {
                spec["contents"] = Value::Null;
            }
            patch.insert("spec".to_owned(), spec);
        }
    }
    if metadata.is_empty() && patch.is_empty() {
        return None;
    }
    metadata.insert("resourceVersion".to_owned(), json!(there.meta.resource_version));
    patch.insert("metadata".to_owned(), Value::Object(metadata));
    Some(Write::Merge(there.meta.name.path::<Description>(), Value::Object(patch)))
}

/// The Description is let alone: its Base goes, and another will own it.
pub(crate) fn orphan(there: &DescriptionRecord) -> Write {
    let patch = json!({
        "metadata": { "resourceVersion": there.meta.resource_version, "ownerReferences": null },
    });
    Write::Merge(there.meta.name.path::<Description>(), patch)
}

/// No blockOwnerDeletion: it would take the right to update the Base's finalizers.
fn owner(base: &BaseRecord) -> Value {
    json!({
        "apiVersion": format!("{}/{}", api::apps::GROUP, api::apps::VERSION),
        "kind": "Base",
        "name": base.meta.name.name,
        "uid": base.meta.uid,
        "controller": true,
    })
}

/// The labels of contract 2.1. Those of the Base that speak of cluster and Subscription are handed on.
fn labels(base: &BaseRecord) -> BTreeMap<String, String> {
    let handed_on = [
        CLUSTER_ID,
        CLUSTER_NAME,
        labels::SUBSCRIPTION_UID,
        labels::SUBSCRIPTION_NAME,
        labels::SUBSCRIPTION_NAMESPACE,
    ];
    let mut all: BTreeMap<String, String> = handed_on
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), base.meta.labels.get(*key)?.clone())))
        .collect();
    let Name { namespace, name } = &base.meta.name;
    for (key, value) in [
        (CREATED_BY, CONTROLLER_MANAGER),
        (labels::CONFIG_KIND, "Base"),
        (labels::CONFIG_NAMESPACE, namespace),
        (labels::CONFIG_NAME, name),
        (labels::CONFIG_UID, &base.meta.uid),
    ] {
        if value.len() <= LABEL {
            all.insert(key.to_owned(), value.to_owned());
        }
    }
    all
}
