//! What is asked of the parent: Manifests in the reserved namespace, dry runs there, and its schemas.

use std::{sync::Arc, time::Duration};

use api::apps::{GROUP, VERSION};
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use kubeio::{Body, Error, Lane, Transport};
use meta::Status;
use moka::future::Cache;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::{catalogue::Kind, identity::Identity, manifest::Stored, patch::OBJECT, schema::Document};

/// The parent, reached with the hub's own client.
pub struct KubeTransport(kube::Client);

impl KubeTransport {
    /// Uses the credential and the connections of `client`.
    pub fn new(client: kube::Client) -> Self {
        Self(client)
    }
}

impl Transport for KubeTransport {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async move {
            let request = request.map(|body| kube::client::Body::from(body.to_vec()));
            let response = self.0.send(request).await;
            // What the error says may hold an address, and no body or header.
            let response = response.map_err(|error| Error::Unreachable(error.to_string()))?;
            Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
        })
    }
}

/// A whole answer that is a success.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) body: Bytes,
    /// The parent's warnings, for the caller.
    pub(crate) warnings: Vec<HeaderValue>,
}

/// What the caller wants of a write beside the object: the parameters that go on to the parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WriteOptions {
    /// Who owns the fields that are written.
    pub(crate) field_manager: String,
    /// Nothing is to be stored.
    pub(crate) dry_run: bool,
    /// A server-side apply takes fields away from others.
    pub(crate) force: bool,
    /// `Ignore`, `Warn` or `Strict`; empty for the server's choice.
    pub(crate) field_validation: String,
}

impl WriteOptions {
    fn query(&self, force: bool) -> String {
        let mut query = Serializer::new(String::new());
        if !self.field_manager.is_empty() {
            query.append_pair("fieldManager", &self.field_manager);
        }
        if self.dry_run {
            query.append_pair("dryRun", "All");
        }
        if force {
            query.append_pair("force", "true");
        }
        query.finish()
    }
}

/// What is read of an answer: a Manifest with all it may hold, or a document of schemas.
const ANSWER: usize = 2 * OBJECT;
const SCHEMAS: usize = 32 << 20;
/// Documents of schemas are some megabytes each, as trees.
const KEPT: u64 = 4;
const KEPT_FOR: Duration = Duration::from_secs(600);

/// The parent.
#[derive(Clone)]
pub(crate) struct Parent {
    transport: Arc<dyn Transport>,
    /// Where Manifests are.
    namespace: String,
    schemas: Cache<(u64, String), Arc<Document>>,
}

impl Parent {
    pub(crate) fn new(transport: Arc<dyn Transport>, namespace: String) -> Self {
        let schemas = Cache::builder().max_capacity(KEPT).time_to_live(KEPT_FOR).build();
        Self { transport, namespace, schemas }
    }

    /// The reserved namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The path of all Manifests, or of one.
    fn manifests(&self, name: Option<&str>) -> String {
        let base = format!("/apis/{GROUP}/{VERSION}/namespaces/{}/manifests", self.namespace);
        // Names of Manifests are DNS names: nothing in them has to be written otherwise.
        match name {
            Some(name) => format!("{base}/{name}"),
            None => base,
        }
    }

