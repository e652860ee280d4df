//! Keeps a template of a ConfigMap in the parent of the current kubeconfig, shows it, and takes it away again.
//!
//! `cargo run -p shadow-client --example keep`

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ObjectMeta, PostParams},
    client::ClientBuilder,
};
use shadow_client::Templates;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::tls::install_crypto_provider();
    let parent = Config::infer().await?;
    let templates = Templates::of(&Client::try_from(parent.clone())?).await?;
    let client = ClientBuilder::try_from(parent)?.with_layer(&templates).build();
    // The namespace need not exist.
    let maps: Api<ConfigMap> = Api::namespaced(client, "qux");

    let settings = ConfigMap {
        metadata: ObjectMeta { name: Some("settings".to_owned()), ..ObjectMeta::default() },
        data: Some([("colour".to_owned(), "green".to_owned())].into()),
        ..ConfigMap::default()
    };
    let kept = maps.create(&PostParams::default(), &settings).await?;
    let (namespace, name) =
        (kept.metadata.namespace.unwrap_or_default(), kept.metadata.name.unwrap_or_default());
    eprintln!("the parent keeps {namespace}/{name} as the Manifest configmaps.{namespace}.{name}");
    maps.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}
