//! The API as the generic server sees it.

use std::{sync::Arc, time::Duration};

use api::shadow::{GROUP, VERSION};
use apiserver::{Api, Authorizer, Body, Context, RequestInfo, Resource, User, collect, parameter};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, header};
use hyper::body::Incoming;
use kubeio::Transport;
use meta::Status;
use serde_json::Value;
use tokio::sync::watch;
use url::form_urlencoded::Serializer;

use crate::{
    Catalogue,
    parent::{Parent, WriteOptions},
    patch::{DEPTH, OBJECT, depth},
    route::Target,
};

/// How long a body may take to arrive.
const BODY: Duration = Duration::from_secs(30);

/// The shadow API, ready to be served.
#[derive(Clone)]
pub struct Shadow {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) parent: Parent,
    pub(crate) authorizer: Authorizer,
    catalogue: watch::Receiver<Arc<Catalogue>>,
}

/// A request, as far as it is looked at.
pub(crate) struct Asking<'a> {
    pub(crate) user: &'a User,
    pub(crate) info: &'a RequestInfo,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
}

impl Shadow {
    /// Stores objects of the kinds in `catalogue` as Manifests in `namespace` of the cluster that `transport` leads to.
    /// `authorizer` is asked whether a caller may write such objects for real, before the parent tries one out.
    ///
    /// Needs `get`, `list`, `watch`, `create`, `update`, `patch` and `delete` on Manifests in that namespace, and `create` there
    /// on the resources of [`DRY_RUN`](crate::DRY_RUN).
    pub fn new(
        transport: Arc<dyn Transport>,
        namespace: String,
        catalogue: watch::Receiver<Arc<Catalogue>>,
        authorizer: Authorizer,
    ) -> Self {
        Self { inner: Arc::new(Inner { parent: Parent::new(transport, namespace), authorizer, catalogue }) }
    }
}

impl Api for Shadow {
    fn group(&self) -> &str {
        GROUP
    }

    fn version(&self) -> &str {
        VERSION
    }

    fn resources(&self) -> Vec<Resource> {
        self.inner.catalogue.borrow().resources()
    }

    fn revision(&self) -> u64 {
        self.inner.revision()
    }

    fn mirrors(&self) -> bool {
        true
    }

    fn handle(
        &self,
        context: Context,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match parts.method {
                Method::GET | Method::HEAD => bytes::Bytes::new(),
                _ => collect(body, OBJECT, BODY).await?,
            };
            let asking = Asking {
                user: &context.user,
                info: &context.info,
                headers: &parts.headers,
                query: parts.uri.query().unwrap_or_default(),
            };
            inner.serve(&asking, &body).await
        })
    }
}

impl Inner {
    /// The number of the catalogue.
    pub(crate) fn revision(&self) -> u64 {
        self.catalogue.borrow().revision()
    }

    /// Serves a request whose body has arrived.
    pub(crate) async fn serve(&self, asking: &Asking<'_>, body: &[u8]) -> Result<Response<Body>, Status> {
        let catalogue = self.catalogue.borrow().clone();
        if !catalogue.is_known() {
            return Err(Status::unavailable(
                "The hub has just started and does not know the parent's kinds yet.",
            )
            .retry_after(1));
        }
        let target = Target::parse(asking.info, &catalogue)?;
        let verb = asking.info.verb.as_str();
        if target.scale {
            return self.scale(&target, asking, verb, body).await;
        }
        match verb {
            "get" => self.get(&target, asking).await,
            "list" => self.list(&target, asking).await,
            "watch" => self.watch(&target, asking).await,
            "create" if target.name.is_none() => self.create(&target, asking, body).await,
            "update" if target.name.is_some() => self.update(&target, asking, body).await,
            "patch" if target.name.is_some() => self.patch(&target, asking, body).await,
            "delete" => self.delete(&target, asking, body).await,
            "deletecollection" => Ok(Self::delete_collection()),
            _ => Err(Status::method_not_allowed(
                "Objects are created by POST to their collection, and read, replaced, patched and deleted by their names.",
            )),
        }
    }
}

