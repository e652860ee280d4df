//! The parent's OpenAPI documents: what an object of a kind may look like, and how lists in it are merged.

mod check;

use serde_json::{Map, Value};

pub(crate) use check::check;

/// The schemas of one group version, as `/openapi/v3/…` tells them.
#[derive(Debug, Default)]
pub(crate) struct Document {
    schemas: Map<String, Value>,
}

/// One schema in its document; none where nothing is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schema<'a> {
    document: &'a Document,
    /// As it stands at a property: with its description, default and merge strategy.
    outer: Option<&'a Value>,
    /// What it refers to.
    inner: Option<&'a Value>,
}

/// References to references that are followed.
const HOPS: usize = 8;

impl Document {
    /// Reads a document; one that is none knows nothing.
    pub(crate) fn read(json: &[u8]) -> Self {
        let document: Option<Value> = serde_json::from_slice(json).ok();
        let schemas =
            document.and_then(|mut document| match document.pointer_mut("/components/schemas")?.take() {
                Value::Object(schemas) => Some(schemas),
                _ => None,
            });
        Self { schemas: schemas.unwrap_or_default() }
    }

    /// The schema of a kind.
    pub(crate) fn kind(&self, group: &str, version: &str, kind: &str) -> Option<Schema<'_>> {
        let is_it = |schema: &&Value| {
            let names = schema["x-kubernetes-group-version-kind"].as_array();
            names
                .into_iter()
                .flatten()
                .any(|name| name["group"] == group && name["version"] == version && name["kind"] == kind)
        };
        self.schemas.values().find(is_it).map(|schema| self.schema(Some(schema)))
    }

    fn schema<'a>(&'a self, outer: Option<&'a Value>) -> Schema<'a> {
        Schema { document: self, outer, inner: outer.and_then(|schema| self.resolve(schema)) }
    }

    /// What a schema refers to: itself, or by `$ref`, alone or as the only member of `allOf`.
    fn resolve<'a>(&'a self, mut schema: &'a Value) -> Option<&'a Value> {
        for _ in 0..HOPS {
            let reference =
                schema.get("$ref").or_else(|| match schema.get("allOf")?.as_array()?.as_slice() {
                    [only] => only.get("$ref"),
                    _ => None,
                });
            let Some(reference) = reference else { return Some(schema) };
            schema = self.schemas.get(reference.as_str()?.strip_prefix("#/components/schemas/")?)?;
        }
        None
    }
}

impl<'a> Schema<'a> {
    /// A field of an object.
    pub(crate) fn field(self, key: &str) -> Self {
        let found = self.inner.and_then(|schema| {
            let named = schema.get("properties").and_then(|properties| properties.get(key));
            named.or_else(|| schema.get("additionalProperties").filter(|value| value.is_object()))
        });
        self.document.schema(found)
    }

    /// An element of a list.
    pub(crate) fn item(self) -> Self {
        self.document.schema(self.inner.and_then(|schema| schema.get("items")))
    }

    /// Whether a strategic merge patch merges this list, or keeps only the keys it names of this object.
    pub(crate) fn has_strategy(self, strategy: &str) -> bool {
        let text = self.keyword("x-kubernetes-patch-strategy").and_then(Value::as_str).unwrap_or_default();
        text.split(',').any(|part| part.trim() == strategy)
    }

