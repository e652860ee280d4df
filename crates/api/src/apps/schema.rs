//! Schemas of Kubernetes' own types that the kinds of this group use, with the validation Kubernetes' Go types have.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// An object of which nothing is known.
pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A list of base64 texts, `format: byte`.
pub(super) fn list_of_bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "format": "byte" } })
}

/// A base64 text, `format: byte`.
pub(super) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte" })
}

fn requirement_properties() -> Value {
    json!({
        "key": { "description": "The key the requirement is about.", "type": "string" },
        "operator": { "description": "How the key relates to the values.", "type": "string" },
        "values": {
            "description": "The values. Operators that only look for the key have none.",
            "type": "array",
            "items": { "type": "string" },
        },
    })
}

/// `metav1.LabelSelector`, replaced as a whole.
pub(super) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that are wanted, all of them.",
                "type": "object",
                "additionalProperties": { "type": "string" },
            },
            "matchExpressions": {
                "description": "Further requirements, all of which must hold.",
                "type": "array",
                "items": {
                    "description": "A requirement on one label. The operator is In, NotIn, Exists or DoesNotExist.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": requirement_properties(),
                },
            },
        },
    })
}

/// core/v1 `Toleration`s.
pub(super) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "description": "A toleration takes their effect from the taints it matches.",
            "type": "object",
            "properties": {
                "key": { "description": "The key of the taint. None, with the operator Exists, is every taint.", "type": "string" },
                "operator": { "description": "Equal, which compares the value and is the default, or Exists.", "type": "string" },
                "value": { "description": "The value of the taint, for the operator Equal.", "type": "string" },
                "effect": { "description": "The effect of the taint. None is every effect.", "type": "string" },
                "tolerationSeconds": {
                    "description": "How long a NoExecute taint is tolerated. It has no meaning for clusters.",
                    "type": "integer",
                    "format": "int64",
                },
            },
        },
    })
}

/// core/v1 `TopologySpreadConstraint`s.
pub(super) fn topology_spread_constraints(generator: &mut SchemaGenerator) -> Schema {
    let mut selector = label_selector(generator);
    selector.insert("description".to_owned(), json!("Selects the pods that are counted."));
    json_schema!({
        "type": "array",
        "items": {
            "description": "How replicas are spread over groups of clusters.",
            "type": "object",
            "required": ["maxSkew", "topologyKey", "whenUnsatisfiable"],
            "properties": {
                "maxSkew": { "description": "How unequal the groups may be.", "type": "integer", "format": "int32" },
                "minDomains": { "description": "How many groups there must be.", "type": "integer", "format": "int32" },
                "topologyKey": { "description": "The label that makes the groups.", "type": "string" },
                "whenUnsatisfiable": { "description": "DoNotSchedule or ScheduleAnyway.", "type": "string" },
                "labelSelector": selector,
                "matchLabelKeys": {
                    "description": "Labels of the pods that are added to the selector.",
                    "type": "array",
                    "items": { "type": "string" },
                },
                "nodeAffinityPolicy": { "description": "Honor or Ignore, for affinity.", "type": "string" },
                "nodeTaintsPolicy": { "description": "Honor or Ignore, for taints.", "type": "string" },
            },
        },
    })
}

/// core/v1 `PreferredSchedulingTerm`s.
pub(super) fn preferred_scheduling_terms(_: &mut SchemaGenerator) -> Schema {
    let requirements = |about: &str| {
        json!({
            "description": about,
            "type": "array",
            "items": {
                "description": "One requirement. The operator is In, NotIn, Exists, DoesNotExist, Gt or Lt.",
                "type": "object",
                "required": ["key", "operator"],
                "properties": requirement_properties(),
            },
        })
    };
    json_schema!({
        "type": "array",
        "items": {
            "description": "A preference and how much it counts.",
            "type": "object",
            "required": ["preference", "weight"],
            "properties": {
                "weight": { "description": "How much it counts, 1 to 100.", "type": "integer", "format": "int32" },
                "preference": {
                    "description": "Which clusters are preferred.",
                    "type": "object",
                    "properties": {
                        "matchExpressions": requirements("Requirements on labels."),
                        "matchFields": requirements("Requirements on fields."),
                    },
                },
            },
        },
    })
}

/// core/v1 `ResourceRequirements`.
pub(super) fn resource_requirements(generator: &mut SchemaGenerator) -> Schema {
    let quantities = |generator: &mut SchemaGenerator, about: &str| {
        let mut schema = crate::schema::quantities(generator);
        schema.insert("description".to_owned(), json!(about));
        schema
    };
    json_schema!({
        "type": "object",
        "properties": {
            "limits": quantities(generator, "The most one replica may use, by resource name."),
            "requests": quantities(generator, "What one replica needs, by resource name."),
            "claims": {
                "description": "The devices one replica needs.",
                "type": "array",
                "items": {
                    "description": "A reference to a claim of the pod.",
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": { "description": "The name of the claim.", "type": "string" },
                        "request": { "description": "The name of the request in it.", "type": "string" },
                    },
                },
            },
        },
    })
}
