//! The Secret `parent-cluster`: all an agent must not forget (contract 3.4).

use std::collections::BTreeMap;

use api::names::{self, labels};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, api::PostParams};

use super::parent::Roots;
use crate::seal::PrivateKey;

/// What the Secret holds.
#[derive(Clone, Default)]
pub(super) struct Memory {
    /// The agent's key: what the parent seals to. Made once.
    pub(super) private_key: Option<String>,
    /// The name chosen for the cluster; a made-up one is made up once.
    pub(super) name: Option<String>,
    /// The parent the rest is for.
    pub(super) url: Option<String>,
    /// The dedicated namespace.
    pub(super) namespace: Option<String>,
    /// The child's token in the parent.
    pub(super) token: Option<String>,
    /// The parent's CA (PEM).
    pub(super) ca: Option<String>,
    /// Whether the parent is verified by the system's roots and not by `ca`.
    pub(super) system_roots: bool,
}

impl Memory {
    /// The agent's key.
    pub(super) fn key(&self) -> anyhow::Result<PrivateKey> {
        let text = self.private_key.as_deref().unwrap_or_default();
        PrivateKey::from_base64(text).map_err(|_| {
            anyhow::anyhow!(
                "the key in Secret {} cannot be read; deleting the Secret makes a new one, which the parent accepts after \
                 the ManagedCluster was deleted there",
                names::PARENT_SECRET
            )
        })
    }

    /// By whom the parent is vouched for in steady state.
    pub(super) fn roots(&self) -> Option<Roots> {
        if self.system_roots { Some(Roots::System) } else { self.ca.clone().map(Roots::Authority) }
    }

    fn data(&self) -> BTreeMap<String, ByteString> {
        let pairs = [
            ("private-key", self.private_key.as_deref()),
            ("cluster-name", self.name.as_deref()),
            ("apiserver-advertise-url", self.url.as_deref()),
            ("namespace", self.namespace.as_deref()),
            ("token", self.token.as_deref()),
            ("ca.crt", self.ca.as_deref()),
            ("system-roots", self.system_roots.then_some("true")),
        ];
        let pairs = pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        pairs.map(|(key, value)| (key, ByteString(value.as_bytes().to_vec()))).collect()
    }
}

/// Reads and writes the Secret.
#[derive(Clone)]
pub(super) struct Keeper {
    secrets: Api<Secret>,
    cluster_id: String,
}

impl Keeper {
    pub(super) fn new(child: &Client, namespace: &str, cluster_id: &str) -> Self {
        Self { secrets: Api::namespaced(child.clone(), namespace), cluster_id: cluster_id.to_owned() }
    }

    pub(super) async fn read(&self) -> kube::Result<Memory> {
        let data = self
            .secrets
            .get_opt(names::PARENT_SECRET)
            .await?
            .and_then(|secret| secret.data)
            .unwrap_or_default();
        let text = |key: &str| {
            let value = data.get(key).and_then(|value| String::from_utf8(value.0.clone()).ok());
            value.filter(|value| !value.is_empty())
        };
        Ok(Memory {
            private_key: text("private-key"),
            name: text("cluster-name"),
            url: text("apiserver-advertise-url"),
            namespace: text("namespace"),
            token: text("token"),
            ca: text("ca.crt"),
            system_roots: text("system-roots").is_some(),
        })
    }

    /// Writes everything. Only the leader writes, so the newest word is ours.
    pub(super) async fn write(&self, memory: &Memory) -> kube::Result<()> {
        let mut found = BTreeMap::from([
            (labels::BOOTSTRAPPING.to_owned(), labels::CREDENTIALS_AUTO.to_owned()),
            (labels::CLUSTER_ID.to_owned(), self.cluster_id.clone()),
        ]);
        if let Some(name) = &memory.name {
            found.insert(labels::CLUSTER_NAME.to_owned(), name.clone());
        }
        let mut secret = Secret {
            metadata: ObjectMeta {
                name: Some(names::PARENT_SECRET.to_owned()),
                labels: Some(found),
                ..ObjectMeta::default()
            },
            type_: Some(String::from("Opaque")),
            data: Some(memory.data()),
            ..Secret::default()
        };
        match self.secrets.get_metadata_opt(names::PARENT_SECRET).await? {
            Some(current) => {
                secret.metadata.resource_version = current.metadata.resource_version;
                self.secrets.replace(names::PARENT_SECRET, &PostParams::default(), &secret).await?;
            }
            None => {
                self.secrets.create(&PostParams::default(), &secret).await?;
            }
        }
        Ok(())
    }
}
