//! `/api`, `/apis`, `/apis/<group>` and `/apis/<group>/<version>`, in the classic and the aggregated form.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use meta::Status;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Api, Body, Resource, body::with_type, empty, negotiate};

const JSON: &str = "application/json";
const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2_BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// A document with its entity tag.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    text: Arc<str>,
    etag: HeaderValue,
}

impl Document {
    pub(crate) fn new(value: &Value) -> Self {
        let text = value.to_string();
        let quoted = format!("\"{:X}\"", Bytes::copy_from_slice(&Sha256::digest(text.as_bytes())));
        let etag = HeaderValue::from_str(&quoted).unwrap_or(HeaderValue::from_static("\"\""));
        Self { text: text.into(), etag }
    }

    /// The tag without its quotes.
    pub(crate) fn hash(&self) -> &str {
        self.etag.to_str().unwrap_or_default().trim_matches('"')
    }

    /// The document, or 304 for somebody who has it.
    pub(crate) fn answer(&self, headers: &HeaderMap, media_type: &str) -> Response<Body> {
        let known =
            headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|tags| {
                tags.split(',')
                    .any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == self.etag)
            });
        let mut response = if known {
            let mut response = Response::new(empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            with_type(media_type, self.text.as_bytes().to_vec())
        };
        response.headers_mut().insert(header::ETAG, self.etag.clone());
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        response
    }
}

/// The discovery documents of some APIs, made anew when one of them says that its resources have changed.
pub(crate) struct Discovery {
    apis: Vec<Arc<dyn Api>>,
    made: Mutex<(Vec<u64>, Arc<Documents>)>,
}

impl Discovery {
    pub(crate) fn new(apis: &[Arc<dyn Api>]) -> Self {
        // Read before the resources: what changes in between is made once more.
        let revisions = revisions(apis);
        Self { apis: apis.to_vec(), made: Mutex::new((revisions, Arc::new(Documents::new(apis)))) }
    }

    /// The answer to a discovery path, or `None` if it is not one.
    pub(crate) fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Result<Response<Body>, Status>> {
        self.current().answer(path, headers)
    }

    fn current(&self) -> Arc<Documents> {
        let revisions = revisions(&self.apis);
        let mut made = self.made.lock();
        if made.0 != revisions {
            *made = (revisions, Arc::new(Documents::new(&self.apis)));
        }
        made.1.clone()
    }
}

fn revisions(apis: &[Arc<dyn Api>]) -> Vec<u64> {
    apis.iter().map(|api| api.revision()).collect()
}

/// Every discovery document.
#[derive(Debug)]
struct Documents {
    legacy: Document,
    legacy_v2: [Document; 2],
    groups: Document,
    groups_v2: [Document; 2],
    by_path: BTreeMap<String, Document>,
}

impl Documents {
    fn new(apis: &[Arc<dyn Api>]) -> Self {
        let mut by_group = BTreeMap::<String, Vec<&Arc<dyn Api>>>::new();
        for api in apis {
            by_group.entry(api.group().to_owned()).or_default().push(api);
        }
        let mut by_path = BTreeMap::new();
        for (group, versions) in &by_group {
            let mut document = api_group(group, versions);
            document["kind"] = json!("APIGroup");
            document["apiVersion"] = json!("v1");
            by_path.insert(format!("/apis/{group}"), Document::new(&document));
            for api in versions {
                by_path.insert(
                    format!("/apis/{group}/{}", api.version()),
                    Document::new(&resource_list(&***api)),
                );
            }
        }
        let groups: Vec<Value> =
            by_group.iter().map(|(group, versions)| api_group(group, versions)).collect();
        let items: Vec<Value> = by_group.iter().map(|(group, versions)| group_v2(group, versions)).collect();
        let aggregated = |items: &[Value]| {
            ["v2", "v2beta1"].map(|version| {
                Document::new(&json!({
                    "kind": "APIGroupDiscoveryList",
                    "apiVersion": format!("apidiscovery.k8s.io/{version}"),
                    "metadata": {},
                    "items": items,
                }))
            })
        };
        Self {
            legacy: Document::new(&json!({
                "kind": "APIVersions",
                "apiVersion": "v1",
                "versions": [],
                "serverAddressByClientCIDRs": [],
            })),
            legacy_v2: aggregated(&[]),
            groups: Document::new(&json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })),
            groups_v2: aggregated(&items),
            by_path,
        }
    }

    fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Result<Response<Body>, Status>> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let (classic, aggregated) = match path {
            "/api" => (&self.legacy, Some(&self.legacy_v2)),
            "/apis" => (&self.groups, Some(&self.groups_v2)),
            _ => (self.by_path.get(path)?, None),
        };
        let offers = if aggregated.is_some() { [JSON, V2, V2_BETA1].as_slice() } else { &[JSON] };
        Some(negotiate(headers, offers).map(|chosen| match (chosen, aggregated) {
            (V2, Some([v2, _])) => v2.answer(headers, V2),
            (V2_BETA1, Some([_, beta])) => beta.answer(headers, V2_BETA1),
            _ => classic.answer(headers, JSON),
        }))
    }
}