impl Asking<'_> {
    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query, name)
    }

    /// These parameters, as they were sent.
    pub(crate) fn passed_on(&self, names: &[&str]) -> String {
        let mut query = Serializer::new(String::new());
        for name in names {
            if let Some(value) = self.parameter(name) {
                query.append_pair(name, &value);
            }
        }
        query.finish()
    }

    /// What goes on to the parent with a write.
    pub(crate) fn write_options(&self) -> Result<WriteOptions, Status> {
        let dry_run = match self.parameter("dryRun").as_deref() {
            None | Some("") => false,
            Some("All") => true,
            Some(_) => return Err(Status::bad_request("dryRun: the only value is All.")),
        };
        let field_validation = self.parameter("fieldValidation").unwrap_or_default();
        if !["", "Ignore", "Warn", "Strict"].contains(&field_validation.as_str()) {
            return Err(Status::bad_request("fieldValidation: must be Ignore, Warn or Strict."));
        }
        let force = self.parameter("force").is_some_and(|value| value == "true" || value == "1");
        let field_manager = self.parameter("fieldManager").filter(|manager| !manager.is_empty());
        let field_manager = field_manager.unwrap_or_else(|| self.program());
        Ok(WriteOptions { field_manager, dry_run, force, field_validation })
    }

    /// The program that asks, by its `User-Agent`: the field manager of who names none.
    fn program(&self) -> String {
        let agent =
            self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let name: String = agent.split('/').next().unwrap_or_default().chars().take(128).collect();
        if name.is_empty() { api::names::HUB_FIELD_MANAGER.to_owned() } else { name }
    }

    /// The body as an object, JSON or YAML.
    pub(crate) fn object(&self, body: &[u8]) -> Result<Value, Status> {
        let given =
            self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match given.split(';').next().unwrap_or_default().trim() {
            "" | "application/json" => {}
            "application/yaml" => return yaml(body),
            other => {
                return Err(Status::unsupported_media_type(format!(
                    "A body of the type {other:?} is not understood; send application/json or application/yaml."
                )));
            }
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| no_json("body", &error))?;
        of_an_object(value)
    }
}

/// What cannot be read as JSON. The error tells the place and nothing else: the text may hold secrets.
pub(crate) fn no_json(what: &str, error: &serde_json::Error) -> Status {
    Status::bad_request(format!(
        "The {what} is no JSON, or has more than {DEPTH} levels: line {}, column {}.",
        error.line(),
        error.column()
    ))
}

/// The body as an object, YAML. Errors tell the place and nothing else: the text may hold secrets.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Status> {
    // First as JSON, which YAML does not take in every form (tabs).
    if let Ok(value) = serde_json::from_slice(body) {
        return of_an_object(value);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH,
            flow_nesting_limit: DEPTH,
            max_nodes: OBJECT / 2,
            max_events: OBJECT,
            max_total_scalar_bytes: OBJECT,
            max_documents: 2,
            max_recorded_anchor_events: 10 * REPEATED,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED },
        with_snippet: false,
    };
    let text = std::str::from_utf8(body).map_err(|_| Status::bad_request("The body is not UTF-8."))?;
    let read: Result<Value, _> = serde_saphyr::from_str_with_options(text, options);
    of_an_object(read.map_err(|error| {
        let line = error.location().map_or(0, |at| at.line());
        Status::bad_request(format!("The body is no YAML, or repeats too much: line {line}."))
    })?)
}

/// How much the aliases of YAML may repeat.
const REPEATED: usize = 10_000;

fn of_an_object(value: Value) -> Result<Value, Status> {
    if !value.is_object() {
        return Err(Status::bad_request("The body is not one object."));
    }
    if depth(&value) > DEPTH {
        return Err(Status::too_large(format!(
            "The object has more than {DEPTH} levels; put fewer lists and mappings inside each other."
        )));
    }
    Ok(value)
}

#[cfg(test)]
impl Shadow {
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}
