//! Looks after one policy (contract 8.2): its source objects, and a lifecycle for each that is taken.

mod leaving;

use std::{sync::Arc, time::Duration};

use api::{
    conditions,
    names::policy::conditions::{
        FAILED, LIFECYCLES_UNLISTED, NOT_SYNCED, RECONCILED, RECONCILING, SOURCES_UNLISTED, SUCCESS,
        VALIDATED, WAIT_SYNCED,
    },
    policy::{ClusterImportPolicy, ClusterImportPolicyStatus, PediaClusterLifecycle},
};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::{ResourceExt as _, runtime::reflector::Store};
use kubeio::{Error, Resource, Transport, discover};
use runtime::Backoff;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    Problem,
    examine::{Shared, policy_of},
    followed::{Followed, News, Role},
    imports::{Imports, Negotiated, Outcome},
    negotiate::negotiate,
    parent::Write,
    plan::{holders, plan, summary},
    recipe::kubectl_resource,
    registry::Readiness,
    sources::{Key, Seen, Sources, shown},
    usable,
};

/// Where ClusterImportPolicies are.
const POLICIES: &str = "/apis/policy.clusterpedia.io/v1alpha1/clusterimportpolicies";
/// What changes within this time is settled together.
const GATHER: Duration = Duration::from_millis(50);
/// After writes, this time passes before the next: what was written has come back through the watch by then.
const CALM: Duration = Duration::from_secs(1);
/// What failed is tried again after this time.
const AGAIN: Duration = Duration::from_secs(15);
/// A resource that is missing or may not be read is looked for again after up to this time.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];
/// A list that takes longer than this is worth saying.
const PATIENCE: Duration = Duration::from_secs(2);
/// A list with objects that cannot be read is read anew after this time.
const LIST_AGAIN: Duration = Duration::from_mins(5);
/// Writes at the same time.
const WRITES: usize = 16;
/// Failures that are told one by one.
const TOLD: usize = 3;

/// Looks after the policy until it is dropped. Starts anew whenever the policy changes.
pub(crate) async fn supervise(
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    lifecycles: Store<PediaClusterLifecycle>,
    mut policies: watch::Receiver<Arc<ClusterImportPolicy>>,
) {
    let policy = policies.borrow_and_update().clone();
    let mut worker =
        Worker { status: policy.status.clone().unwrap_or_default(), policy, shared, transport, lifecycles };
    loop {
        tokio::select! {
            changed = policies.changed() => if changed.is_err() { return },
            () = worker.work() => std::future::pending().await,
        }
        worker.policy = policies.borrow_and_update().clone();
    }
}

struct Worker {
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    lifecycles: Store<PediaClusterLifecycle>,
    policy: Arc<ClusterImportPolicy>,
    /// As it was last written.
    status: ClusterImportPolicyStatus,
}

impl Worker {
    fn name(&self) -> &str {
        self.policy.metadata.name.as_deref().unwrap_or_default()
    }

    /// Everything, until the policy is gone: then it ends.
    async fn work(&mut self) {
        if self.policy.metadata.deletion_timestamp.is_some() {
            return self.leave().await;
        }
        self.hold().await;
        let [first, longest] = LOOK_AGAIN;
        let mut backoff = Backoff::new(first, longest);
        let imports = match Imports::parse(&self.policy.spec) {
            Ok(imports) => Arc::new(imports),
            Err(problem) => {
                while !self.invalid(&problem).await {
                    sleep(backoff.next()).await;
                }
                return std::future::pending().await;
            }
        };
        loop {
            match discover(&*self.transport).await {
                Ok(discovered) => match negotiate(&self.policy.spec, &discovered) {
                    Ok(negotiated) => {
                        let began = Instant::now();
                        self.follow(&imports, &negotiated).await;
                        if began.elapsed() > longest {
                            backoff.reset();
                        }
                    }
                    Err(problem) => {
                        self.invalid(&problem).await;
                    }
                },
                Err(error) => {
                    tracing::warn!(policy = self.name(), %error, "discovery failed, trying again");
                    let message =
                        format!("the API server does not tell what resources it has, trying again: {error}");
                    self.waits(&Problem::new(WAIT_SYNCED, message), None).await;
                }
            }
            sleep(backoff.next()).await;
        }
    }

