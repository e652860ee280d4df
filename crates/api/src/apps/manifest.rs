//! Manifests: ordinary objects in a wrapping (contract 1.9).

use std::borrow::Cow;

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
        CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceValidation,
        JSONSchemaProps,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{CustomResourceExt, Resource, core::NamespaceResourceScope, discovery::ApiResource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A Manifest wraps an ordinary object, so that the parent's controllers do not act on it. The object stands in
/// `template`, at the top level: there is no spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// `apps.clusternet.io/v1alpha1`.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// `Manifest`.
    #[serde(default = "kind")]
    pub kind: String,
    /// Its own metadata, not the object's.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The whole object.
    pub template: Value,
}

impl Manifest {
    /// What a reader of the object sees of the Manifest's own metadata.
    pub const SHOWN: [&str; 6] = [
        "generation",
        "creationTimestamp",
        "resourceVersion",
        "uid",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];

    /// A Manifest of this name around an object.
    pub fn new(name: &str, template: Value) -> Self {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        Self { api_version: api_version(), kind: kind(), metadata, template }
    }
}

fn api_version() -> String {
    Manifest::api_version(&()).into_owned()
}

fn kind() -> String {
    Manifest::kind(&()).into_owned()
}

impl Resource for Manifest {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Manifest".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        super::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        super::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "manifests".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// By hand: the derive makes kinds with a spec.
impl CustomResourceExt for Manifest {
    fn crd() -> CustomResourceDefinition {
        let names = CustomResourceDefinitionNames {
            categories: Some(vec!["clusternet".to_owned()]),
            kind: "Manifest".to_owned(),
            plural: "manifests".to_owned(),
            singular: Some("manifest".to_owned()),
            ..CustomResourceDefinitionNames::default()
        };
        let age = CustomResourceColumnDefinition {
            name: "AGE".to_owned(),
            type_: "date".to_owned(),
            json_path: ".metadata.creationTimestamp".to_owned(),
            description: Some("The time since the Manifest was made".to_owned()),
            ..CustomResourceColumnDefinition::default()
        };
        let template = JSONSchemaProps {
            description: Some("The whole object, with its own apiVersion, kind and metadata.".to_owned()),
            type_: Some("object".to_owned()),
            x_kubernetes_preserve_unknown_fields: Some(true),
            ..JSONSchemaProps::default()
        };
        let schema = JSONSchemaProps {
            description: Some(
                "A Manifest wraps an ordinary object that Subscriptions can deploy. The parent's controllers do not act \
                 on it."
                    .to_owned(),
            ),
            type_: Some("object".to_owned()),
            required: Some(vec!["template".to_owned()]),
            properties: Some([("template".to_owned(), template)].into()),
            ..JSONSchemaProps::default()
        };
        let version = CustomResourceDefinitionVersion {
            name: super::VERSION.to_owned(),
            served: true,
            storage: true,
            additional_printer_columns: Some(vec![age]),
            schema: Some(CustomResourceValidation { open_api_v3_schema: Some(schema) }),
            ..CustomResourceDefinitionVersion::default()
        };
        CustomResourceDefinition {
            metadata: ObjectMeta { name: Some(Self::crd_name().to_owned()), ..ObjectMeta::default() },
            spec: CustomResourceDefinitionSpec {
                group: super::GROUP.to_owned(),
                names,
                scope: "Namespaced".to_owned(),
                versions: vec![version],
                ..CustomResourceDefinitionSpec::default()
            },
            ..CustomResourceDefinition::default()
        }
    }

    fn crd_name() -> &'static str {
        "manifests.apps.clusternet.io"
    }

    fn api_resource() -> ApiResource {
        ApiResource::erase::<Self>(&())
    }

    fn shortnames() -> &'static [&'static str] {
        &[]
    }
}