    /// By which field the elements of this list are told apart in a strategic merge patch.
    pub(crate) fn merge_key(self) -> Option<&'a str> {
        self.keyword("x-kubernetes-patch-merge-key").and_then(Value::as_str)
    }

    /// A keyword that stands at the property or at what it refers to.
    fn keyword(self, name: &str) -> Option<&'a Value> {
        self.outer.and_then(|schema| schema.get(name)).or_else(|| self.inner?.get(name))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// Deployments, as a real server describes them, as far as tests need it.
    pub(crate) fn apps() -> Document {
        Document::read(apps_json().to_string().as_bytes())
    }

    pub(crate) fn apps_json() -> Value {
        let reference = |name: &str| json!({ "allOf": [{ "$ref": format!("#/components/schemas/{name}") }], "default": {} });
        json!({ "components": { "schemas": {
            "Deployment": {
                "type": "object",
                "properties": {
                    "apiVersion": { "type": "string" }, "kind": { "type": "string" },
                    "metadata": reference("ObjectMeta"), "spec": reference("DeploymentSpec"),
                },
                "x-kubernetes-group-version-kind": [{ "group": "apps", "version": "v1", "kind": "Deployment" }],
            },
            "ObjectMeta": { "type": "object", "properties": {
                "name": { "type": "string" }, "namespace": { "type": "string" },
                "labels": { "type": "object", "additionalProperties": { "type": "string", "default": "" } },
                "annotations": { "type": "object", "additionalProperties": { "type": "string", "default": "" } },
                "creationTimestamp": { "type": "string", "format": "date-time" },
                "finalizers": { "type": "array", "items": { "type": "string" }, "x-kubernetes-patch-strategy": "merge" },
            } },
            "DeploymentSpec": {
                "type": "object", "required": ["selector", "template"],
                "properties": {
                    "replicas": { "type": "integer", "format": "int32" },
                    "selector": { "allOf": [{ "$ref": "#/components/schemas/Selector" }] },
                    "template": reference("PodTemplate"),
                    "strategy": { "allOf": [{ "$ref": "#/components/schemas/Strategy" }], "default": {},
                                  "x-kubernetes-patch-strategy": "retainKeys" },
                },
            },
            "Selector": { "type": "object", "properties": {
                "matchLabels": { "type": "object", "additionalProperties": { "type": "string" } } } },
            "Strategy": { "type": "object", "properties": {
                "type": { "type": "string", "enum": ["Recreate", "RollingUpdate"] },
                "rollingUpdate": { "type": "object", "properties": {
                    "maxSurge": { "$ref": "#/components/schemas/IntOrString" } } } } },
            "IntOrString": { "oneOf": [{ "type": "integer" }, { "type": "string" }], "format": "int-or-string" },
            "PodTemplate": { "type": "object", "properties": {
                "metadata": reference("ObjectMeta"),
                "spec": { "type": "object", "properties": { "containers": {
                    "type": "array", "items": reference("Container"),
                    "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name" } } } } },
            "Container": { "type": "object", "required": ["name"], "properties": {
                "name": { "type": "string" }, "image": { "type": "string" },
                "args": { "type": "array", "items": { "type": "string" } },
                "env": { "type": "array", "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name",
                         "items": { "type": "object", "properties": {
                            "name": { "type": "string" }, "value": { "type": "string" } } } } } },
        } } })
    }

    #[test]
    fn strategies_are_found_through_references() {
        let document = apps();
        let deployment = document.kind("apps", "v1", "Deployment").unwrap();
        let containers = deployment.field("spec").field("template").field("spec").field("containers");
        assert!(containers.has_strategy("merge"));
        assert_eq!(containers.merge_key(), Some("name"));
        assert!(containers.item().field("env").has_strategy("merge"));
        assert!(!containers.item().field("args").has_strategy("merge"));
        assert!(deployment.field("spec").field("strategy").has_strategy("retainKeys"));
        assert!(!deployment.field("nothing").item().field("here").has_strategy("merge"));
    }

    #[test]
    fn a_document_that_is_none_and_a_reference_in_a_circle_know_nothing() {
        assert!(Document::read(b"[]").kind("apps", "v1", "Deployment").is_none());
        let circle = json!({ "components": { "schemas": { "A": { "$ref": "#/components/schemas/A",
            "x-kubernetes-group-version-kind": [{ "group": "", "version": "v1", "kind": "A" }] } } } });
        let document = Document::read(circle.to_string().as_bytes());
        assert!(document.kind("", "v1", "A").unwrap().field("x").inner.is_none());
    }
}
