//! Very many tunnels at once.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use api::{
    clusters::{ClusterRegistrationRequest, ClusterRegistrationRequestSpec, SyncMode},
    names::{self, annotations},
    proxies,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Response;
use hyper::service::service_fn;
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use registration::seal::PrivateKey;
use runtime::Tasks;
use tunnel::{
    Features, Hello, Version,
    agent::{Dial, Metrics},
};

use crate::{
    cluster::{self, Cluster},
    fleet::Fleet,
    install, wait,
};

const TUNNELS: usize = 1000;
const AT_ONCE: usize = 32;
/// What an ordinary request may take meanwhile. The parent answers in milliseconds when it is left alone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Registers a thousand clusters that exist on paper only, opens a real tunnel for each through the parent, and lets an
/// ordinary ServiceAccount work in the parent meanwhile. The clusters stay: this test comes last.
pub(super) async fn a_thousand_tunnels_leave_an_ordinary_service_account_undisturbed(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let parent = fleet.parent()?;
    let client = bootstrap_client(&parent).await?;
    let keys: Vec<(String, PrivateKey)> =
        (0..TUNNELS).map(|n| (format!("00000000-0000-4000-8000-{n:012}"), PrivateKey::generate())).collect();
    stream::iter(&keys)
        .map(|(id, key)| request(&client, id, key))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
        .context("cannot ask for registration")?;
    let tasks = Tasks::new();
    let tls = Arc::new(runtime::tls::client(
        runtime::tls::roots("the parent's CA", parent.authority()?.certificate()?.as_bytes())?,
        None,
    )?);
    let dials: Vec<Dial> = stream::iter(&keys)
        .map(|(id, key)| token(&client, id, key))
        .buffer_unordered(AT_ONCE)
        .zip(stream::repeat(tls))
        .map(|(found, tls)| found.and_then(|(id, token)| dial(&parent, &id, token, tls)))
        .try_collect()
        .await?;
    let opened: Vec<()> = stream::iter(&dials)
        .map(|dial| open(dial, &tasks))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
        .context("cannot open the tunnels")?;
    ensure!(opened.len() == TUNNELS, "{} tunnels were opened", opened.len());
    let result = ordinary_work(&parent).await;
    ensure!(tasks.shutdown(Duration::from_secs(30)).await.is_none(), "a tunnel's task failed");
    result
}

async fn bootstrap_client(parent: &Cluster) -> anyhow::Result<Client> {
    let path = parent.directory.join("tunnels.kubeconfig");
    let credential = crate::kubeconfig::Credential::Token(install::SAMPLE_TOKEN.to_owned());
    parent.write_kubeconfig(&path, "tunnels", &credential)?;
    cluster::client_of(&path).await
}

async fn request(client: &Client, id: &str, key: &PrivateKey) -> anyhow::Result<()> {
    let spec = ClusterRegistrationRequestSpec {
        cluster_id: id.to_owned(),
        cluster_type: None,
        cluster_name: None,
        cluster_namespace: None,
        cluster_labels: std::collections::BTreeMap::default(),
        sync_mode: SyncMode::Pull,
    };
    let mut request = ClusterRegistrationRequest::new(&names::of_cluster(id), spec);
    request.metadata.annotations = Some(
        [
            (annotations::PUBLIC_KEY.to_owned(), key.public().to_base64()),
            (annotations::REQUESTER.to_owned(), String::from("system:bootstrap:07401b")),
        ]
        .into(),
    );
    Api::all(client.clone()).create(&PostParams::default(), &request).await?;
    Ok(())
}

/// Waits for the answer to a request and opens it.
async fn token(client: &Client, id: &str, key: &PrivateKey) -> anyhow::Result<(String, String)> {
    let requests: Api<ClusterRegistrationRequest> = Api::all(client.clone());
    let name = names::of_cluster(id);
    wait::until("the cluster to be approved", Duration::from_secs(300), || async {
        let status = requests.get(&name).await?.status.unwrap_or_default();
        let Some(sealed) = status.sealed_token else { return Ok(None) };
        let token = String::from_utf8(key.open(&sealed.0)?.to_vec())?;
        Ok(Some((id.to_owned(), token)))
    })
    .await
}

fn dial(parent: &Cluster, id: &str, token: String, tls: Arc<rustls::ClientConfig>) -> anyhow::Result<Dial> {
    Ok(Dial {
        url: format!("{}{}", parent.url(), proxies::tunnel_path(id)).parse()?,
        tls,
        token,
        hello: Hello {
            version: Version::OURS,
            features: Features::ours(),
            instance: id.to_owned(),
            epoch: 1,
            agent_version: String::from("0.1.0"),
        },
        connect_timeout: Duration::from_secs(30),
    })
}

/// Opens one tunnel and serves it with a child that knows one answer.
async fn open(dial: &Dial, tasks: &Tasks) -> anyhow::Result<()> {
    let connection = wait::until("a tunnel", Duration::from_secs(60), || async {
        Ok(Some(tunnel::agent::connect(dial).await?))
    })
    .await?;
    let owner = tasks.clone();
    tasks.spawn_draining("tunnel on paper", async move {
        let service =
            service_fn(|_| std::future::ready(Ok::<_, Infallible>(Response::new(tunnel::full("ok")))));
        // What breaks a tunnel shows in the work measured below, and in the hub's log.
        let _ = tunnel::agent::serve(connection, service, &Metrics::default(), &owner).await;
    });
    Ok(())
}

/// What any controller in the parent does all day, as a ServiceAccount with an ordinary right.
async fn ordinary_work(parent: &Cluster) -> anyhow::Result<()> {
    parent
        .apply(
            "apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: ordinary, namespace: default }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view }
subjects: [{ kind: ServiceAccount, name: default, namespace: default }]
",
        )
        .await?;
    let client = cluster::client_of(&parent.kubeconfig_of_account("default", "default").await?).await?;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(client, "default");
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let began = Instant::now();
        maps.list(&ListParams::default()).await.context("an ordinary list failed")?;
        slowest = slowest.max(began.elapsed());
    }
    ensure!(slowest < PATIENCE, "an ordinary list took {slowest:?}");
    Ok(())
}
