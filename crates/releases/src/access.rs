//! The way into a cluster for an operation of Helm, which only knows addresses and tokens.

use std::{any::Any, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kubeio::Transport;
use reach::{Door, child::Account};
use runtime::Tasks;

/// What an API server says of its version is shorter than this.
const VERSION: usize = 64 << 10;

/// Why there is no way to a cluster, for people; no credential is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAccess(pub String);

/// The way to the child, as the account in whose name everything is deployed there.
pub trait Access: Send + Sync {
    /// A way for one operation.
    fn open(&self) -> BoxFuture<'_, Result<Way, NoAccess>>;
}

/// A way to the child for one operation, for as long as this value lives.
pub struct Way {
    /// The cluster, with a token that lives as long as the way, and for some minutes at least.
    pub cluster: helm::Cluster,
    /// What ends the way when it is dropped, if it ends at all.
    pub door: Option<Box<dyn Any + Send + Sync>>,
}

/// The agent's own cluster, where it has an account for what is deployed.
#[derive(Clone)]
pub struct Own {
    /// The URL of its API server.
    pub server: String,
    /// Whom its certificate is to come from (PEM).
    pub authority: String,
    /// The name in its certificate, where it is not the one in the URL.
    pub server_name: Option<String>,
    /// In whose name charts are installed.
    pub account: Account,
}

impl Access for Own {
    fn open(&self) -> BoxFuture<'_, Result<Way, NoAccess>> {
        Box::pin(async move {
            let value = self.account.authorization().await.map_err(|status| NoAccess(status.message))?;
            let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
            let token =
                token.ok_or_else(|| NoAccess(String::from("the token of the deployer cannot be read")))?;
            let cluster = helm::Cluster {
                server: self.server.clone(),
                authority: self.authority.clone(),
                server_name: self.server_name.clone(),
                token: token.to_owned().into(),
            };
            Ok(Way { cluster, door: None })
        })
    }
}

/// A cluster that the hub reaches by a transport: each operation gets a door to it. The doors are in `tasks`.
pub(crate) struct Through {
    pub(crate) tasks: Tasks,
    pub(crate) child: Arc<dyn Transport>,
}

impl Access for Through {
    fn open(&self) -> BoxFuture<'_, Result<Way, NoAccess>> {
        Box::pin(async move {
            // Helm does not pass on why a cluster refuses it, such as that its owner has frozen it.
            let request = http::Request::get("/version").body(Bytes::new());
            let request = request.map_err(|error| NoAccess(error.to_string()))?;
            match kubeio::call(&*self.child, request, VERSION).await {
                Ok(Ok(_)) => {}
                Ok(Err(status)) => return Err(NoAccess(status.message)),
                Err(error) => return Err(NoAccess(error.to_string())),
            }
            let door = Door::open(&self.tasks, Arc::clone(&self.child)).await;
            let door = door.map_err(|error| NoAccess(format!("{error:#}")))?;
            let cluster = helm::Cluster {
                server: door.url(),
                authority: door.authority().to_owned(),
                server_name: None,
                token: door.token().to_owned().into(),
            };
            Ok(Way { cluster, door: Some(Box::new(door)) })
        })
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Full};
    use kubeio::{Body, Error, Lane};
    use meta::Status;

    use super::*;

    /// A cluster that refuses everything for a reason, if there is one.
    struct Child(Option<&'static str>);

    impl Transport for Child {
        fn send(&self, _: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
            let (code, body) = match self.0 {
                Some(why) => (403, Bytes::from(Status::forbidden(why).to_json())),
                None => (200, Bytes::from_static(b"{}")),
            };
            let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
            Box::pin(async move { Ok(Response::builder().status(code).body(body).unwrap()) })
        }
    }

    fn through(refusal: Option<&'static str>) -> Through {
        Through { tasks: Tasks::new(), child: Arc::new(Child(refusal)) }
    }

    #[tokio::test]
    async fn why_a_cluster_refuses_the_hub_is_known_before_helm_runs() {
        let refused = through(Some("its owner has frozen it")).open().await;
        assert_eq!(refused.err(), Some(NoAccess(String::from("its owner has frozen it"))));
    }

    #[tokio::test]
    async fn through_a_tunnel_each_operation_has_a_door_of_its_own() {
        let through = through(None);
        let [one, other] = [through.open().await.unwrap(), through.open().await.unwrap()];
        assert!(one.door.is_some() && one.cluster.server.starts_with("https://127.0.0.1:"));
        assert_ne!(one.cluster.server, other.cluster.server);
    }
}