fn api_group(group: &str, versions: &[&Arc<dyn Api>]) -> Value {
    let version = |api: &&Arc<dyn Api>| json!({ "groupVersion": format!("{group}/{}", api.version()), "version": api.version() });
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions.first() })
}

fn resource_list(api: &dyn Api) -> Value {
    let resources: Vec<Value> = api
        .resources()
        .into_iter()
        .map(|Resource { name, singular, kind, namespaced, short_names, categories, verbs, kind_from }| {
            let mut resource = json!({
                "name": name, "singularName": singular, "namespaced": namespaced, "kind": kind, "verbs": verbs,
            });
            if let Some((group, version)) = kind_from {
                resource["group"] = json!(group);
                resource["version"] = json!(version);
            }
            for (key, list) in [("shortNames", short_names), ("categories", categories)] {
                if !list.is_empty() {
                    resource[key] = json!(list);
                }
            }
            resource
        })
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{}/{}", api.group(), api.version()),
        "resources": resources,
    })
}

/// One group of the aggregated form: subresources stand inside their resource.
fn group_v2(group: &str, versions: &[&Arc<dyn Api>]) -> Value {
    let version = |api: &&Arc<dyn Api>| {
        let (subresources, resources): (Vec<_>, Vec<_>) =
            api.resources().into_iter().partition(|resource| resource.name.contains('/'));
        let kind = |resource: &Resource| {
            let (group, version) = match &resource.kind_from {
                Some((group, version)) => (group.as_str(), version.as_str()),
                None => (group, api.version()),
            };
            json!({ "group": group, "version": version, "kind": resource.kind })
        };
        let scope = |namespaced: bool| if namespaced { "Namespaced" } else { "Cluster" };
        let resources: Vec<Value> = resources
            .iter()
            .map(|resource| {
                let own = format!("{}/", resource.name);
                let subresources: Vec<Value> = subresources
                    .iter()
                    .filter_map(|sub| {
                        let name = sub.name.strip_prefix(&own)?;
                        Some(json!({ "subresource": name, "responseKind": kind(sub), "verbs": sub.verbs }))
                    })
                    .collect();
                let mut document = json!({
                    "resource": resource.name,
                    "responseKind": kind(resource),
                    "scope": scope(resource.namespaced),
                    "singularResource": resource.singular,
                    "verbs": resource.verbs,
                });
                let lists = [
                    (
                        "shortNames",
                        json!(resource.short_names),
                        resource.short_names.is_empty() || api.mirrors(),
                    ),
                    ("categories", json!(resource.categories), resource.categories.is_empty()),
                    ("subresources", json!(subresources), subresources.is_empty()),
                ];
                for (key, value, is_empty) in lists {
                    if !is_empty {
                        document[key] = value;
                    }
                }
                document
            })
            .collect();
        json!({ "version": api.version(), "resources": resources, "freshness": "Current" })
    };
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({ "metadata": { "name": group, "creationTimestamp": null }, "versions": versions })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::{FutureExt as _, future::BoxFuture};
    use http::Request;
    use http_body_util::BodyExt as _;
    use hyper::body::Incoming;

    use super::*;
    use crate::Context;

    /// Has as many resources as its revision says.
    #[derive(Default)]
    struct Growing(AtomicU64);

    impl Api for Growing {
        fn group(&self) -> &'static str {
            "example.io"
        }

        fn version(&self) -> &'static str {
            "v1"
        }

        fn resources(&self) -> Vec<Resource> {
            let from = Some(("autoscaling".to_owned(), "v1".to_owned()));
            let name = |number| Resource {
                name: format!("r{number}"),
                short_names: vec!["r".to_owned()],
                kind_from: from.clone(),
                ..Resource::default()
            };
            (0..self.0.load(Ordering::SeqCst)).map(name).collect()
        }

        fn revision(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }

        fn mirrors(&self) -> bool {
            true
        }

        fn handle(
            &self,
            _: Context,
            _: Request<Incoming>,
        ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
            async { Err(Status::not_found("nothing is served")) }.boxed()
        }
    }

    #[tokio::test]
    async fn resources_that_come_while_the_server_runs_are_shown_at_once() {
        let api = Arc::new(Growing::default());
        let discovery = Discovery::new(&[api.clone() as Arc<dyn Api>]);
        for expected in [0, 2, 1] {
            api.0.store(expected, Ordering::SeqCst);
            let answer = discovery.answer("/apis/example.io/v1", &HeaderMap::new()).unwrap().unwrap();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let document: Value = serde_json::from_slice(&body).unwrap();
            let resources = document["resources"].as_array().unwrap();
            assert_eq!(resources.len() as u64, expected);
            assert!(resources.iter().all(|resource| resource["group"] == "autoscaling"));
        }
    }

    #[tokio::test]
    async fn short_names_of_kinds_that_others_have_too_are_not_told_to_kubectl() {
        let api = Arc::new(Growing(AtomicU64::new(1)));
        let discovery = Discovery::new(&[api as Arc<dyn Api>]);
        for (path, accept, told) in [("/apis/example.io/v1", JSON, true), ("/apis", V2, false)] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            let answer = discovery.answer(path, &headers).unwrap().unwrap();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(String::from_utf8_lossy(&body).contains("shortNames"), told, "{path}");
        }
    }
}