    /// The policy cannot be used. What it has imported stays as it is. Whether that is said.
    async fn invalid(&mut self, problem: &Problem) -> bool {
        let why = format!("the ClusterImportPolicy {} cannot be used: {}", self.name(), problem.message);
        let is_news = self.shared.registry.set_readiness(self.name(), Readiness::Waits(why));
        let mut status = ClusterImportPolicyStatus {
            conditions: self.status.conditions.clone(),
            ..ClusterImportPolicyStatus::default()
        };
        conditions::remove(&mut status.conditions, RECONCILING);
        self.condition(&mut status, VALIDATED, false, problem);
        let published = self.publish(status).await;
        if is_news {
            self.wake_lifecycles().await;
        }
        published != Published::Failed
    }

    /// Follows sources and references, until that has to begin anew.
    async fn follow(&mut self, imports: &Arc<Imports>, negotiated: &Negotiated) {
        let resource = kubectl_resource(&negotiated.source.group, &negotiated.source.plural);
        let source = Some(&negotiated.source);
        let policy = Arc::clone(&self.policy);
        let mut followed =
            Followed::begin(&self.transport, &policy.spec, negotiated, imports.metadata_is_enough());
        let mut sources = Sources::default();
        let owner = self.shared.registry.owner(self.name());
        self.shared.registry.lists_anew(self.name());
        if timeout(PATIENCE * 5, self.lifecycles.wait_until_ready()).await.is_err() {
            self.waits(&Problem::new(LIFECYCLES_UNLISTED, "PediaClusterLifecycles cannot be listed"), source)
                .await;
            let _ = self.lifecycles.wait_until_ready().await;
        }
        let patience = Instant::now() + PATIENCE;
        let (mut ready, mut told, mut warned) = (false, false, false);
        // When to settle next, if there is anything to settle, and when at the earliest.
        let (mut settle_at, mut calm_until, mut list_again) = (None, Instant::now(), Instant::now());
        loop {
            let due = settle_at.filter(|_| ready);
            tokio::select! {
                news = followed.next() => match news {
                    News::Listing => sources.list_began(),
                    News::Source { key, json, listed } => {
                        let seen = self.seen(imports, negotiated, json).await;
                        if listed {
                            sources.listed(key, seen);
                        } else {
                            let object = source_id(negotiated, &key);
                            if sources.changed(key, seen) {
                                settle_at = Some(by(settle_at, soon()));
                                self.shared.registry.changed(object).await;
                            }
                        }
                    }
                    News::SourceUnreadable(error) => {
                        sources.unreadable();
                        if !warned {
                            warned = true;
                            tracing::warn!(policy = self.name(), resource, %error, "a source object cannot be read");
                        }
                    }
                    News::SourceGone(key) => {
                        sources.deleted(&key);
                        settle_at = Some(by(settle_at, soon()));
                        self.shared.registry.changed(source_id(negotiated, &key)).await;
                    }
                    News::SourcesListed => {
                        list_again = Instant::now() + LIST_AGAIN;
                        for key in sources.list_done() {
                            self.shared.registry.changed(source_id(negotiated, &key)).await;
                        }
                        settle_at = Some(by(settle_at, Instant::now()));
                    }
                    News::ReferenceChanged(object) => self.shared.registry.changed(object).await,
                    News::ReferencesListed => {}
                    News::Failed(role, error) => {
                        let forbidden = matches!(error, Error::Forbidden(_));
                        if forbidden || !ready || matches!(error, Error::NotFound(_)) {
                            let problem = self.unreadable(&role, &error);
                            let why = format!("the ClusterImportPolicy {} waits: {}", self.name(), problem.message);
                            let is_news = self.shared.registry.set_readiness(self.name(), Readiness::Waits(why));
                            self.waits(&problem, source).await;
                            if is_news {
                                self.wake_lifecycles().await;
                            }
                            if forbidden || matches!(error, Error::NotFound(_)) {
                                return;
                            }
                        }
                        tracing::debug!(policy = self.name(), %error, "a watch failed, trying again");
                    }
                },
                () = sleep_until(list_again), if sources.some_are_unreadable() => return,
                () = owner.notified() => {
                    settle_at = Some(by(settle_at, soon()));
                }
                () = sleep_until(patience), if !ready && !told => {
                    told = true;
                    let what = followed.unlisted().join(", ");
                    self.waits(&Problem::new(WAIT_SYNCED, format!("{what} are being listed")), source).await;
                }
                () = sleep_until(due.unwrap_or(calm_until).max(calm_until)), if due.is_some() => {
                    settle_at = None;
                    let settled = self.settle(&resource, &sources, negotiated, imports).await;
                    if settled.wrote {
                        calm_until = Instant::now() + CALM;
                    }
                    if settled.failed {
                        settle_at = Some(Instant::now() + AGAIN);
                    }
                }
            }
            if !ready && sources.are_complete() && followed.unlisted().is_empty() {
                ready = true;
                settle_at = Some(Instant::now());
                if self.shared.registry.set_readiness(self.name(), Readiness::Ready) {
                    self.wake_lifecycles().await;
                }
            }
        }
    }

