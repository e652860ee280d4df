//! The CRDs of a chart, brought up to date in the child (`replaceCRDs`): Helm itself never touches those that are there.

use helm::Cluster;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
};
use secrecy::ExposeSecret as _;

/// More CRDs than this no chart has.
const MOST: usize = 500;

/// Applies the CRDs that stand in `yaml`.
pub(crate) async fn replace(cluster: &Cluster, yaml: &str) -> Result<(), helm::Error> {
    let unusable = |_| helm::Error::Unusable(String::from("its CRDs cannot be read"));
    let documents: Vec<Option<CustomResourceDefinition>> =
        serde_saphyr::from_multiple(yaml).map_err(unusable)?;
    let definitions: Vec<CustomResourceDefinition> = documents.into_iter().flatten().collect();
    if definitions.is_empty() {
        return Ok(());
    }
    if definitions.len() > MOST {
        return Err(helm::Error::TooLarge(format!("it has more than {MOST} CRDs")));
    }
    let all: Api<CustomResourceDefinition> = Api::all(client(cluster)?);
    let options = PatchParams::apply(FIELD_MANAGER).force();
    for mut definition in definitions {
        definition.metadata.managed_fields = None;
        definition.status = None;
        all.patch(&definition.name_any(), &options, &Patch::Apply(&definition))
            .await
            .map_err(|error| refused(&error))?;
    }
    Ok(())
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
