//! The printer columns of custom resources, told to the store for whoever prints their objects.
//!
//! They stand in the CustomResourceDefinitions, which need not be synchronised themselves. Where the cluster does not let
//! them be read, nothing is told, and objects are printed with their names and ages.

use std::{collections::BTreeMap, sync::Arc};

use api::names::search::PRINTER_COLUMNS;
use runtime::CancellationToken;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use store::Resource;
use tokio::sync::watch;

use crate::{
    follow::Context,
    rules::{BUILT_IN, Rules},
    scout::Found,
};

/// A definition is mostly its schema.
const MOST_BYTES: usize = 8 << 20;

/// The definition of a custom resource, as far as it is read.
#[derive(Deserialize)]
struct Definition {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    name: String,
    additional_printer_columns: Option<Box<RawValue>>,
}

/// Tells the columns of what the rules select, whenever the cluster has been looked at or the rules have changed.
pub(crate) async fn keep_told(
    context: &Context,
    mut rules: watch::Receiver<Arc<Rules>>,
    mut seen: watch::Receiver<Option<Found>>,
    ends: &CancellationToken,
) {
    let mut told = BTreeMap::new();
    loop {
        tokio::select! {
            () = ends.cancelled() => return,
            changed = seen.changed() => if changed.is_err() { return },
            changed = rules.changed() => if changed.is_err() { return },
        }
        let Some(found) = seen.borrow_and_update().clone() else { continue };
        let targets = rules.borrow_and_update().select(&found.discovered.resources);
        told.retain(|resource, _| targets.contains_key(resource));
        for resource in targets.into_keys().filter(is_custom) {
            let columns = tokio::select! {
                () = ends.cancelled() => return,
                columns = read(context, &resource) => columns,
            };
            match columns {
                Ok(Some(text)) if told.get(&resource) != Some(&text) => {
                    let kept = context.store.describe(&context.cluster, &resource, text.clone()).await;
                    // Next time.
                    if kept.is_ok() {
                        told.insert(resource, text);
                    }
                }
                // What an API server of its own serves has no definition.
                Ok(_) | Err(kubeio::Error::NotFound(_)) => {}
                Err(error) => {
                    tracing::debug!(cluster = %context.cluster, %error, "printer columns cannot be read");
                    break;
                }
            }
        }
    }
}

/// Whether a resource may have a definition: groups of Kubernetes itself have none.
fn is_custom(resource: &Resource) -> bool {
    !BUILT_IN.contains(&resource.group.as_str())
}

/// What is to be told of a resource; nothing if its definition says nothing.
async fn read(context: &Context, resource: &Resource) -> Result<Option<String>, kubeio::Error> {
    let Resource { group, version, resource } = resource;
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{resource}.{group}");
    let definition = kubeio::get(&*context.transport, &path, MOST_BYTES).await?;
    Ok(columns(&definition, version))
}

fn columns(definition: &[u8], version: &str) -> Option<String> {
    let definition: Definition = serde_json::from_slice(definition).ok()?;
    let found = definition.spec.versions.into_iter().find(|candidate| candidate.name == version)?;
    Some(json!({ PRINTER_COLUMNS: found.additional_printer_columns? }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_those_of_the_version() {
        let definition = br#"{"spec":{"versions":[{"name":"v1","schema":{"openAPIV3Schema":{}},
            "additionalPrinterColumns":[{"name":"Size","type":"integer","jsonPath":".spec.size"}]},{"name":"v2"}]}}"#;
        let told =
            r#"{"additionalPrinterColumns":[{"jsonPath":".spec.size","name":"Size","type":"integer"}]}"#;
        let of = |version| columns(definition, version).map(|text| serde_json::from_str(&text).unwrap());
        assert_eq!(of("v1"), Some(serde_json::from_str::<serde_json::Value>(told).unwrap()));
        assert_eq!((of("v2"), of("v3")), (None, None));
        assert_eq!(columns(b"[]", "v1"), None);
    }

    #[test]
    fn only_custom_resources_have_definitions() {
        let custom = |group: &str| is_custom(&Resource::new(group, "v1", "things"));
        assert!(custom("demo.io") && custom("gateway.networking.k8s.io"));
        assert!(!custom("") && !custom("apps") && !custom("storage.k8s.io"));
    }
}
