//! Overrides do what the contract intends (sections 5.7 and 10.7), and what a plain evaluator does that was written without
//! looking at them.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod reference;

#[cfg(test)]
mod given {
    use api::apps::{Feed, Globalization, Localization};
    use placement::{
        Cluster, ClusterKey,
        overrides::{FeedFacts, Limits, OverrideError, Rendered, RenderedChart, Rule, in_order},
    };
    use serde_json::{Value, from_value, json};

    /// The cluster c1 in the namespace n1, with labels and annotations.
    pub(crate) fn cluster() -> Cluster {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        Cluster {
            key: ClusterKey::new("n1", "c1"),
            name: String::from("c1"),
            id: String::from("7f9d1e2a-0000-4000-8000-000000000001"),
            labels: map(&[("env", "t"), ("replicas", "3")]),
            annotations: map(&[("example.com/zone", "eu: west")]),
            taints: Vec::new(),
            deleting: false,
        }
    }

    /// A Globalization of a name and a spec.
    pub(crate) fn globalization(name: &str, spec: &Value) -> Rule {
        let object = json!({ "metadata": { "name": name }, "spec": spec });
        Rule::from(&from_value::<Globalization>(object).unwrap())
    }

    /// A Localization in n1 of a name and a spec.
    pub(crate) fn localization(name: &str, spec: &Value) -> Rule {
        let object = json!({ "metadata": { "name": name, "namespace": "n1" }, "spec": spec });
        Rule::from(&from_value::<Localization>(object).unwrap())
    }

    /// A rule for every feed with one override.
    pub(crate) fn one(type_: &str, value: impl Into<String>) -> Rule {
        globalization("g", &json!({ "overrides": [{ "type": type_, "value": value.into() }] }))
    }

    pub(crate) fn feed(object: &Value) -> Feed {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
        Feed {
            kind: text("/kind").unwrap(),
            api_version: text("/apiVersion").unwrap(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name").unwrap(),
        }
    }

    fn chosen<'r>(object: &Value, rules: &'r [Rule]) -> Vec<&'r Rule> {
        let labels = from_value(object["metadata"]["labels"].clone()).unwrap_or_default();
        in_order(rules, FeedFacts { feed: &feed(object), labels: &labels }, &cluster())
    }

    pub(crate) fn render(object: &Value, rules: &[Rule]) -> Result<Rendered, OverrideError> {
        placement::overrides::object(object, &cluster(), &chosen(object, rules), &Limits::default())
    }

    pub(crate) fn render_chart(chart: &Value, rules: &[Rule]) -> Result<RenderedChart, OverrideError> {
        placement::overrides::chart(chart, &cluster(), &chosen(chart, rules), &Limits::default())
    }

    pub(crate) fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "qux", "labels": { "app": "web" } },
            "spec": { "replicas": 1, "template": { "spec": { "containers": [{ "name": "web", "image": "web:1" }] } } },
        })
    }

    pub(crate) fn helm_chart() -> Value {
        json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart",
            "metadata": { "name": "mysql", "namespace": "default", "labels": { "app": "db" } },
            "spec": { "repo": "https://charts.example.com", "chart": "mysql", "version": "9.2.0", "targetNamespace": "db" },
        })
    }
}