    /// The Manifest of an object, whatever its name is.
    pub(crate) async fn find(&self, identity: &Identity, query: &str) -> Result<Option<Stored>, Status> {
        for name in identity.candidates() {
            if let Some(stored) = self.get(&name, query).await?.filter(|stored| stored.wraps(identity)) {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    /// A Manifest by its name.
    pub(crate) async fn get(&self, name: &str, query: &str) -> Result<Option<Stored>, Status> {
        let path = with_query(self.manifests(Some(name)), query);
        match self.call(Method::GET, &path, "", Bytes::new(), ANSWER).await {
            Ok(reply) => Stored::read(&reply.body).map(Some),
            Err(status) if status.code == 404 => Ok(None),
            Err(status) => Err(of_manifests(status)),
        }
    }

    /// Stores a new Manifest. 409 with the reason `AlreadyExists` if its name is taken.
    pub(crate) async fn create(&self, manifest: &Value, options: &WriteOptions) -> Result<Stored, Status> {
        let path = with_query(self.manifests(None), &options.query(false));
        let reply = self.call(Method::POST, &path, JSON, manifest.to_string(), ANSWER).await;
        Stored::read(&reply.map_err(of_manifests)?.body)
    }

    /// Replaces a Manifest. 409 with the reason `Conflict` if it is not in the state it is replaced in.
    pub(crate) async fn replace(
        &self,
        name: &str,
        manifest: &Value,
        options: &WriteOptions,
    ) -> Result<Stored, Status> {
        let path = with_query(self.manifests(Some(name)), &options.query(false));
        let reply = self.call(Method::PUT, &path, JSON, manifest.to_string(), ANSWER).await;
        Stored::read(&reply.map_err(of_manifests)?.body)
    }

    /// Server-side apply of a Manifest.
    pub(crate) async fn apply(
        &self,
        name: &str,
        manifest: &Value,
        options: &WriteOptions,
    ) -> Result<Stored, Status> {
        let path = with_query(self.manifests(Some(name)), &options.query(options.force));
        let reply = self
            .call(Method::PATCH, &path, "application/apply-patch+yaml", manifest.to_string(), ANSWER)
            .await;
        Stored::read(&reply.map_err(of_manifests)?.body)
    }

    /// Deletes a Manifest, as the options in the body say.
    pub(crate) async fn delete(&self, name: &str, options: &Value, query: &str) -> Result<(), Status> {
        let path = with_query(self.manifests(Some(name)), query);
        self.call(Method::DELETE, &path, JSON, options.to_string(), ANSWER)
            .await
            .map(drop)
            .map_err(of_manifests)
    }

    /// Begins a list or a watch of Manifests.
    pub(crate) async fn open(&self, query: &str, lane: Lane) -> Result<Response<Body>, Status> {
        let path = with_query(self.manifests(None), query);
        self.send(Method::GET, &path, "", Bytes::new(), lane).await.map_err(of_manifests)
    }

    /// What the parent would make of a new object, without storing it. The object names the reserved namespace.
    pub(crate) async fn try_out(
        &self,
        kind: &Kind,
        version: &str,
        object: &Value,
        validation: &str,
    ) -> Result<Reply, Status> {
        let base = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
        let (namespace, plural) = (&self.namespace, &kind.plural);
        // Only the words that are checked when the request is read get here.
        let strictness =
            if validation.is_empty() { String::new() } else { format!("&fieldValidation={validation}") };
        let path = format!("{base}/{version}/namespaces/{namespace}/{plural}?dryRun=All{strictness}");
        self.call(Method::POST, &path, JSON, object.to_string(), ANSWER).await
    }

    /// The schemas of a group version. They are asked for again when the parent's kinds have changed.
    pub(crate) async fn schemas(
        &self,
        kind: &Kind,
        version: &str,
        revision: u64,
    ) -> Result<Arc<Document>, Status> {
        let group_version = if kind.group.is_empty() {
            format!("api/{version}")
        } else {
            format!("apis/{}/{version}", kind.group)
        };
        let path = format!("/openapi/v3/{group_version}");
        let read = async {
            let reply = self.call(Method::GET, &path, "", Bytes::new(), SCHEMAS).await?;
            Ok::<_, Status>(Arc::new(Document::read(&reply.body)))
        };
        let found = self.schemas.try_get_with((revision, group_version), read).await;
        found.map_err(|status| {
            Status::unavailable(format!(
                "The parent does not tell the schema of {}: {}",
                kind.qualified(),
                status.message
            ))
            .retry_after(1)
        })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: impl Into<Bytes>,
        limit: usize,
    ) -> Result<Reply, Status> {
        let response = self.send(method, path, content_type, body.into(), Lane::Short).await?;
        let warnings = response.headers().get_all(header::WARNING).iter().cloned().collect();
        Ok(Reply { body: read(response.into_body(), limit).await?, warnings })
    }

    /// The answer, if it is a success.
    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: Bytes,
        lane: Lane,
    ) -> Result<Response<Body>, Status> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, JSON);
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request =
            request.body(body).map_err(|_| Status::bad_request("The path of the request is not valid."))?;
        let response = self.transport.send(request, lane).await.map_err(|error| {
            tracing::warn!(%error, "the parent cannot be asked");
            Status::unavailable("The parent's API server does not answer. Try again in a moment.")
                .retry_after(1)
        })?;
        let code = response.status();
        if code.is_success() {
            return Ok(response);
        }
        let body = read(response.into_body(), REFUSAL).await.unwrap_or_default();
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| no_status(code)))
    }
}

const JSON: &str = "application/json";
/// What is read of a refusal.
const REFUSAL: usize = 256 << 10;

fn no_status(code: StatusCode) -> Status {
    Status::new(code.as_u16(), "", format!("The parent answered {code}."))
}

fn with_query(path: String, query: &str) -> String {
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// The parent's refusal of something about Manifests. One for want of a right is the hub's, and not the caller's.
fn of_manifests(status: Status) -> Status {
    match status.code {
        401 | 403 => Status::internal(format!(
            "The parent does not let the hub work with Manifests in its reserved namespace: {} The rights are in \
             deploy/hub/47-rbac-shadow.yaml.",
            status.message
        )),
        404 if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => Status::new(
            404,
            status.reason,
            "The parent does not know Manifests: the CRD of deploy/hub/10-crd-manifests.yaml is missing.",
        ),
        _ => status,
    }
}

async fn read(mut body: Body, limit: usize) -> Result<Bytes, Status> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Status::bad_gateway("The parent's answer broke off."))?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > limit {
                return Err(Status::bad_gateway(format!(
                    "The parent's answer is longer than {limit} bytes."
                )));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}
