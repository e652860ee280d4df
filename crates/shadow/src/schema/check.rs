//! Whether an object has the form its schema demands.
//!
//! What a server does beyond that is not done here: no defaults, no rules in CEL, no admission.

use meta::StatusCause;
use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::Schema;

/// Values that are looked at, and how deep: an object within the limits of a request is far below, but a schema with
/// alternatives of alternatives could make much work of little.
const STEPS: usize = 2_000_000;
const DEPTH: usize = 128;
/// Causes that are told.
const CAUSES: usize = 20;

/// What a check has found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// What makes the object invalid.
    pub(crate) causes: Vec<StatusCause>,
    /// Fields that the schema does not have.
    pub(crate) unknown: Vec<String>,
}

/// Holds an object against the schema of its kind.
pub(crate) fn check(object: &Value, schema: Schema<'_>) -> Findings {
    let mut checker = Checker { findings: Findings::default(), steps: STEPS };
    checker.value(object, schema, &Place { above: None, step: "" }, 0);
    checker.findings.causes.truncate(CAUSES);
    checker.findings.unknown.truncate(CAUSES);
    checker.findings
}

/// The way to a value; written only when something is wrong there.
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: &'a str,
}

impl Place<'_> {
    fn write(&self, to: &mut String) {
        if let Some(above) = self.above {
            above.write(to);
        }
        if !self.step.is_empty() {
            if !to.is_empty() && !self.step.starts_with('[') {
                to.push('.');
            }
            to.push_str(self.step);
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
}

struct Checker {
    findings: Findings,
    steps: usize,
}

impl Checker {
    fn value(&mut self, value: &Value, schema: Schema<'_>, place: &Place<'_>, depth: usize) {
        let Some(rules) = schema.inner else { return };
        // A null is an absent field, for every server.
        if value.is_null() {
            return;
        }
        if self.steps == 0 || depth > DEPTH {
            return self.wrong(place, "the object is too deep or too large to be checked");
        }
        self.steps -= 1;
        self.kind_of_value(value, rules, place);
        self.bounds(value, rules, place);
        match value {
            Value::Object(fields) => self.fields(fields, schema, rules, place, depth),
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let step = format!("[{at}]");
                    self.value(item, schema.item(), &Place { above: Some(place), step: &step }, depth + 1);
                }
            }
            _ => {}
        }
        self.alternatives(value, schema, rules, place, depth);
    }

    fn fields(
        &mut self,
        fields: &Map<String, Value>,
        schema: Schema<'_>,
        rules: &Value,
        place: &Place<'_>,
        depth: usize,
    ) {
        let properties = rules.get("properties").and_then(Value::as_object);
        let required = rules.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            let missing = fields.get(name).is_none_or(Value::is_null);
            if missing && schema.field(name).keyword("default").is_none() {
                self.wrong(&Place { above: Some(place), step: name }, "Required value");
            }
        }
        let open = ["additionalProperties", "x-kubernetes-preserve-unknown-fields"]
            .iter()
            .any(|key| rules.get(key).is_some_and(|value| *value != Value::Bool(false)));
        for (name, value) in fields {
            let place = Place { above: Some(place), step: name };
            let known = properties.is_some_and(|properties| properties.contains_key(name));
            if !known && !open && properties.is_some() && self.findings.unknown.len() < CAUSES {
                self.findings.unknown.push(place.text());
            }
            self.value(value, schema.field(name), &place, depth + 1);
        }
    }

    /// Type and enumeration.
    fn kind_of_value(&mut self, value: &Value, rules: &Value, place: &Place<'_>) {
        let either = rules.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
        if either && !(value.is_i64() || value.is_u64() || value.is_string()) {
            return self.wrong(place, "must be an integer or a string");
        }
        let fits = match rules.get("type").and_then(Value::as_str) {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("number") => value.is_number(),
            Some("integer") => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
            }
            _ => true,
        };
        if !fits {
            let wanted = rules.get("type").and_then(Value::as_str).unwrap_or_default();
            return self.wrong(place, &format!("must be of type {wanted}"));
        }
        if let Some(allowed) = rules.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().take(20).map(Value::to_string).collect();
            self.wrong(place, &format!("supported values: {}", allowed.join(", ")));
        }
    }

    /// Lengths, numbers and patterns.
    fn bounds(&mut self, value: &Value, rules: &Value, place: &Place<'_>) {
        let limit = |key: &str| rules.get(key).and_then(Value::as_u64).map(|limit| limit as usize);
        let length = match value {
            Value::String(text) => Some((text.chars().count(), "minLength", "maxLength")),
            Value::Array(items) => Some((items.len(), "minItems", "maxItems")),
            Value::Object(fields) => Some((fields.len(), "minProperties", "maxProperties")),
            _ => None,
        };
        if let Some((length, least, most)) = length {
            if limit(least).is_some_and(|limit| length < limit) {
                self.wrong(place, &format!("{least} is {}", limit(least).unwrap_or_default()));
            }
            if limit(most).is_some_and(|limit| length > limit) {
                self.wrong(place, &format!("{most} is {}", limit(most).unwrap_or_default()));
            }
        }
        if let Some(number) = value.as_f64() {
            let bound = |key: &str| rules.get(key).and_then(Value::as_f64);
            let strict = |key: &str| rules.get(key) == Some(&Value::Bool(true));
            let low = bound("minimum")
                .is_some_and(|least| number < least || (strict("exclusiveMinimum") && number <= least));
            let high = bound("maximum")
                .is_some_and(|most| number > most || (strict("exclusiveMaximum") && number >= most));
            if low || high {
                self.wrong(place, "must be within minimum and maximum of the schema");
            }
        }
        if let (Value::String(text), Some(pattern)) = (value, rules.get("pattern").and_then(Value::as_str)) {
            // A pattern that cannot be read here is the server's business.
            let compiled = RegexBuilder::new(pattern).size_limit(1 << 20).build();
            if compiled.is_ok_and(|regex| !regex.is_match(text)) {
                self.wrong(place, &format!("must match {pattern}"));
            }
        }
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`.
    fn alternatives(
        &mut self,
        value: &Value,
        schema: Schema<'_>,
        rules: &Value,
        place: &Place<'_>,
        depth: usize,
    ) {
        let list =
            |key: &str| rules.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for all in list("allOf") {
            self.value(value, schema.document.schema(Some(all)), place, depth + 1);
        }
        for (key, exactly) in [("anyOf", false), ("oneOf", true)] {
            if list(key).is_empty() {
                continue;
            }
            let fitting = list(key)
                .iter()
                .filter(|one| self.fits(value, schema.document.schema(Some(one)), depth))
                .count();
            if fitting == 0 || (exactly && fitting > 1) {
                self.wrong(
                    place,
                    &format!("must fit {} of the schema's alternatives", if exactly { "one" } else { "any" }),
                );
            }
        }
        if let Some(not) = rules.get("not")
            && self.fits(value, schema.document.schema(Some(not)), depth)
        {
            self.wrong(place, "must not fit what the schema excludes");
        }
    }

    /// Whether a value fits, without telling what is wrong.
    fn fits(&mut self, value: &Value, schema: Schema<'_>, depth: usize) -> bool {
        let mut inner = Checker { findings: Findings::default(), steps: self.steps };
        inner.value(value, schema, &Place { above: None, step: "" }, depth + 1);
        self.steps = inner.steps;
        inner.findings.causes.is_empty()
    }

    fn wrong(&mut self, place: &Place<'_>, what: &str) {
        if self.findings.causes.len() < CAUSES {
            self.findings.causes.push(StatusCause {
                reason: String::from(if what == "Required value" {
                    "FieldValueRequired"
                } else {
                    "FieldValueInvalid"
                }),
                message: what.to_owned(),
                field: place.text(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::apps, *};

    fn findings(object: &Value) -> (Vec<String>, Vec<String>) {
        let document = apps();
        let found = check(object, document.kind("apps", "v1", "Deployment").unwrap());
        (
            found.causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect(),
            found.unknown,
        )
    }

    fn deployment(spec: Value) -> Value {
        let mut object = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                                 "metadata": { "name": "web", "creationTimestamp": null } });
        object["spec"] = spec;
        object
    }

    #[test]
    fn a_deployment_as_people_write_it_has_the_right_form() {
        let good = deployment(json!({ "replicas": 2, "selector": { "matchLabels": { "a": "b" } },
            "strategy": { "rollingUpdate": { "maxSurge": "25%" } },
            "template": { "spec": { "containers": [{ "name": "app", "image": "a:1" }] } } }));
        assert_eq!(findings(&good), (vec![], vec![]));
    }

    #[test]
    fn what_is_missing_wrong_or_unknown_is_told_with_its_place() {
        let bad = deployment(json!({ "replicas": "2", "replica": 2, "strategy": { "type": "Rolling" },
            "template": { "spec": { "containers": [{ "image": 3 }] } } }));
        let (causes, unknown) = findings(&bad);
        assert_eq!(
            causes,
            [
                "spec.selector: Required value",
                "spec.replicas: must be of type integer",
                "spec.strategy.type: supported values: \"Recreate\", \"RollingUpdate\"",
                "spec.template.spec.containers[0].name: Required value",
                "spec.template.spec.containers[0].image: must be of type string",
            ]
        );
        assert_eq!(unknown, ["spec.replica"]);
    }

    #[test]
    fn the_rules_of_custom_schemas_hold() {
        let schema = json!({ "type": "object", "required": ["size"], "properties": {
            "size": { "type": "integer", "minimum": 1, "maximum": 5 },
            "name": { "type": "string", "pattern": "^[a-z]+$", "maxLength": 3 },
            "port": { "x-kubernetes-int-or-string": true, "anyOf": [{ "type": "integer" }, { "type": "string" }] },
            "list": { "type": "array", "maxItems": 1, "items": { "type": "string" } },
            "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        }, "not": { "required": ["bad"] } });
        let document = super::super::Document::default();
        let wrong = |object: Value| check(&object, document.schema(Some(&schema))).causes.len();
        assert_eq!(
            wrong(json!({ "size": 3, "name": "abc", "port": "http", "list": ["a"], "free": { "x": 1 } })),
            0
        );
        assert_eq!(wrong(json!({ "size": 9, "name": "ABCD", "port": true, "list": [1, 2], "bad": 1 })), 9);
    }

    #[test]
    fn an_object_made_to_explode_is_refused_and_not_followed() {
        let nested = json!({ "type": "object" });
        let mut schema = nested;
        for _ in 0..8 {
            schema = json!({ "anyOf": [schema.clone(), schema.clone(), { "type": "object", "properties": { "a": schema } }] });
        }
        let mut object = json!({});
        for _ in 0..60 {
            object = json!({ "a": object });
        }
        let document = super::super::Document::default();
        // It ends, whatever it says.
        let _ = check(&object, document.schema(Some(&schema)));
    }
}
