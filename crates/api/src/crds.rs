//! The CRD objects, as `cargo xtask gen` writes them to `deploy/crds`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use crate::clusters::{ClusterRegistrationRequest, ManagedCluster};

/// Every CRD we install in a parent.
pub fn parent() -> Vec<CustomResourceDefinition> {
    vec![ClusterRegistrationRequest::crd(), ManagedCluster::crd()]
}
