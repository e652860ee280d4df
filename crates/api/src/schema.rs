//! Schemas that the derive cannot give: those of Kubernetes' own types, with the validation Kubernetes' Go types have.

use schemars::{Schema, SchemaGenerator, json_schema};

/// The pattern Kubernetes gives to quantities.
const QUANTITY_PATTERN: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// What a moment looks like. The API server's `date-time` also lets pass what is no moment, such as an offset of 99 hours
/// or ten digits after the point; a child that reports such a time must not stop whoever reads all ManagedClusters.
const TIME_PATTERN: &str = r"^[0-8][0-9]{3}-[0-9]{2}-[0-9]{2}[tT][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([zZ]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Standard base64, padded, no bits behind the last byte.
const BASE64_PATTERN: &str =
    r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// A moment, RFC 3339.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "pattern": TIME_PATTERN })
}

/// A base64 string, `format: byte`.
pub(crate) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte" })
}

/// A base64 string that people write, maybe empty. `format: byte` refuses the empty text, which manifests have where there
/// is nothing to say, and lets bits behind the last byte pass, which stop whoever decodes strictly: one such object would
/// hide all others from our controllers.
pub(crate) fn base64(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": BASE64_PATTERN })
}

/// One quantity: a number or a string such as `250m` or `16Gi`.
pub(crate) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "pattern": QUANTITY_PATTERN,
        "x-kubernetes-int-or-string": true,
    })
}

/// Quantities by resource name.
pub(crate) fn quantities(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": quantity(generator) })
}

/// `metav1.Condition`s, as a plain list.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "description": "A condition tells one aspect of the object's current state.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "description": "The last time the condition changed from one status to another.",
                    "type": "string",
                    "format": "date-time",
                    "pattern": TIME_PATTERN,
                },
                "message": {
                    "description": "What there is to say about the last change, for people. It may be empty.",
                    "type": "string",
                    "maxLength": 32768,
                },
                "observedGeneration": {
                    "description": "The metadata.generation the condition was derived from. When it is lower than the \
                                    object's generation, the condition is out of date.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "reason": {
                    "description": "The reason for the last change, one CamelCase word for programs.",
                    "type": "string",
                    "maxLength": 1024,
                    "minLength": 1,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": {
                    "description": "Whether the condition holds: True, False or Unknown.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "type": {
                    "description": "The name of the condition, in CamelCase or as foo.example.com/CamelCase.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
            },
        },
    })
}

/// core/v1 `Taint`s.
pub(crate) fn taints(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "description": "A taint has its effect on everything that does not tolerate it.",
            "type": "object",
            "required": ["effect", "key"],
            "properties": {
                "effect": {
                    "description": "What happens to workloads that do not tolerate the taint: NoSchedule, \
                                    PreferNoSchedule or NoExecute.",
                    "type": "string",
                },
                "key": { "description": "The key of the taint.", "type": "string" },
                "timeAdded": {
                    "description": "When the taint was added. It is set for NoExecute taints only.",
                    "type": "string",
                    "format": "date-time",
                    "pattern": TIME_PATTERN,
                },
                "value": { "description": "The value that belongs to the key.", "type": "string" },
            },
        },
    })
}
