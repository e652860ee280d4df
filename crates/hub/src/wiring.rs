//! Which part gets which.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use apiserver::{Authenticator, Authorizer, Check, Limits, ServerBuilder, Tokens, TrustStore, serving};
use kube::Client;
use reach::{Directory, Reach};
use runtime::{Tasks, events::Events, lease, metrics::Metrics, program};
use shadow::{Catalogue, KubeTransport, Shadow};
use tracing::info;
use tunnel::hub::Registry;

use crate::{args::Args, search};

/// The Secret that holds the authority of the hub's own certificate.
const SERVING_SECRET: &str = "clusternet-hub-serving-ca";
/// The APIService of the tunnels and visits.
const API_SERVICE: &str = "v1alpha1.proxies.clusternet.io";
/// The APIService of the shadow API.
const SHADOW_SERVICE: &str = "v1alpha1.shadow";

/// Starts every part of the hub in `tasks`.
pub(crate) async fn start(tasks: &Tasks, args: Args) -> anyhow::Result<()> {
    let forwarding = search::forwarding(&args)?;
    let config = program::own_cluster(args.kubeconfig.as_deref()).await?;
    let credential = search::credential(&config);
    let client = Client::try_from(config)?;
    let metrics = Metrics::default();
    let identity = lease::identity();
    let leadership = lease::elect(
        tasks,
        client.clone(),
        lease::Options {
            namespace: args.namespace.clone(),
            name: args.leader_elect_resource_name.clone(),
            identity: identity.clone(),
            times: args.leader_elect_times.clone(),
            annotations: BTreeMap::new(),
        },
    );

    registration::hub::start(
        tasks,
        client.clone(),
        leadership.clone(),
        registration::hub::Options {
            namespace: args.namespace.clone(),
            allow_clear_tokens: args.allow_clear_tokens,
            trust_agent_labels: args.trust_agent_labels,
            ..registration::hub::Options::default()
        },
        &metrics,
    );

    policy::start(
        tasks,
        client.clone(),
        leadership.clone(),
        policy::Options { namespace: args.namespace.clone(), ..policy::Options::default() },
    );

    let parent = Arc::new(KubeTransport::new(client.clone()));
    if args.feature_gates.enabled("Deployer", true) {
        let options = distribution::Options {
            reserved_namespace: args.reserved_namespace.clone(),
            protect_feeds: args.feature_gates.enabled("FeedInUseProtection", true),
            ..distribution::Options::default()
        };
        let leadership = leadership.clone();
        distribution::start(tasks, client.clone(), parent.clone(), leadership, options, &metrics);
    }

    let serving = serving::Options {
        namespace: args.namespace.clone(),
        secret: SERVING_SECRET.to_owned(),
        names: serving_names(&args),
        api_services: [API_SERVICE, SHADOW_SERVICE]
            .into_iter()
            .chain(search::API_SERVICES)
            .map(str::to_owned)
            .collect(),
    };
    let certificate = serving::start(client.clone(), serving, leadership.clone(), tasks)
        .await
        .context("the hub's own certificate")?;

    let directory = Directory::follow(tasks, client.clone());
    let registry = Registry::new(tasks.child(), &metrics, instance(&identity));
    let limits = reach::Limits { in_flight_per_child: args.max_in_flight_per_child };
    let reach = Reach::new(registry.clone(), directory.clone(), limits, &metrics);
    let recovery = args.feature_gates.enabled("Recovery", true);
    let deploying = deployer::Options { recovery, ..deployer::Options::default() };
    let (ways, leads) = (reach.clone(), leadership.clone());
    deployer::push(tasks, client.clone(), parent.clone(), ways, leads, deploying, &metrics);
    if args.feature_gates.enabled("Deployer", true) {
        let (helm, namespace) = (args.helm.clone(), args.namespace.clone());
        releases::push(tasks, client.clone(), reach.clone(), leadership, helm, namespace);
    }
    let options = sync_options(&args);
    let ways = sync::Ways::new(client.clone(), &options);
    let live = search::live(forwarding, ways, reach.clone(), tasks.clone());
    let parts = search::Parts {
        tasks,
        client: client.clone(),
        metrics: &metrics,
        identity: identity.clone(),
        args: &args,
    };
    let stores = parts.stores()?;
    if let Some(stores) = &stores {
        sync::start(tasks, client.clone(), stores.written.clone(), reach.clone(), options, &metrics);
    }
    let options = proxy::Options {
        visit_deadline: args.visit_deadline,
        enabled: args.feature_gates.enabled("SocketConnection", true),
    };
    let events = Events::new(client.clone(), "clusternet-hub");
    let sockets = proxy::Sockets::new(reach, registry, options, events, tasks.clone());

    // Until it is read, the server answers health routes only, and ends connections made before with their next request.
    let trust = TrustStore::default();
    trust.follow_config_map(client.clone(), tasks);
    let authorizer = Authorizer::new(client.clone());
    let mut apis = parts.apis(stores, authorizer.clone(), &certificate, credential, live);
    apis.push(Arc::new(sockets));
    if args.feature_gates.enabled("ShadowAPI", true) {
        apis.push(Arc::new(shadow_api(tasks, parent, &args, authorizer.clone())));
    }
    let server = ServerBuilder {
        listen: SocketAddr::new(args.bind_address, args.secure_port),
        apis,
        authenticator: Authenticator::new(trust, Some(Tokens::new(client))).with_replicas(&account(&args)),
        authorizer,
        certificate: certificate.resolver(),
        limits: Limits { in_flight_per_caller: args.max_in_flight_per_caller, ..Limits::default() },
        metrics,
        checks: vec![Check::new("clusters", move || directory.is_complete())],
        title: String::from("Clusterway hub"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
    .bind()
    .await
    .with_context(|| {
        format!("listen on {}:{} (--bind-address, --secure-port)", args.bind_address, args.secure_port)
    })?;
    info!(address = %server.address()?, version = env!("CARGO_PKG_VERSION"), "the hub serves");
    tasks.spawn_draining("API server", server.run(tasks.clone()));
    Ok(())
}

/// Templates of ordinary objects, kept in the parent.
fn shadow_api(tasks: &Tasks, parent: Arc<KubeTransport>, args: &Args, authorizer: Authorizer) -> Shadow {
    let kinds = Catalogue::follow(tasks, parent.clone());
    Shadow::new(parent, args.reserved_namespace.clone(), kinds, authorizer)
}

fn sync_options(args: &Args) -> sync::Options {
    let gate = |name, default| args.feature_gates.enabled(name, default);
    sync::Options {
        namespace: args.namespace.clone(),
        reserved_secrets: vec![SERVING_SECRET.to_owned()],
        gates: sync::Gates {
            all_resources: gate("AllowSyncAllResources", false),
            all_custom_resources: gate("AllowSyncAllCustomResources", false),
        },
        credentials_from_secrets: gate("ClusterAuthenticationFromSecret", true),
        insecure_without_ca: args.insecure_pediaclusters,
        buffer_bytes: usize::from(args.sync_buffer_mib) << 20,
        resources_per_cluster: args.max_resources_per_cluster,
        sharding_name: args.sharding_name.clone(),
        lease: args.default_sync_lease(),
        takeover_after: args.shard_takeover_after,
        ..sync::Options::default()
    }
}

/// The user name of every hub.
fn account(args: &Args) -> String {
    format!("system:serviceaccount:{}:{}", args.namespace, api::names::HUB_SERVICE_ACCOUNT)
}

/// The name that stands in the certificate of every hub.
pub(crate) fn service_name(args: &Args) -> String {
    format!("{}.{}.svc", args.service_name, args.namespace)
}

fn serving_names(args: &Args) -> Vec<String> {
    let (service, namespace) = (&args.service_name, &args.namespace);
    let mut names = vec![
        service_name(args),
        format!("{service}.{namespace}"),
        service.clone(),
        String::from("localhost"),
        String::from("127.0.0.1"),
    ];
    names.extend(args.serving_name.iter().cloned());
    names
}

/// What agents are told of this process; the tunnel allows only some characters.
fn instance(identity: &str) -> String {
    identity
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '-' })
        .take(128)
        .collect()
}
