//! Templates of ordinary objects, for programs that use [kube](https://docs.rs/kube): a layer for its client that sends
//! requests for objects to the shadow API of the parent. The program's own types and calls stay as they are.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use k8s_openapi::api::apps::v1::Deployment;
//! use kube::{Api, Client, Config, client::ClientBuilder};
//! use shadow_client::Templates;
//!
//! let parent = Config::infer().await?;
//! let templates = Templates::of(&Client::try_from(parent.clone())?).await?;
//! let client = ClientBuilder::try_from(parent)?.with_layer(&templates).build();
//! // Kept in the parent, which does not run it.
//! let deployments: Api<Deployment> = Api::namespaced(client, "qux");
//! # Ok(())
//! # }
//! ```
//!
//! What goes where: [`api::shadow::Paths`]. Discovery, schemas, and objects of Clusternet and Clusterway (such as
//! Subscriptions) are not touched, so one client can keep templates and say where they are to go.
//!
//! Deliberately absent: everything else. Which kinds there are is asked once: for a kind that comes later and has the plural of
//! another group, make a new layer.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use api::shadow::{GROUP, Paths, VERSION};
use http::{Request, uri::PathAndQuery};
use tower::{Layer, Service};

/// Sends requests for objects to where their templates are.
#[derive(Debug, Clone)]
pub struct Templates {
    paths: Arc<Paths>,
}

impl Templates {
    /// Asks the parent, which `client` leads to, under which names it keeps kinds whose plurals several groups have.
    ///
    /// # Errors
    /// The parent does not answer, or serves no shadow API.
    pub async fn of(client: &kube::Client) -> Result<Self, kube::Error> {
        let listed = client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await?;
        Ok(Self { paths: Arc::new(Paths::new(listed.resources.into_iter().map(|resource| resource.name))) })
    }
}

impl<S> Layer<S> for Templates {
    type Service = ToTemplates<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ToTemplates { inner, paths: self.paths.clone() }
    }
}

/// What [`Templates`] makes of a service.
#[derive(Debug, Clone)]
pub struct ToTemplates<S> {
    inner: S,
    paths: Arc<Paths>,
}

impl<S, B> Service<Request<B>> for ToTemplates<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let asked = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let there = self.paths.template(asked).parse::<PathAndQuery>();
        let mut parts = request.uri().clone().into_parts();
        // A part of what was a path and query is one, too.
        parts.path_and_query = there.ok().or(parts.path_and_query);
        if let Ok(uri) = parts.try_into() {
            *request.uri_mut() = uri;
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use http_body_util::Full;
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
    use kube::{
        Api, Client,
        api::{ListParams, PostParams},
    };
    use parking_lot::Mutex;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// A client whose requests end here, and the list of them.
    fn client() -> (Client, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let service = service_fn(move |request: Request<kube::client::Body>| {
            seen.lock().push(format!("{} {}", request.method(), request.uri()));
            let list = request.method() == http::Method::GET;
            let body = if list {
                json!({ "kind": "List", "apiVersion": "v1", "metadata": {}, "items": [] })
            } else {
                json!({ "kind": "Deployment", "apiVersion": "apps/v1", "metadata": { "name": "web" } })
            };
            async move { Ok::<_, Infallible>(Response::new(Full::new(body.to_string().into_bytes().into()))) }
        });
        let paths = Arc::new(Paths::new(["deployments.demo.io".to_owned()]));
        (Client::new(Templates { paths }.layer(service), "default"), asked)
    }

    #[tokio::test]
    async fn typed_calls_of_any_group_reach_the_templates() {
        let (client, asked) = client();
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), "qux");
        deployments.create(&PostParams::default(), &Deployment::default()).await.unwrap();
        let maps: Api<ConfigMap> = Api::all(client.clone());
        maps.list(&ListParams::default().labels("a=b")).await.unwrap();
        let subscriptions: Api<api::apps::Subscription> = Api::namespaced(client, "qux");
        subscriptions.list(&ListParams::default()).await.unwrap();
        let asked = asked.lock();
        assert_eq!(asked[0], "POST /apis/shadow/v1alpha1/namespaces/qux/deployments?");
        assert!(
            asked[1].starts_with("GET /apis/shadow/v1alpha1/configmaps?")
                && asked[1].contains("labelSelector=a%3Db")
        );
        assert!(
            asked[2].starts_with("GET /apis/apps.clusternet.io/v1alpha1/namespaces/qux/subscriptions"),
            "{}",
            asked[2]
        );
    }
}
