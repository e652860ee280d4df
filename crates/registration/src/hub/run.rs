//! Runs the controllers while this hub leads.

use std::{fmt::Debug, hash::Hash, sync::Arc, time::Duration};

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster},
    names::annotations,
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        controller::{self, Action, applier, trigger_self},
        reflector::{self, Store},
        watcher::Event,
    },
};
use runtime::{
    OnError, Tasks,
    lease::{self, Leadership},
    metrics::Metrics,
    watch::readable,
};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::{
    Options, approver,
    context::Context,
    counters::Counters,
    io::Error,
    labels, lifecycle,
    related::{Wake, wakes, watch_config},
};

/// From this many failures in a row on, a failure is worth a line in the log.
const WORTH_SAYING: u32 = 4;
/// How many wanted labels are read of a request: some more than are taken, so that refusals can be named.
const MOST_LABELS: usize = 2 * labels::MOST_LABELS;
/// How many conditions are read of a ManagedCluster.
const MOST_CONDITIONS: usize = 16;

/// Starts registration in this process. It works while `leadership` is held; everything it does is safe should two
/// processes believe to lead.
pub fn start(
    tasks: &Tasks,
    client: Client,
    leadership: watch::Receiver<Leadership>,
    options: Options,
    metrics: &Metrics,
) {
    let counters = Counters::register(metrics);
    lease::while_held(tasks, "registration", leadership, move |term| {
        let context = Arc::new(Context::new(client.clone(), options.clone(), counters.clone()));
        let shared = context.clone();
        term.supervise("registration requests", OnError::Restart, move || answer_requests(shared.clone()));
        term.supervise("cluster lifecycle", OnError::Restart, move || judge_clusters(context.clone()));
    });
}

async fn answer_requests(context: Arc<Context>) -> anyhow::Result<()> {
    let (store, writer) = reflector::store();
    let requests = readable(Api::all(context.client.clone()), watch_config())
        .default_backoff()
        .modify(prune_request)
        .reflect(writer)
        .applied_objects();
    let queue = stream::select(trigger_self(requests, ()), wakes(&context));
    control("requests", &context, store, queue, |request, context| {
        async move { approver::examine(&context, &request).await }.boxed()
    })
    .await;
    anyhow::bail!("the controller of registration requests ended")
}

async fn judge_clusters(context: Arc<Context>) -> anyhow::Result<()> {
    let (store, writer) = reflector::store();
    let seen = context.clone();
    let clusters = readable(Api::all(context.client.clone()), watch_config())
        .default_backoff()
        .modify(prune_cluster)
        .inspect(move |event| match event {
            Ok(Event::Delete(cluster)) => seen.memory.forget(&cluster.uid().unwrap_or_default()),
            Err(_) => seen.memory.blind(),
            Ok(_) => {}
        })
        .reflect(writer)
        .applied_objects();
    control("clusters", &context, store, trigger_self(clusters, ()), |cluster, context| {
        async move { lifecycle::examine(&context, &cluster).await }.boxed()
    })
    .await;
    anyhow::bail!("the controller of managed clusters ended")
}

/// What is kept of a request: what it asks for, within limits. Anybody with a bootstrap token may write one.
fn prune_request(request: &mut ClusterRegistrationRequest) {
    request.metadata.managed_fields = None;
    request
        .annotations_mut()
        .retain(|key, _| matches!(key.as_str(), annotations::PUBLIC_KEY | annotations::REQUESTER));
    let labels = &mut request.spec.cluster_labels;
    while labels.len() > MOST_LABELS {
        labels.pop_last();
    }
}

/// What is kept of a ManagedCluster: what its pulse is judged by. Of managedFields that is who wrote when; the fields
/// themselves are most of an object's memory.
fn prune_cluster(cluster: &mut ManagedCluster) {
    for entry in cluster.metadata.managed_fields.iter_mut().flatten() {
        entry.fields_v1 = None;
    }
    if let Some(status) = &mut cluster.status {
        status.conditions.truncate(MOST_CONDITIONS);
        status.allocatable.clear();
        status.capacity.clear();
    }
}

async fn control<K>(
    name: &'static str,
    context: &Arc<Context>,
    store: Store<K>,
    queue: impl Stream<Item = Wake<K>> + Send,
    examine: impl Fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Duration, Error>>,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash,
{
    let config = controller::Config::default().concurrency(context.options.concurrency.max(1));
    let round = move |object: Arc<K>, context: Arc<Context>| {
        let key = key(&*object);
        let examined = examine(object, context.clone());
        async move {
            let next = examined.await?;
            context.failures.forget(&key);
            Ok::<_, Error>(Action::requeue(next))
        }
        .boxed()
    };
    let after_failure = move |object: Arc<K>, error: &Error, context: Arc<Context>| {
        let key = key(&*object);
        let (count, wait) = context.failures.count(&key);
        context.counters.failed(name);
        if count >= WORTH_SAYING {
            warn!(object = key, %error, count, wait_ms = wait.as_millis() as u64, "round failed, trying again");
        } else {
            debug!(object = key, %error, count, "round failed, trying again");
        }
        Action::requeue(wait)
    };
    applier(round, after_failure, context.clone(), store, queue.boxed(), config)
        .for_each(|result| async move {
            if let Err(controller::Error::QueueError(error)) = result {
                warn!(controller = name, %error, "watch failed, trying again");
            }
        })
        .await;
}

fn key<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{}/{}/{}", K::kind(&()), object.namespace().unwrap_or_default(), object.name_any())
}
