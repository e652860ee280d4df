//! Fresh tokens for clusters that do not report.
//!
//! An agent renews its token by itself while it runs. For one that is off, the hub keeps a token in the status of its
//! request that is still good when it comes back: sealed to the pinned key, at two thirds of the old one's life.

use std::time::Duration;

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster},
    names::{self, annotations},
};
use jiff::Timestamp;
use kube::{Api, ResourceExt as _};

use super::{
    answer::is_approved,
    approver::{credential, ensure_account},
    context::Context,
    decision::Application,
    io::{Error, create_params},
    objects::Child,
};

/// How soon to look again where there is nothing to seal, or where the token lives longer.
const LOOK_AGAIN: Duration = Duration::from_hours(1);
/// How soon to look again while the hub may grant nothing.
const WAIT: Duration = Duration::from_secs(30);

/// Seals a fresh token if one is due; when to look again.
pub(crate) async fn reseal(context: &Context, cluster: &ManagedCluster) -> Result<Duration, Error> {
    let requests: Api<ClusterRegistrationRequest> = Api::all(context.client.clone());
    let Some(request) = requests.get_opt(&names::of_cluster(&cluster.spec.cluster_id)).await? else {
        return Ok(Context::spread(LOOK_AGAIN));
    };
    let Some(application) = entitled(&request, cluster) else { return Ok(Context::spread(LOOK_AGAIN)) };
    if context.fence.fault().await?.is_some() {
        return Ok(Context::spread(WAIT));
    }
    let child = Child {
        id: cluster.spec.cluster_id.clone(),
        name: cluster.name_any(),
        namespace: cluster.namespace().unwrap_or_default(),
    };
    let new_account = ensure_account(context, &child).await?;
    let mut status = request.status.clone().unwrap_or_default();
    let expires = status.sealed_token.as_ref().and(status.token_expiration_timestamp.as_ref());
    let due_in = context.issuer.until_due(expires.map(|time| time.0), Timestamp::now());
    if let (Some(wait), false) = (due_in, new_account) {
        return Ok(wait.min(LOOK_AGAIN));
    }
    let fresh = credential(context, &application, &child).await?;
    let (expires, sealed_token) = (fresh.expires, fresh.bytes);
    status.sealed_token = Some(sealed_token);
    status.token_expiration_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(expires));
    let next = ClusterRegistrationRequest { status: Some(status), ..request };
    requests.replace_status(&next.name_any(), &create_params(), &next).await?;
    let note = "The cluster does not report. A fresh token, sealed to its key, waits for its agent.";
    context.events.normal(&next, "TokenResealed", note).await;
    let wait = context.issuer.until_due(Some(expires), Timestamp::now());
    Ok(wait.unwrap_or(WAIT).min(LOOK_AGAIN))
}

/// The application, if the request is this cluster's, approved, and carries the pinned key.
fn entitled(request: &ClusterRegistrationRequest, cluster: &ManagedCluster) -> Option<Application> {
    let application = Application::read(request, false).ok()?;
    let status = request.status.as_ref().filter(|status| is_approved(Some(status)))?;
    let same_place = status.dedicated_namespace == cluster.namespace()
        && status.managed_cluster_name.as_deref() == Some(&cluster.name_any());
    let pinned = cluster.annotations().get(annotations::PINNED_KEY)?;
    (same_place && *pinned == application.pin()).then_some(application)
}
