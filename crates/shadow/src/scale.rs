//! The `scale` of an object: `autoscaling/v1` Scale, read from an object and written into it.

use meta::Status;
use serde_json::{Value, json};

use crate::object;

/// Where an object says how many there are to be, as JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScalePaths {
    spec: Vec<String>,
    status: Vec<String>,
    selector: Selector,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    None,
    /// A text, at this place.
    Text(Vec<String>),
    /// `spec.selector` with `matchLabels`, or plain labels.
    Object,
}

impl ScalePaths {
    /// Of the kinds of Kubernetes that can be scaled.
    pub(crate) fn of_built_in(group: &str, plural: &str) -> Option<Self> {
        let scalable = match group {
            "apps" => ["deployments", "replicasets", "statefulsets"].contains(&plural),
            "" => plural == "replicationcontrollers",
            _ => false,
        };
        let path = |top: &str| vec![top.to_owned(), "replicas".to_owned()];
        scalable.then(|| Self { spec: path("spec"), status: path("status"), selector: Selector::Object })
    }

    /// Of a custom resource, from the paths in its definition: names with dots before them, below `spec` and `status`.
    pub(crate) fn of_definition(spec: &str, status: &str, selector: Option<&str>) -> Option<Self> {
        let path = |text: &str| -> Option<Vec<String>> {
            let steps: Vec<String> = text.strip_prefix('.')?.split('.').map(str::to_owned).collect();
            steps.iter().all(|step| !step.is_empty()).then_some(steps)
        };
        let selector = selector.and_then(path).map_or(Selector::None, Selector::Text);
        Some(Self { spec: path(spec).filter(|path| path[0] == "spec")?, status: path(status)?, selector })
    }

    /// The Scale of an object. A kind of Kubernetes that says nothing has one replica; a custom one has none.
    pub(crate) fn read(&self, object: &Value) -> Value {
        let metadata = &object["metadata"];
        let unset = i64::from(self.selector == Selector::Object);
        let number = |path: &[String]| at(object, path).and_then(Value::as_i64);
        let mut own = json!({});
        for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if let Some(value) = metadata.get(key) {
                own[key] = value.clone();
            }
        }
        let selector = match &self.selector {
            Selector::None => None,
            Selector::Text(path) => at(object, path).and_then(Value::as_str).map(str::to_owned),
            Selector::Object => text(&object["spec"]["selector"]),
        };
        let mut status = json!({ "replicas": number(&self.status).unwrap_or(0) });
        if let Some(selector) = selector {
            status["selector"] = Value::String(selector);
        }
        json!({
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": own,
            "spec": { "replicas": number(&self.spec).unwrap_or(unset) },
            "status": status,
        })
    }

    /// Writes the number of a Scale into an object. A Scale without a number means none, as in Kubernetes.
    ///
    /// # Errors
    /// 422 for what is no number of replicas.
    pub(crate) fn write(&self, object: &mut Value, scale: &Value) -> Result<(), Status> {
        let wanted = match &scale["spec"]["replicas"] {
            Value::Null => Some(0),
            value => value.as_i64().filter(|number| (0..=i64::from(i32::MAX)).contains(number)),
        };
        let wanted = wanted.ok_or_else(|| {
            Status::invalid("Scale is invalid: spec.replicas: must be an integer from 0 to 2147483647")
        })?;
        let Some((last, path)) = self.spec.split_last() else { return Ok(()) };
        let mut place = object;
        for step in path {
            place = object::entry(place, step);
        }
        *object::entry(place, last) = json!(wanted);
        Ok(())
    }
}

fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| value.get(step))
}

/// A selector as text: `a=b,c in (d,e)`.
fn text(selector: &Value) -> Option<String> {
    let plain = selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none();
    let structured = if plain { json!({ "matchLabels": selector }) } else { selector.clone() };
    let structured: meta::StructuredLabelSelector = serde_json::from_value(structured).ok()?;
    meta::LabelSelector::try_from(structured).ok().map(|selector| selector.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h8_a_deployment_is_scaled() {
        let paths = ScalePaths::of_built_in("apps", "deployments").unwrap();
        let mut web = json!({ "metadata": { "name": "web", "labels": {} },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } } } });
        let scale = paths.read(&web);
        assert_eq!(scale["spec"]["replicas"], 2);
        assert_eq!(scale["status"], json!({ "replicas": 0, "selector": "app=web" }));
        assert_eq!(scale["metadata"], json!({ "name": "web" }));
        paths.write(&mut web, &json!({ "spec": { "replicas": 4 } })).unwrap();
        assert_eq!(web["spec"]["replicas"], 4);
    }

    #[test]
    fn what_is_not_said_is_one_replica_of_a_built_in_kind_and_none_of_a_custom_one() {
        let built_in = ScalePaths::of_built_in("apps", "statefulsets").unwrap();
        assert_eq!(built_in.read(&json!({}))["spec"]["replicas"], 1);
        let custom = ScalePaths::of_definition(".spec.size", ".status.size", None).unwrap();
        assert_eq!(custom.read(&json!({}))["spec"]["replicas"], 0);
        assert_eq!(ScalePaths::of_definition("spec.size", ".status.size", None), None);
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let paths =
            ScalePaths::of_definition(".spec.a.size", ".status.size", Some(".status.selector")).unwrap();
        for wrong in [json!(-1), json!("3"), json!(3_000_000_000_i64), json!(1.5)] {
            assert_eq!(
                paths.write(&mut json!({}), &json!({ "spec": { "replicas": wrong } })).unwrap_err().code,
                422
            );
        }
        let mut made = json!({ "spec": null });
        paths.write(&mut made, &json!({ "spec": { "replicas": 3 } })).unwrap();
        assert_eq!(made, json!({ "spec": { "a": { "size": 3 } } }));
    }
}
