//! The Description of a Base as it should be, and the way there from what there is. Pure.

use std::collections::BTreeMap;

use api::{
    apps::{Deployer, Description, DescriptionSpec},
    names::{
        apps::{annotations::RENDERED, finalizers, generic_description, labels},
        labels::{CLUSTER_ID, CLUSTER_NAME, CONTROLLER_MANAGER, CREATED_BY},
    },
};
use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use crate::{
    key::Name,
    marks,
    parent::Write,
    world::{BaseRecord, DescriptionRecord, content},
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

/// The name of the Description of a Base.
pub(crate) fn name(base: &Name) -> Name {
    Name::new(base.namespace.clone(), generic_description(&base.name))
}

/// Whether a Description holds what was rendered from these inputs. What an override that waits would change now is no
/// reason to render again.
pub(crate) fn is_up_to_date(there: &DescriptionRecord, inputs: &str) -> bool {
    let recorded = there.rendered.as_deref().and_then(Provenance::read);
    recorded.is_some_and(|recorded| recorded.inputs == inputs && recorded.content == there.content)
}

/// A new Description.
pub(crate) fn create(base: &BaseRecord, inputs: &str, objects: Vec<Vec<u8>>) -> Write {
    let name = name(&base.meta.name);
    let provenance =
        Provenance { inputs: inputs.to_owned(), content: content(objects.iter().map(Vec::as_slice)) };
    let body = json!({
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
        "spec": spec(objects),
    });
    Write::Create(name.collection::<Description>(), body)
}

/// What has to change of a Description; none where nothing has. Without objects only its metadata is looked at.
pub(crate) fn update(
    base: &BaseRecord,
    there: &DescriptionRecord,
    rendered: Option<(&str, Vec<Vec<u8>>)>,
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
    if let Some((inputs, objects)) = rendered {
        let content = content(objects.iter().map(Vec::as_slice));
        let changed = content != there.content;
        let written = Provenance { inputs: inputs.to_owned(), content }.written();
        if there.rendered.as_ref() != Some(&written) {
            metadata.insert("annotations".to_owned(), json!({ RENDERED: written }));
        }
        if changed || there.deployer != Deployer::Generic {
            patch.insert("spec".to_owned(), json!(spec(objects)));
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

fn spec(objects: Vec<Vec<u8>>) -> DescriptionSpec {
    DescriptionSpec {
        deployer: Deployer::Generic,
        charts: Vec::new(),
        raw: objects.into_iter().map(ByteString).collect(),
        chart_raw: Vec::new(),
    }
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
