//! Answers registration requests, and keeps what belongs to approved ones as it should be.

use std::time::Duration;

use api::{
    clusters::{ClusterRegistrationRequest, ClusterRegistrationRequestStatus, ManagedCluster},
    names::{self, approval},
};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Namespace, ServiceAccount},
};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PostParams},
};
use tracing::info;

use super::{
    answer::{self, Credential, is_approved},
    cluster,
    context::{Context, Obstacle, Reservation},
    decision::{Application, Approval, Name, Refusal, belongs_to, decide},
    io::{self, Error, code, create_params, ensure, patch_params},
    naming,
    objects::{self, Child},
    survey::{Survey, is_taken, of_id},
};

/// How soon a request that waits is looked at again.
const WAIT: Duration = Duration::from_secs(10);
/// How soon a denied request is looked at again although nothing seemed to change.
const DENIED: Duration = Duration::from_mins(10);
/// How long a token in clear shall live: agents that take one never renew it.
const CLEAR_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// Where every namespace of the parent has its CA certificates.
const CA_CONFIG_MAP: &str = "kube-root-ca.crt";

/// How one round ended.
enum Outcome {
    /// The cluster is registered, and this is the answer.
    Registered { child: Child, ca_certificate: ByteString, credential: Option<Credential> },
    /// It is not.
    Refused(Refusal),
    /// It was, and stays so while the hub may grant nothing.
    Untouched,
}

/// One round for one request; when to look again.
pub(crate) async fn examine(
    context: &Context,
    request: &ClusterRegistrationRequest,
) -> Result<Duration, Error> {
    if request.metadata.deletion_timestamp.is_some() {
        return Ok(context.options.resync);
    }
    let current = request.status.clone().unwrap_or_default();
    let (generation, now) = (request.metadata.generation, Timestamp::now());
    match consider(context, request).await? {
        Outcome::Registered { child, ca_certificate, credential } => {
            let sealed = credential.as_ref().is_some_and(|credential| credential.sealed);
            let next = answer::approved(&current, &child, ca_certificate, credential, generation, now);
            let written = write(context, request, &current, next).await?;
            if sealed {
                let note = "A token for the cluster, sealed to the key of this request, is in its status.";
                context.events.normal(request, "TokenSealed", note).await;
            }
            if written && !is_approved(Some(&current)) {
                info!(
                    cluster = child.id,
                    namespace = child.namespace,
                    name = child.name,
                    "cluster registered"
                );
                let note = format!("The cluster is registered as {}/{}.", child.namespace, child.name);
                context.counters.answered(approval::APPROVED);
                context.events.normal(request, "Approved", &note).await;
            }
            Ok(Context::spread(context.options.resync))
        }
        Outcome::Refused(refusal) => {
            if !refusal.last_word && is_approved(Some(&current)) {
                return Ok(Context::spread(WAIT));
            }
            let next = answer::refused(&current, &refusal, generation, now);
            if write(context, request, &current, next).await? {
                info!(request = request.name_any(), reason = refusal.reason, "request not approved");
                context.counters.answered(refusal.reason);
                context.events.warning(request, refusal.reason, &refusal.message).await;
            }
            Ok(Context::spread(if refusal.last_word { DENIED } else { WAIT }))
        }
        Outcome::Untouched => Ok(Context::spread(WAIT)),
    }
}

/// Writes the answer if it is another one. Fails if the request has changed since it was read.
async fn write(
    context: &Context,
    request: &ClusterRegistrationRequest,
    current: &ClusterRegistrationRequestStatus,
    next: ClusterRegistrationRequestStatus,
) -> Result<bool, Error> {
    if *current == next {
        return Ok(false);
    }
    let requests: Api<ClusterRegistrationRequest> = Api::all(context.client.clone());
    let answered = ClusterRegistrationRequest { status: Some(next), ..request.clone() };
    requests.replace_status(&request.name_any(), &create_params(), &answered).await?;
    Ok(true)
}

