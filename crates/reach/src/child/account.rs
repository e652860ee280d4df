//! A ServiceAccount of the child under which something is done for the parent: its search reads, or what it deploys is
//! applied.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use meta::Status;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long a token lives.
const LIFETIME: Duration = Duration::from_secs(3600);
/// A token is used for so long: a cluster may give less than was asked for, but not less than ten minutes.
const USE: Duration = Duration::from_secs(480);
/// What asking for a token may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gets tokens of a ServiceAccount when they are needed. Cheap to clone.
#[derive(Clone)]
pub struct Account(Arc<Inner>);

struct Inner {
    accounts: Api<ServiceAccount>,
    name: &'static str,
    token: Mutex<Option<(HeaderValue, Instant)>>,
}

impl Account {
    /// The ServiceAccount `name` in `namespace` of the cluster of `client`. Nothing is asked for before the first request.
    pub fn new(client: Client, namespace: &str, name: &'static str) -> Self {
        let accounts = Api::namespaced(client, namespace);
        Self(Arc::new(Inner { accounts, name, token: Mutex::default() }))
    }

    /// The value of the `Authorization` header, from a token that still lives for a while.
    ///
    /// # Errors
    ///
    /// A status that says what is missing in the cluster, or that there is no token yet.
    pub async fn authorization(&self) -> Result<HeaderValue, Status> {
        // Held while one is asked for: a hundred requests at once need one token.
        let mut held = self.0.token.lock().await;
        if let Some((value, until)) = &*held
            && Instant::now() < *until
        {
            return Ok(value.clone());
        }
        let value = self.ask().await?;
        *held = Some((value.clone(), Instant::now() + USE));
        Ok(value)
    }

    async fn ask(&self) -> Result<HeaderValue, Status> {
        let name = self.0.name;
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: Vec::new(),
                expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
                bound_object_ref: None,
            },
            ..TokenRequest::default()
        };
        let options = PostParams::default();
        let answer = timeout(PATIENCE, self.0.accounts.create_token_request(name, &options, &request));
        let answer = answer
            .await
            .map_err(|_| Status::unavailable(format!("The agent got no token for {name} in time.")))?;
        let token = answer
            .map_err(|error| refused(name, &error))?
            .status
            .map(|status| status.token)
            .unwrap_or_default();
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Status::bad_gateway(format!("The token of {name} cannot be sent.")))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Why there is no token. The cluster's own words name the ServiceAccount and the right that is missing.
fn refused(name: &str, error: &kube::Error) -> Status {
    match error {
        kube::Error::Api(status) if matches!(status.code, 403 | 404) => Status::forbidden(format!(
            "The agent gets no token for the ServiceAccount {name}, in whose name the parent acts here: {}. The manifests of \
             the agent (deploy/agent) bring both the account and that right.",
            status.message
        )),
        _ => Status::unavailable(format!("The agent got no token for the ServiceAccount {name}.")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response};
    use kube::client::Body;

    use super::*;

    /// A cluster that answers every request for a token with this status and body.
    fn cluster(status: u16, body: &'static str) -> (Account, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            assert!(
                request.uri().path().ends_with("/namespaces/system/serviceaccounts/clusterway-reader/token")
            );
            count.fetch_add(1, Ordering::Relaxed);
            let response =
                Response::builder().status(status).body(Body::from(body.as_bytes().to_vec())).unwrap();
            async move { Ok::<_, std::convert::Infallible>(response) }
        });
        (Account::new(Client::new(service, "default"), "system", "clusterway-reader"), asked)
    }

    #[tokio::test]
    async fn many_requests_need_one_token() {
        let body = r#"{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{"audiences":[]},
            "status":{"token":"t","expirationTimestamp":"2030-01-01T00:00:00Z"}}"#;
        let (reader, asked) = cluster(201, body);
        for _ in 0..3 {
            let value = reader.authorization().await.unwrap();
            assert_eq!((value.to_str().unwrap(), value.is_sensitive()), ("Bearer t", true));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn without_the_account_the_hub_is_told_what_is_missing() {
        let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"reason":"NotFound",
            "message":"serviceaccounts \"clusterway-reader\" not found"}"#;
        let (reader, _) = cluster(404, body);
        let status = reader.authorization().await.unwrap_err();
        assert_eq!(status.code, 403);
        assert!(status.message.contains("deploy/agent"), "{}", status.message);
    }
}
