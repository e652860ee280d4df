//! `get`, `list` and `watch`.

use apiserver::{
    Body,
    form::{self, Include},
    with_type,
};
use http::Response;
use kubeio::Lane;
use meta::{FieldSelector, LabelSelector, Operator, Status, Step};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use api::names::apps::{label_value, labels::CONFIG_NAME, labels::CONFIG_NAMESPACE};

use crate::{
    answer::Writer,
    manifest,
    route::Target,
    serve::{Asking, Inner},
    stream,
};

/// Parameters of lists and watches that mean for Manifests what they mean for their objects.
const PASSED_ON: [&str; 7] = [
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "allowWatchBookmarks",
    "sendInitialEvents",
];

impl Inner {
    pub(crate) async fn get(&self, target: &Target, asking: &Asking<'_>) -> Result<Response<Body>, Status> {
        let identity = target.identity()?;
        let query = asking.passed_on(&["resourceVersion"]);
        let stored = self.parent.find(&identity, &query).await?.ok_or_else(|| identity.not_found())?;
        answer(target, asking, stored.view())
    }

    pub(crate) async fn list(&self, target: &Target, asking: &Asking<'_>) -> Result<Response<Body>, Status> {
        let (writer, media_type) = writer(target, asking)?;
        let query = selection(target, asking)?;
        let upstream = self.parent.open(&query, Lane::Short).await?;
        Ok(streamed(media_type, stream::list(upstream.into_body(), writer)))
    }

    pub(crate) async fn watch(&self, target: &Target, asking: &Asking<'_>) -> Result<Response<Body>, Status> {
        let (writer, media_type) = writer(target, asking)?;
        let query = format!("watch=true&{}", selection(target, asking)?);
        let upstream = self.parent.open(&query, Lane::Watch).await?;
        Ok(streamed(media_type, stream::watch(upstream.into_body(), writer)))
    }
}

/// One object, in the form the client wants.
pub(crate) fn answer(target: &Target, asking: &Asking<'_>, object: Value) -> Result<Response<Body>, Status> {
    let (writer, media_type) = writer(target, asking)?;
    Ok(with_type(media_type, writer.single(object).to_string()))
}

fn streamed(media_type: &str, body: Body) -> Response<Body> {
    with_type(media_type, "").map(|_| body)
}

fn writer(target: &Target, asking: &Asking<'_>) -> Result<(Writer, &'static str), Status> {
    let (form, media_type) = form::accepted(asking.headers)?;
    let include = Include::parse(asking.parameter("includeObject").as_deref())?;
    Ok((Writer::new(&target.kind, form, include), media_type))
}

/// The query for the Manifests of the objects that are asked for.
fn selection(target: &Target, asking: &Asking<'_>) -> Result<String, Status> {
    let labels = asking.parameter("labelSelector").unwrap_or_default();
    LabelSelector::parse(&labels).map_err(|error| Status::bad_request(format!("labelSelector: {error}")))?;
    let fields = fields(&asking.parameter("fieldSelector").unwrap_or_default())?;
    let wanted: Vec<&str> =
        [labels.as_str(), &fields].into_iter().filter(|text| !text.trim().is_empty()).collect();
    let namespace = target.namespace.as_deref();
    let selector = manifest::selector(&target.kind.group, &target.kind.kind, namespace, &wanted.join(","));
    let passed_on = asking.passed_on(&PASSED_ON);
    let query = Serializer::new(String::new()).append_pair("labelSelector", &selector).finish();
    Ok(if passed_on.is_empty() { query } else { format!("{query}&{passed_on}") })
}

/// A field selector as the label selector of Manifests it is here: only name and namespace can be selected by.
fn fields(text: &str) -> Result<String, Status> {
    let parsed =
        FieldSelector::parse(text).map_err(|error| Status::bad_request(format!("fieldSelector: {error}")))?;
    let mut terms = Vec::new();
    for requirement in parsed.requirements {
        let names: Vec<&str> = requirement
            .path
            .steps
            .iter()
            .filter_map(|step| if let Step::Field(name) = step { Some(name.as_str()) } else { None })
            .collect();
        let label = match names.as_slice() {
            ["metadata", "name"] => CONFIG_NAME,
            ["metadata", "namespace"] => CONFIG_NAMESPACE,
            _ => {
                return Err(Status::bad_request(
                    "fieldSelector: stored objects can be selected by metadata.name and metadata.namespace only; \
                     use a labelSelector.",
                ));
            }
        };
        let (word, set) = match &requirement.operator {
            Operator::In(set) => ("in", set),
            Operator::NotIn(set) => ("notin", set),
            _ => return Err(Status::bad_request("fieldSelector: use =, == or !=.")),
        };
        let values: Vec<_> = set.iter().map(|value| label_value(value).into_owned()).collect();
        terms.push(format!("{label} {word} ({})", values.join(",")));
    }
    Ok(terms.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h4_a_field_selector_of_a_name_is_a_label_selector_of_manifests() {
        assert_eq!(fields("metadata.name=web").unwrap(), "apps.clusternet.io/config.name in (web)");
        assert_eq!(fields("metadata.name!=web").unwrap(), "apps.clusternet.io/config.name notin (web)");
        assert_eq!(fields("").unwrap(), "");
        let odd = fields("metadata.name=system:foo").unwrap();
        assert_eq!(odd, format!("apps.clusternet.io/config.name in ({})", label_value("system:foo")));
        LabelSelector::parse(&odd).unwrap();
    }

    #[test]
    fn other_fields_are_refused_and_not_ignored() {
        assert_eq!(fields("status.phase=Running").unwrap_err().code, 400);
        assert_eq!(fields("metadata.name").unwrap_err().code, 400);
    }
}