async fn consider(context: &Context, request: &ClusterRegistrationRequest) -> Result<Outcome, Error> {
    let application = match Application::read(request, context.options.allow_clear_tokens) {
        Ok(application) => application,
        Err(refusal) => return Ok(Outcome::Refused(refusal)),
    };
    if let Some(fault) = context.fence.fault().await? {
        if is_approved(request.status.as_ref()) {
            return Ok(Outcome::Untouched);
        }
        let message = format!("The parent cannot register clusters at the moment. {fault}");
        return Ok(Outcome::Refused(Refusal::waiting(approval::POLICY_MISSING, message)));
    }
    let survey = Survey::take(&context.client, request, &application).await?;
    let approval = match decide(&application, &survey.facts(&context.options.namespace)) {
        Ok(approval) => approval,
        Err(refusal) => {
            note_obstacle(context, request, &application, &refusal);
            return Ok(Outcome::Refused(refusal));
        }
    };
    let Some(ca_certificate) = ca_certificate(context).await? else {
        let message = format!(
            "The parent cannot register clusters at the moment. The ConfigMap {CA_CONFIG_MAP} with the parent's CA \
             certificates is missing in the hub's namespace; the parent's controller manager publishes it."
        );
        return Ok(Outcome::Refused(Refusal::waiting(approval::CA_MISSING, message)));
    };
    let cluster = match (approval, survey.cluster) {
        (Approval::Known, Some(cluster)) => cluster,
        (Approval::Known, None) => return Err(Error::Raced),
        (Approval::New { namespace, name }, _) => {
            let name = reserve_name(context, &application, name).await?;
            let namespace = make_namespace(context, request, &application, namespace, name.name()).await?;
            make_cluster(context, request, &application, namespace, name.name()).await?
        }
    };
    establish(context, request, &application, cluster, ca_certificate).await
}

fn note_obstacle(
    context: &Context,
    request: &ClusterRegistrationRequest,
    application: &Application,
    refusal: &Refusal,
) {
    let obstacle = match refusal.reason {
        approval::CLUSTER_NAME_TAKEN => application.name.clone().map(Obstacle::ClusterName),
        approval::CLUSTER_NAMESPACE_TAKEN => application.namespace.clone().map(Obstacle::Namespace),
        _ => None,
    };
    if let Some(obstacle) = obstacle {
        context.blocked.wait(obstacle, &request.name_any());
    }
}

async fn ca_certificate(context: &Context) -> Result<Option<ByteString>, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &context.options.namespace);
    let certificate = maps
        .get_opt(CA_CONFIG_MAP)
        .await?
        .and_then(|map| map.data)
        .and_then(|mut data| data.remove("ca.crt"));
    Ok(certificate.filter(|pem| !pem.is_empty()).map(|pem| ByteString(pem.into_bytes())))
}

/// A name that no cluster has, and that nobody else takes while the reservation lives.
async fn reserve_name<'a>(
    context: &'a Context,
    application: &Application,
    wanted: Name,
) -> Result<Reservation<'a>, Error> {
    let candidates: Vec<String> = match wanted {
        Name::Given(given) => vec![given],
        Name::Derived => naming::candidates(names::CLUSTER_NAME_PREFIX, &application.id).collect(),
    };
    for candidate in candidates {
        let Some(reservation) = context.reservations.reserve(&candidate) else { continue };
        if !is_taken(&context.client, &candidate, &application.id).await? {
            return Ok(reservation);
        }
    }
    Err(Error::Raced)
}

/// The namespace of a new cluster: the one that is there already, else a new one.
async fn make_namespace(
    context: &Context,
    request: &ClusterRegistrationRequest,
    application: &Application,
    wanted: Name,
    name: &str,
) -> Result<String, Error> {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let candidates: Vec<String> = match wanted {
        Name::Given(given) => vec![given],
        Name::Derived => naming::candidates(names::NAMESPACE_PREFIX, &application.id).collect(),
    };
    for candidate in candidates {
        if let Some(existing) = namespaces.get_opt(&candidate).await? {
            if belongs_to(&existing, &application.id) && existing.metadata.deletion_timestamp.is_none() {
                return Ok(candidate);
            }
            continue;
        }
        let child = Child { id: application.id.clone(), name: name.to_owned(), namespace: candidate };
        namespaces.create(&create_params(), &objects::namespace(&child)).await?;
        let note = format!("The namespace {} belongs to the cluster from now on.", child.namespace);
        context.events.normal(request, "NamespaceCreated", &note).await;
        return Ok(child.namespace);
    }
    Err(Error::Raced)
}

/// Makes the ManagedCluster and thereby pins the key, before any right is granted.
async fn make_cluster(
    context: &Context,
    request: &ClusterRegistrationRequest,
    application: &Application,
    namespace: String,
    name: &str,
) -> Result<ManagedCluster, Error> {
    let child = Child { id: application.id.clone(), name: name.to_owned(), namespace };
    let (wanted, refused) = cluster::new(request, &child, application.pin());
    let clusters: Api<ManagedCluster> = Api::namespaced(context.client.clone(), &child.namespace);
    let made = clusters.create(&create_params(), &wanted).await?;
    // Two hubs that both believe to lead may both have made one: the oldest counts, for both.
    if of_id(&context.client, &child.id).await?.and_then(|oldest| oldest.uid()) != made.uid() {
        return Err(Error::Raced);
    }
    let note = format!("The ManagedCluster {}/{} stands for the cluster.", child.namespace, child.name);
    context.events.normal(request, "ManagedClusterCreated", &note).await;
    tell_refused_labels(context, request, &refused).await;
    Ok(made)
}