    /// What is kept of a source object.
    async fn seen(&self, imports: &Arc<Imports>, negotiated: &Negotiated, json: Arc<[u8]>) -> Seen {
        let (imports, resource) = (Arc::clone(imports), negotiated.source.clone());
        let hub = self.shared.options.namespace.clone();
        let seen = self.shared.renderers.run(move || seen(&imports, &resource, &json, &hub)).await;
        seen.unwrap_or_else(|why| Seen { digest: 0, outcome: Outcome::Failed(why.to_string()) })
    }

    /// Why sources or references cannot be read.
    fn unreadable(&self, role: &Role, error: &Error) -> Problem {
        let reason = if role.is_source { SOURCES_UNLISTED } else { NOT_SYNCED };
        let what = role.resource();
        let message = match error {
            Error::Forbidden(_) => {
                let grant = crate::grant::line(
                    self.name(),
                    &role.selection.resource.group,
                    &role.selection.resource.plural,
                    role.selection.namespace.as_deref(),
                    &self.shared.options.namespace,
                );
                format!("the hub may not list and watch {what}. To let it: {grant}")
            }
            error => format!("{what} cannot be listed: {error}"),
        };
        Problem::new(reason, message)
    }

    /// Makes the lifecycles what the sources say.
    async fn settle(
        &mut self,
        resource: &str,
        sources: &Sources,
        negotiated: &Negotiated,
        imports: &Imports,
    ) -> Settled {
        let there = self.lifecycles.state();
        let holders = holders(&self.policy, negotiated, &there);
        let wanted = sources.wanted(&holders);
        let mut plan = plan(&self.policy, negotiated, &there, sources, &wanted);
        let writes = std::mem::take(&mut plan.writes);
        let wrote = !writes.is_empty();
        let shared = &self.shared;
        let mut refused: Vec<String> = stream::iter(writes)
            .map(|(name, write)| async move {
                let outcome = shared.parent.write(write).await;
                outcome.err().map(|why| format!("PediaClusterLifecycle {name}: {why}"))
            })
            .buffer_unordered(WRITES)
            .filter_map(std::future::ready)
            .collect()
            .await;
        refused.sort();
        let untaken = wanted.failures.iter().map(|(key, why)| format!("{resource} {}: {why}", shown(key)));
        let unreadable = (wanted.unreadable > 0).then(|| {
            let count = wanted.unreadable;
            format!("{count} of the {resource} cannot be read: until they can, nothing is taken away")
        });
        let failures: Vec<String> =
            unreadable.into_iter().chain(untaken).chain(plan.failures).chain(refused).collect();
        let summary = summary(resource, &wanted, plan.imported, imports.selects());
        let (holds, problem) = match failures.len() {
            0 => (true, Problem::new(RECONCILED, summary)),
            count => {
                let told = failures.into_iter().take(TOLD).collect::<Vec<_>>().join("; ");
                let more = if count > TOLD { format!("; and {} more", count - TOLD) } else { String::new() };
                (false, Problem::new(FAILED, format!("{told}{more}; {summary}")))
            }
        };
        let mut status = ClusterImportPolicyStatus {
            conditions: self.status.conditions.clone(),
            sources: Some(wanted.sources as i64),
            selected: Some(wanted.selected as i64),
            imported: Some(plan.imported as i64),
        };
        self.condition(&mut status, VALIDATED, true, &valid(&negotiated.source));
        self.condition(&mut status, RECONCILING, holds, &problem);
        let published = self.publish(status).await;
        Settled {
            wrote: wrote || published == Published::Yes,
            failed: !holds || published == Published::Failed,
        }
    }

