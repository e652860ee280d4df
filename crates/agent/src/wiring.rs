//! Which part gets which.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use api::{clusters::SyncMode, names};
use kube::{Client, Config};
use reach::child::{self, ChildProxy};
use registration::agent::{self, ParentCredentials};
use runtime::{
    Tasks, health,
    lease::{self, Leadership},
    metrics::Metrics,
    program,
};
use tokio::sync::watch;
use tracing::{info, warn};
use tunnel::{
    Features, Hello, Version,
    agent::{Dial, State},
};

use crate::{args::Args, deploying};

/// How long the parent may take to answer the tunnel's handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Starts every part of the agent in `tasks`.
pub(crate) async fn start(tasks: &Tasks, args: Args) -> anyhow::Result<()> {
    let config = program::own_cluster(args.kubeconfig.as_deref()).await?;
    let metrics = Metrics::default();
    let instance = uuid_of(&lease::identity());
    let client = Client::try_from(config.clone())?;
    let leadership = leadership(tasks, client.clone(), &args);
    let use_socket = args.feature_gates.enabled("SocketConnection", true);
    let options = options(&args, &config, use_socket)?;
    let account = |name| child::Account::new(client.clone(), &args.leader_elect_resource_namespace, name);
    let reader =
        args.feature_gates.enabled("SearchReader", true).then(|| account(names::reader::SERVICE_ACCOUNT));
    let deployer = account(names::deployer::SERVICE_ACCOUNT);
    let frozen = deploying::frozen(tasks, client.clone(), &args.leader_elect_resource_namespace);
    let handle = agent::start(tasks, client, leadership.clone(), options, &metrics)?;
    let registration = deploying::registration(tasks, handle.credentials());
    let own = releases::Own {
        server: config.cluster_url.to_string(),
        authority: deploying::roots(&config),
        server_name: config.tls_server_name.clone(),
        account: deployer.clone(),
    };
    releases::pull(tasks, registration.clone(), own, frozen.clone(), args.helm.clone());
    let recovery = args.feature_gates.enabled("Recovery", true);
    deployer::pull(
        tasks,
        registration,
        deploying::child(tasks, &config, deployer.clone())?,
        frozen.clone(),
        deployer::Options { recovery, ..deployer::Options::default() },
        &metrics,
    );

    let proxy = ChildProxy::new(
        child::Options {
            api_server: config.cluster_url.clone(),
            roots: child_roots(&config)?,
            allow: args.allow_target.clone(),
            reader,
            deployer: args.feature_gates.enabled("AppPusher", true).then_some(deployer),
            frozen,
        },
        tasks.clone(),
    )
    .context("the connection to this cluster's API server")?;
    let (state, connection) = watch::channel(State::default());
    if use_socket {
        let group = tasks.clone();
        let credentials = handle.credentials();
        let counters = tunnel::agent::Metrics::new(&metrics);
        tasks.spawn("tunnel's credentials", async move {
            keep_tunnel(&group, credentials, leadership, instance, proxy, state, counters).await;
        });
    }

    if !args.health_address.is_empty() {
        let address = args.health_address.parse().context("--health-address: expected IP:PORT")?;
        let credentials = handle.credentials();
        let ready: health::Ready = Arc::new(move || readiness(&credentials, &connection, use_socket));
        let bound = health::serve(tasks, address, ready, metrics)
            .await
            .with_context(|| format!("listen on {} (--health-address)", args.health_address))?;
        info!(address = %bound, version = env!("CARGO_PKG_VERSION"), "the agent runs");
    }
    Ok(())
}

/// Ready means that nothing is wrong here: an agent that does not lead has nothing to be connected with.
fn readiness(
    credentials: &watch::Receiver<Option<ParentCredentials>>,
    connection: &watch::Receiver<State>,
    use_socket: bool,
) -> Result<(), String> {
    let registered = credentials.borrow().is_some();
    let state = connection.borrow();
    if !registered || !use_socket || state.connected {
        return Ok(());
    }
    Err(format!("no tunnel to the parent: {}", state.last_error.as_deref().unwrap_or("still connecting")))
}

