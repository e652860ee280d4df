//! The ServiceAccount under which the parent reads a child for its search.

use std::{sync::Arc, time::Duration};

use api::names::reader::SERVICE_ACCOUNT;
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

/// Gets tokens of the reader when they are needed. Cheap to clone.
#[derive(Clone)]
pub struct Reader(Arc<Inner>);

struct Inner {
    accounts: Api<ServiceAccount>,
    token: Mutex<Option<(HeaderValue, Instant)>>,
}

impl Reader {
    /// The reader in `namespace` of the cluster of `client`. Nothing is asked for before the first request.
    pub fn new(client: Client, namespace: &str) -> Self {
        let accounts = Api::namespaced(client, namespace);
        Self(Arc::new(Inner { accounts, token: Mutex::default() }))
    }

    /// The value of the `Authorization` header, from a token that still lives for a while.
    pub(super) async fn authorization(&self) -> Result<HeaderValue, Status> {
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
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: Vec::new(),
                expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
                bound_object_ref: None,
            },
            ..TokenRequest::default()
        };
        let options = PostParams::default();
        let answer =
            timeout(PATIENCE, self.0.accounts.create_token_request(SERVICE_ACCOUNT, &options, &request));
        let answer = answer
            .await
            .map_err(|_| Status::unavailable("The agent got no token for the reader in time."))?;
        let token =
            answer.map_err(|error| refused(&error))?.status.map(|status| status.token).unwrap_or_default();
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Status::bad_gateway("The token of the reader cannot be sent."))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Why there is no token. The cluster's own words name the ServiceAccount and the right that is missing.
fn refused(error: &kube::Error) -> Status {
    match error {
        kube::Error::Api(status) if matches!(status.code, 403 | 404) => Status::forbidden(format!(
            "The agent gets no token for the ServiceAccount {SERVICE_ACCOUNT}, with which the parent reads this cluster: \
             {}. The manifests of the agent (deploy/agent) bring both.",
            status.message
        )),
        _ => Status::unavailable("The agent got no token for the reader of this cluster."),
    }
}