    fn condition(
        &self,
        status: &mut ClusterImportPolicyStatus,
        type_: &'static str,
        holds: bool,
        why: &Problem,
    ) {
        let wanted = why.condition(type_, holds, self.policy.metadata.generation);
        conditions::set(&mut status.conditions, wanted, Timestamp::now());
    }

    /// Says why the policy cannot go on for now, and in which version its source is read if that is known.
    async fn waits(&mut self, problem: &Problem, source: Option<&Resource>) {
        let mut status = self.status.clone();
        let generation = self.policy.metadata.generation;
        match source {
            Some(source) => self.condition(&mut status, VALIDATED, true, &valid(source)),
            // What was found out about another version of the policy says nothing about this one.
            None => status
                .conditions
                .retain(|known| known.type_ != VALIDATED || known.observed_generation == generation),
        }
        self.condition(&mut status, RECONCILING, false, problem);
        self.publish(status).await;
    }

    /// Writes the status, if it differs.
    async fn publish(&mut self, status: ClusterImportPolicyStatus) -> Published {
        if status == self.status {
            return Published::Unchanged;
        }
        // What is absent has to be said, or the old value would stay.
        let body = json!({ "status": {
            "conditions": status.conditions,
            "sources": status.sources,
            "selected": status.selected,
            "imported": status.imported,
        } });
        let path = format!("{POLICIES}/{}", self.name());
        match self.shared.parent.write(Write::Status(path, body)).await {
            Ok(()) => {
                self.status = status;
                Published::Yes
            }
            Err(error) => {
                tracing::debug!(policy = self.name(), %error, "the status could not be written, trying again");
                Published::Failed
            }
        }
    }

    async fn wake_lifecycles(&self) {
        for lifecycle in self.lifecycles.state() {
            if policy_of(&lifecycle) == Some(self.name()) {
                self.shared.registry.wake(&lifecycle.name_any()).await;
            }
        }
    }
}

fn valid(source: &Resource) -> Problem {
    let resource = kubectl_resource(&source.group, &source.plural);
    Problem::new(SUCCESS, format!("{resource} are read as {}", source.version))
}

/// When what has changed now is settled, with what changes at the same time.
fn soon() -> Instant {
    Instant::now() + GATHER
}

/// The earlier of what was planned and `at`: what is tried again later keeps no news waiting.
fn by(planned: Option<Instant>, at: Instant) -> Instant {
    planned.map_or(at, |planned| planned.min(at))
}

/// What became of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Published {
    /// It stood there already.
    Unchanged,
    Yes,
    /// It has to be written again.
    Failed,
}

/// What came of settling.
struct Settled {
    wrote: bool,
    failed: bool,
}

fn seen(imports: &Imports, resource: &Resource, json: &[u8], hub_namespace: &str) -> Seen {
    let Ok(source) = serde_json::from_slice::<Value>(json) else {
        return Seen { digest: 0, outcome: Outcome::Failed(String::from("it cannot be read")) };
    };
    let digest = imports.digest(&source);
    // Among all Secrets there are always some that are not for policies: they are left, as if not selected.
    let outcome = match usable::refused(&resource.group, &resource.plural, &source, hub_namespace) {
        Some(_) => Outcome::Left,
        None => imports.outcome(source),
    };
    Seen { digest, outcome }
}

fn source_id(negotiated: &Negotiated, (namespace, name): &Key) -> u64 {
    crate::registry::id(&negotiated.source, namespace, name)
}