/// Keeps a tunnel open for as long as there are credentials for one; a new token is used for the next connection.
async fn keep_tunnel(
    tasks: &Tasks,
    mut credentials: watch::Receiver<Option<ParentCredentials>>,
    leadership: watch::Receiver<Leadership>,
    instance: String,
    proxy: ChildProxy,
    state: watch::Sender<State>,
    counters: tunnel::agent::Metrics,
) {
    let ending = tasks.token();
    loop {
        let first = tokio::select! {
            () = ending.cancelled() => return,
            found = credentials.wait_for(Option::is_some) => match found {
                Ok(found) => found.clone(),
                Err(_) => return,
            },
        };
        let Some(dial) = first.and_then(|found| dial(&found, &leadership, &instance)) else { return };
        let (dials, dial) = watch::channel(Arc::new(dial));
        // A group of its own: the tunnel ends with the leadership, the agent does not.
        let group = tasks.child();
        let (proxy, state, owner) = (proxy.clone(), state.clone(), group.clone());
        let counters = counters.clone();
        let kept = group.spawn_draining("tunnel", async move {
            tunnel::agent::keep(dial, proxy, state, counters, &owner).await;
        });
        while credentials.changed().await.is_ok() {
            let Some(found) = credentials.borrow_and_update().clone() else { break };
            if let Some(next) = self::dial(&found, &leadership, &instance) {
                dials.send_replace(Arc::new(next));
            }
        }
        group.cancel();
        if kept.await.is_err() {
            return;
        }
    }
}

fn dial(found: &ParentCredentials, leadership: &watch::Receiver<Leadership>, instance: &str) -> Option<Dial> {
    let path = api::proxies::tunnel_path(&found.cluster_id);
    match format!("{}{path}", found.url.trim_end_matches('/')).parse() {
        Ok(url) => Some(Dial {
            url,
            tls: found.tls.clone(),
            token: found.token.clone(),
            hello: Hello {
                version: Version::OURS,
                features: Features::ours(),
                instance: instance.to_owned(),
                epoch: leadership.borrow().epoch,
                agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            connect_timeout: CONNECT_TIMEOUT,
        }),
        Err(error) => {
            warn!(%error, "the tunnel's address cannot be made of the parent's");
            None
        }
    }
}

fn leadership(tasks: &Tasks, client: Client, args: &Args) -> watch::Receiver<Leadership> {
    if !args.leader_elect {
        return watch::channel(Leadership { held: true, epoch: 0 }).1;
    }
    let options = lease::Options {
        namespace: args.leader_elect_resource_namespace.clone(),
        name: args.leader_elect_resource_name.clone(),
        identity: lease::identity(),
        times: args.leader_elect_times.clone(),
        annotations: std::collections::BTreeMap::new(),
    };
    lease::elect(tasks, client, options)
}

fn child_roots(config: &Config) -> anyhow::Result<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    for der in config.root_cert.iter().flatten() {
        roots.add(der.clone().into()).context("the CA of this cluster's API server")?;
    }
    anyhow::ensure!(
        !roots.is_empty(),
        "this cluster's kubeconfig names no CA: its API server could not be verified"
    );
    Ok(roots)
}

fn options(args: &Args, config: &Config, use_socket: bool) -> anyhow::Result<agent::Options> {
    Ok(agent::Options {
        parent_url: args.cluster_reg_parent_url.clone(),
        token: args.cluster_reg_token.clone(),
        parent_ca: args.parent_ca.clone(),
        insecure: args.parent_insecure_skip_tls_verify,
        name: args.cluster_reg_name.clone(),
        name_prefix: args.cluster_reg_name_prefix.clone(),
        namespace: args.cluster_reg_namespace.clone(),
        cluster_type: args.cluster_reg_type.clone(),
        sync_mode: match args.cluster_sync_mode.as_str() {
            "Push" => SyncMode::Push,
            "Pull" => SyncMode::Pull,
            "Dual" => SyncMode::Dual,
            other => anyhow::bail!("--cluster-sync-mode: {other:?} is not one of Push, Pull, Dual"),
        },
        labels: labels(&args.cluster_labels)?,
        aggregate_threshold: args.labels_aggregate_threshold,
        aggregate_prefixes: args.labels_aggregate_prefix.clone(),
        report_period: args.cluster_status_update_frequency,
        collect_period: args.cluster_status_collect_frequency,
        lease_name: args.leader_elect_resource_name.clone(),
        lease_namespace: args.leader_elect_resource_namespace.clone(),
        api_server: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
        app_pusher: args.feature_gates.enabled("AppPusher", true),
        use_socket,
        kube_qps: args.kube_api_qps,
        kube_burst: args.kube_api_burst,
    })
}

fn labels(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (key, value) = item
                .split_once('=')
                .with_context(|| format!("--cluster-labels: {item:?} is not of the form KEY=VALUE"))?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

/// The part of a process identity that is unique; host names may hold what the handshake does not allow.
fn uuid_of(identity: &str) -> String {
    identity.rsplit('_').next().unwrap_or(identity).to_owned()
}
