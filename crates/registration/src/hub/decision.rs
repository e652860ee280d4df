//! What a registration request deserves, given what there is. No I/O: the approver gathers the facts and does what is
//! decided here.

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster},
    names::{self, annotations, approval, labels},
};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;

use super::naming;
use crate::seal::PublicKey;

/// The pin of a cluster that was registered without a key.
pub(crate) const NO_KEY: &str = "";

/// A request is not approved, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Whether the answer stands until something is changed (Denied) or the hub waits for something to pass.
    pub(crate) last_word: bool,
    /// The reason in the Approved condition, one of [`approval`].
    pub(crate) reason: &'static str,
    /// Full sentences with the remedy. Read by holders of a bootstrap token: says nothing of other clusters.
    pub(crate) message: String,
}

impl Refusal {
    fn denied(reason: &'static str, message: impl Into<String>) -> Self {
        Self { last_word: true, reason, message: message.into() }
    }

    /// The hub will approve as soon as something has passed.
    pub(crate) fn waiting(reason: &'static str, message: impl Into<String>) -> Self {
        Self { last_word: false, reason, message: message.into() }
    }
}

/// A request that is sound in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Application {
    /// The cluster id.
    pub(crate) id: String,
    /// Whom to seal to; none only where clear tokens are allowed.
    pub(crate) key: Option<PublicKey>,
    /// The wanted name of the ManagedCluster.
    pub(crate) name: Option<String>,
    /// The wanted dedicated namespace.
    pub(crate) namespace: Option<String>,
}

impl Application {
    /// Reads a request; refuses what no state of the parent could make acceptable.
    pub(crate) fn read(
        request: &ClusterRegistrationRequest,
        allow_clear_tokens: bool,
    ) -> Result<Self, Refusal> {
        let id = request.spec.cluster_id.as_str();
        if request.name_any() != names::of_cluster(id) {
            return Err(Refusal::denied(
                approval::NAME_MISMATCH,
                "The name of the request must be \"clusternet-\" followed by spec.clusterId. Create a request whose \
                 name and cluster id agree.",
            ));
        }
        if !naming::is_cluster_id(id) {
            return Err(Refusal::denied(
                approval::CLUSTER_ID_INVALID,
                "spec.clusterId must be a UUID in lower case. Remove the annotation legacy-cluster-id from the \
                 agent's Lease or set it to such a UUID.",
            ));
        }
        let key = read_key(request, allow_clear_tokens)?;
        let requester = request.annotations().get(annotations::REQUESTER);
        if key.is_some() && requester.is_none_or(String::is_empty) {
            return Err(Refusal::denied(
                approval::REQUESTER_MISSING,
                format!(
                    "The request must name its creator in the annotation {}. Create it again with a current agent.",
                    annotations::REQUESTER
                ),
            ));
        }
        let name = request.spec.cluster_name.clone().filter(|name| !name.is_empty());
        if name.as_deref().is_some_and(|name| !naming::is_dns_label(name, naming::CLUSTER_NAME_LENGTH)) {
            return Err(Refusal::denied(
                approval::CLUSTER_NAME_INVALID,
                "spec.clusterName must consist of at most 30 lower-case letters, digits and hyphens, and begin and \
                 end with a letter or digit. Register again with another name.",
            ));
        }
        let namespace = request.spec.cluster_namespace.clone().filter(|name| !name.is_empty());
        if namespace.as_deref().is_some_and(|name| !naming::is_dns_label(name, naming::NAMESPACE_LENGTH)) {
            return Err(Refusal::denied(
                approval::CLUSTER_NAMESPACE_INVALID,
                "spec.clusterNamespace must consist of at most 63 lower-case letters, digits and hyphens, and begin \
                 and end with a letter or digit. Register again with another namespace.",
            ));
        }
        Ok(Self { id: id.to_owned(), key, name, namespace })
    }

    /// What is pinned on the ManagedCluster when this application is approved.
    pub(crate) fn pin(&self) -> String {
        self.key.as_ref().map_or_else(|| NO_KEY.to_owned(), PublicKey::to_base64)
    }
}

fn read_key(
    request: &ClusterRegistrationRequest,
    allow_clear_tokens: bool,
) -> Result<Option<PublicKey>, Refusal> {
    let Some(text) = request.annotations().get(annotations::PUBLIC_KEY) else {
        return if allow_clear_tokens {
            Ok(None)
        } else {
            Err(Refusal::denied(
                approval::KEY_MISSING,
                format!(
                    "The request carries no public key in the annotation {}, so its token could not be sealed. \
                     Register with a current agent. For agents that know no keys the hub has the flag \
                     --allow-clear-tokens, which lets everybody who may read requests read their tokens.",
                    annotations::PUBLIC_KEY
                ),
            ))
        };
    };
    PublicKey::from_base64(text).map(Some).map_err(|error| {
        Refusal::denied(
            approval::KEY_INVALID,
            format!(
                "The public key in the annotation {} cannot be used: {error}. Delete the request and let the agent \
                 create it again.",
                annotations::PUBLIC_KEY
            ),
        )
    })
}

