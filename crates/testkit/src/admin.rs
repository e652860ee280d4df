//! A real cluster that a test is given: the kubeconfig of its administrator stands in a variable of the environment.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

/// The account that gets everything.
const ACCOUNT: &str = "testkit-admin";

/// A cluster, and two ways into it.
pub struct Admin {
    /// Its administrator.
    pub client: Client,
    /// The URL of its API server.
    pub server: String,
    /// Whom its certificate is from (PEM).
    pub authority: String,
    /// A token of an account that may do everything.
    pub token: String,
}

impl Admin {
    /// The cluster whose kubeconfig is named by a variable.
    ///
    /// # Errors
    /// That the variable is not set, or that the cluster does not answer.
    pub async fn from_env(variable: &str) -> anyhow::Result<Self> {
        let file = std::env::var(variable).with_context(|| format!("{variable} is not set"))?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?;
        let server = config.cluster_url.to_string();
        let pem = |der: &Vec<u8>| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
        };
        let authority = config.root_cert.iter().flatten().map(pem).collect();
        let client = Client::try_from(config)?;
        let token = token(&client).await?;
        Ok(Self { client, server, authority, token })
    }
}

async fn token(client: &Client) -> anyhow::Result<String> {
    let manager = PatchParams::apply("testkit").force();
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ACCOUNT } });
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    accounts.patch(ACCOUNT, &manager, &Patch::Apply(&account)).await?;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": ACCOUNT },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default" }],
    });
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    bindings.patch(ACCOUNT, &manager, &Patch::Apply(&binding)).await?;
    let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let answer = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await?;
    Ok(answer.status.context("no token")?.token)
}
