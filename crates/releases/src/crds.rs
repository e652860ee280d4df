//! The CRDs of a chart, brought up to date in the child (`replaceCRDs`): Helm itself never touches those that are there.

use helm::Cluster;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

/// More CRDs than this no chart has.
const MOST: usize = 500;

/// Applies the CRDs that stand in `yaml`.
pub(crate) async fn replace(cluster: &Cluster, yaml: &str) -> Result<(), helm::Error> {
    let unusable = |_| helm::Error::Unusable(String::from("its CRDs cannot be read"));
    // Not as what this version of Kubernetes' types knows of them: nothing of a newer field is lost.
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).map_err(unusable)?;
    let documents = documents.into_iter().filter(|document| !document.is_null());
    let definitions: Vec<DynamicObject> = documents
        .map(definition)
        .collect::<Option<_>>()
        .ok_or_else(|| helm::Error::Unusable(String::from("what it has as CRDs is something else, too")))?;
    if definitions.is_empty() {
        return Ok(());
    }
    if definitions.len() > MOST {
        return Err(helm::Error::TooLarge(format!("it has more than {MOST} CRDs")));
    }
    let kind = ApiResource::erase::<CustomResourceDefinition>(&());
    let all: Api<DynamicObject> = Api::all_with(client(cluster)?, &kind);
    let options = PatchParams::apply(FIELD_MANAGER).force();
    for definition in definitions {
        all.patch(&definition.name_any(), &options, &Patch::Apply(&definition))
            .await
            .map_err(|error| refused(&error))?;
    }
    Ok(())
}

/// A CRD as it is applied; none if it is something else.
fn definition(document: Value) -> Option<DynamicObject> {
    let mut object: DynamicObject = serde_json::from_value(document).ok()?;
    let types = object.types.as_ref()?;
    let is_crd = types.kind == "CustomResourceDefinition" && types.api_version == "apiextensions.k8s.io/v1";
    object.metadata.name.as_ref().filter(|_| is_crd)?;
    object.metadata.managed_fields = None;
    object.data.as_object_mut()?.remove("status");
    Some(object)
}

/// The field manager of everything that is applied in a child.
const FIELD_MANAGER: &str = "clusterway";

fn client(cluster: &Cluster) -> Result<Client, helm::Error> {
    let unreachable = |why: String| helm::Error::ClusterUnreachable(why);
    let url = cluster.server.parse().map_err(|_| unreachable(String::from("its URL cannot be read")))?;
    let mut config = kube::Config::new(url);
    let authority = runtime::tls::certificates("the cluster's authority", cluster.authority.as_bytes());
    let authority = authority.map_err(|error| unreachable(error.to_string()))?;
    config.root_cert = Some(authority.iter().map(|certificate| certificate.to_vec()).collect());
    config.tls_server_name.clone_from(&cluster.server_name);
    config.auth_info.token = Some(cluster.token.expose_secret().to_owned().into());
    Client::try_from(config).map_err(|error| unreachable(error.to_string()))
}

fn refused(error: &kube::Error) -> helm::Error {
    match error {
        kube::Error::Api(status) if status.code == 403 => helm::Error::Forbidden(status.message.clone()),
        kube::Error::Api(status) => {
            helm::Error::Failed(format!("a CRD was refused: {} {}", status.code, status.reason))
        }
        other => helm::Error::ClusterUnreachable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_crd_is_applied_as_it_stands_there_and_what_is_none_is_not() {
        let crd = |api_version: &str, kind: &str| {
            definition(
                json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "a", "managedFields": [] },
                               "spec": { "newer": 1 }, "status": { "stored": [] } }),
            )
        };
        let found = crd("apiextensions.k8s.io/v1", "CustomResourceDefinition").unwrap();
        assert_eq!((&found.data, found.metadata.managed_fields), (&json!({ "spec": { "newer": 1 } }), None));
        assert!(crd("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition").is_none());
        assert!(crd("v1", "Secret").is_none());
        assert!(definition(json!("text")).is_none());
    }
}