/// What there is in the parent that bears on one application.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    /// The ManagedCluster of this id; the oldest should there be several.
    pub(crate) cluster: Option<&'a ManagedCluster>,
    /// The namespace that is labelled as this cluster's.
    pub(crate) own_namespace: Option<&'a Namespace>,
    /// The namespace that has the wanted name.
    pub(crate) wanted_namespace: Option<&'a Namespace>,
    /// Whether a cluster with another id has the wanted name.
    pub(crate) name_taken: bool,
    /// The hub's own namespace.
    pub(crate) hub_namespace: &'a str,
}

/// A name that is given, or one to derive from the cluster id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// This one.
    Given(String),
    /// The first of the derived names that is free.
    Derived,
}

/// The request is approved, and into what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Approval {
    /// Into the ManagedCluster there is.
    Known,
    /// Into a ManagedCluster to be made.
    New {
        /// Its namespace, which may exist.
        namespace: Name,
        /// Its name.
        name: Name,
    },
}

/// Decides on a sound application.
pub(crate) fn decide(application: &Application, facts: &Facts<'_>) -> Result<Approval, Refusal> {
    if let Some(cluster) = facts.cluster {
        check_pin(application, cluster)?;
        if cluster.metadata.deletion_timestamp.is_some() {
            return Err(Refusal::waiting(
                approval::CLUSTER_BEING_DELETED,
                "The cluster is being deregistered. It is registered anew when that is done; stop the agent if it \
                 is meant to stay away.",
            ));
        }
    }
    if facts.own_namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some()) {
        return Err(Refusal::waiting(
            approval::NAMESPACE_BEING_DELETED,
            "The namespace of the cluster is being deleted. The cluster is registered when it is gone.",
        ));
    }
    if facts.cluster.is_some() {
        return Ok(Approval::Known);
    }
    Ok(Approval::New {
        namespace: choose_namespace(application, facts)?,
        name: choose_name(application, facts)?,
    })
}

/// A cluster id belongs to the first approved key.
fn check_pin(application: &Application, cluster: &ManagedCluster) -> Result<(), Refusal> {
    match cluster.annotations().get(annotations::PINNED_KEY) {
        Some(pinned) if *pinned != application.pin() => Err(Refusal::denied(
            approval::KEY_MISMATCH,
            format!(
                "The cluster id belongs to another key. If this is the same cluster and its agent has lost its key \
                 (the Secret {} in the cluster), an administrator of the parent lets the new key in by removing the \
                 annotation {} from the ManagedCluster.",
                names::PARENT_SECRET,
                annotations::PINNED_KEY
            ),
        )),
        _ => Ok(()),
    }
}

fn choose_namespace(application: &Application, facts: &Facts<'_>) -> Result<Name, Refusal> {
    if let Some(namespace) = facts.own_namespace {
        return Ok(Name::Given(namespace.name_any()));
    }
    let Some(wanted) = &application.namespace else { return Ok(Name::Derived) };
    let reserved = wanted.starts_with("kube-") || wanted == "default" || wanted == facts.hub_namespace;
    if reserved || facts.wanted_namespace.is_some_and(|it| !belongs_to(it, &application.id)) {
        return Err(Refusal::denied(
            approval::CLUSTER_NAMESPACE_TAKEN,
            format!(
                "The namespace {wanted} exists or is reserved, and does not belong to this cluster. Register with \
                 another namespace or with none."
            ),
        ));
    }
    Ok(Name::Given(wanted.clone()))
}

fn choose_name(application: &Application, facts: &Facts<'_>) -> Result<Name, Refusal> {
    let Some(wanted) = &application.name else { return Ok(Name::Derived) };
    if facts.name_taken {
        return Err(Refusal::denied(
            approval::CLUSTER_NAME_TAKEN,
            format!("Another cluster has the name {wanted}. Register with another name or with none."),
        ));
    }
    Ok(Name::Given(wanted.clone()))
}

/// Whether a namespace was made for this cluster.
pub(crate) fn belongs_to(namespace: &Namespace, id: &str) -> bool {
    let label = |key| namespace.labels().get(key).map(String::as_str);
    label(labels::CREATED_BY) == Some(labels::AGENT) && label(labels::CLUSTER_ID) == Some(id)
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