async fn tell_refused_labels(
    context: &Context,
    request: &ClusterRegistrationRequest,
    refused: &std::collections::BTreeSet<String>,
) {
    if refused.is_empty() {
        return;
    }
    let keys: Vec<_> = refused.iter().map(String::as_str).collect();
    let note = format!(
        "These labels were not taken, because their keys are reserved, they are no valid labels, or there are too many: {}.",
        keys.join(", ")
    );
    context.events.warning(request, "LabelsRefused", &note).await;
}

/// Makes everything that belongs to a registered cluster what it should be.
async fn establish(
    context: &Context,
    request: &ClusterRegistrationRequest,
    application: &Application,
    cluster: ManagedCluster,
    ca_certificate: ByteString,
) -> Result<Outcome, Error> {
    let client = &context.client;
    let namespace = cluster.namespace().unwrap_or_default();
    let child = Child { id: application.id.clone(), name: cluster.name_any(), namespace };
    let pinned = follow(context, request, application, &cluster).await?;
    let bindings = Api::namespaced(client.clone(), &child.namespace);
    ensure(&bindings, &objects::hub_binding(&child, &context.options.namespace)).await?;
    let new_account = ensure_account(context, &child).await?;
    let mut granted = ensure(&bindings, &objects::child_binding(&child)).await?;
    granted |= ensure(&Api::all(client.clone()), &objects::cluster_role(&child)).await?;
    granted |= ensure(&Api::all(client.clone()), &objects::cluster_binding(&child)).await?;
    if granted {
        let note = "The cluster has its rights: its namespace, its request and its socket.";
        context.events.normal(request, "RightsGranted", note).await;
    }
    let has_token = request.status.as_ref().is_some_and(|it| match application.key {
        Some(_) => it.sealed_token.is_some(),
        None => it.token.is_some(),
    });
    let needs_token = new_account || pinned || !has_token || !is_approved(request.status.as_ref());
    let credential = if needs_token { Some(credential(context, application, &child).await?) } else { None };
    Ok(Outcome::Registered { child, ca_certificate, credential })
}

/// Lets the ManagedCluster follow its request; whether a key was pinned.
async fn follow(
    context: &Context,
    request: &ClusterRegistrationRequest,
    application: &Application,
    cluster: &ManagedCluster,
) -> Result<bool, Error> {
    let trust = context.options.trust_agent_labels;
    let Some(changes) = cluster::changes(request, cluster, &application.pin(), trust) else {
        return Ok(false);
    };
    let namespace = cluster.namespace().unwrap_or_default();
    let clusters: Api<ManagedCluster> = Api::namespaced(context.client.clone(), &namespace);
    clusters.patch(&cluster.name_any(), &patch_params(), &Patch::Merge(&changes.patch)).await?;
    tell_refused_labels(context, request, &changes.refused).await;
    if changes.pins {
        let note = "The cluster id belongs to the key of this request from now on.";
        context.events.normal(request, "KeyPinned", note).await;
    }
    Ok(changes.pins)
}

/// Makes the child's ServiceAccount if it is missing; whether it was.
pub(crate) async fn ensure_account(context: &Context, child: &Child) -> Result<bool, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(context.client.clone(), &child.namespace);
    if accounts.get_opt(names::CHILD_SERVICE_ACCOUNT).await?.is_some() {
        return Ok(false);
    }
    let params: PostParams = create_params();
    match accounts.create(&params, &objects::account(child)).await {
        Ok(_) => Ok(true),
        Err(error) if code(&error) == Some(409) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// A new token, sealed if the application has a key.
pub(crate) async fn credential(
    context: &Context,
    application: &Application,
    child: &Child,
) -> Result<Credential, Error> {
    let issued = match &application.key {
        Some(_) => context.issuer.issue(&child.namespace).await?,
        None => context.issuer.issue_for(&child.namespace, CLEAR_LIFETIME).await?,
    };
    let (sealed, bytes) = match &application.key {
        Some(key) => (true, key.seal(issued.token.as_bytes()).map_err(io::Error::from)?),
        None => (false, issued.token.as_bytes().to_vec()),
    };
    context.counters.sealed();
    Ok(Credential { sealed, bytes: ByteString(bytes), expires: issued.expires })
}
