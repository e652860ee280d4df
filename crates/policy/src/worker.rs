//! Looks after one policy (contract 8.2): its source objects, and a lifecycle for each that is taken.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::{
    names::policy::{
        conditions::{
            FAILED, LIFECYCLES_UNLISTED, NOT_SYNCED, RECONCILED, RECONCILING, SOURCES_UNLISTED, SUCCESS,
            VALIDATED, WAIT_SYNCED,
        },
        finalizers, lifecycle,
    },
    policy::{ClusterImportPolicy, ClusterImportPolicyStatus, PediaClusterLifecycle},
};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::{ResourceExt as _, runtime::reflector::Store};
use kubeio::{Error, Transport, discover};
use runtime::Backoff;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    Problem, conditions,
    examine::{LIFECYCLES, ORPHANS, Shared, finalizers_of, policy_of},
    followed::{Followed, News, Role},
    imports::{Imports, Negotiated, Outcome, lifecycle as lifecycle_of},
    negotiate::negotiate,
    parent::{Refusal, Write},
    registry::Readiness,
    sources::{Key, Seen, Sources, Wanted},
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
        let imports = match Imports::parse(&self.policy.spec) {
            Ok(imports) => imports,
            Err(problem) => {
                self.invalid(&problem).await;
                return std::future::pending().await;
            }
        };
        let [first, longest] = LOOK_AGAIN;
        let mut backoff = Backoff::new(first, longest);
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
                    Err(problem) => self.invalid(&problem).await,
                },
                Err(error) => tracing::warn!(policy = self.name(), %error, "discovery failed, trying again"),
            }
            sleep(backoff.next()).await;
        }
    }

    /// The policy cannot be used. What it has imported stays as it is.
    async fn invalid(&mut self, problem: &Problem) {
        let why = format!("the ClusterImportPolicy {} cannot be used: {}", self.name(), problem.message);
        self.shared.registry.set_readiness(self.name(), Readiness::Waits(why));
        let mut status = ClusterImportPolicyStatus {
            conditions: self.status.conditions.clone(),
            ..ClusterImportPolicyStatus::default()
        };
        conditions::remove(&mut status.conditions, RECONCILING);
        self.condition(&mut status, VALIDATED, false, problem);
        self.publish(status).await;
        self.wake_lifecycles().await;
    }

    /// Follows sources and references, until that has to begin anew.
    async fn follow(&mut self, imports: &Imports, negotiated: &Negotiated) {
        let resource = crate::recipe::kubectl_resource(&negotiated.source.group, &negotiated.source.plural);
        let policy = Arc::clone(&self.policy);
        let mut followed =
            Followed::begin(&self.transport, &policy.spec, negotiated, imports.metadata_is_enough());
        let mut sources = Sources::default();
        let owner = self.shared.registry.owner(self.name());
        self.shared.registry.set_readiness(self.name(), Readiness::Soon);
        if timeout(PATIENCE * 5, self.lifecycles.wait_until_ready()).await.is_err() {
            self.waits(&Problem::new(LIFECYCLES_UNLISTED, "PediaClusterLifecycles cannot be listed")).await;
            let _ = self.lifecycles.wait_until_ready().await;
        }
        let patience = Instant::now() + PATIENCE;
        let (mut ready, mut told) = (false, false);
        // When to settle next, if there is anything to settle, and when at the earliest.
        let (mut settle_at, mut calm_until) = (None, Instant::now());
        loop {
            let due = settle_at.filter(|_| ready);
            tokio::select! {
                news = followed.next() => match news {
                    News::Listing => sources.list_began(),
                    News::Source { key, json, listed } => {
                        let seen = self.seen(imports, negotiated, &json);
                        if listed {
                            sources.listed(key, seen);
                        } else {
                            let object = source_id(negotiated, &key);
                            if sources.changed(key, seen) {
                                settle_at.get_or_insert_with(soon);
                                self.shared.registry.changed(object).await;
                            }
                        }
                    }
                    News::SourceGone(key) => {
                        sources.deleted(&key);
                        settle_at.get_or_insert_with(soon);
                        self.shared.registry.changed(source_id(negotiated, &key)).await;
                    }
                    News::SourcesListed => {
                        for key in sources.list_done() {
                            self.shared.registry.changed(source_id(negotiated, &key)).await;
                        }
                        settle_at.get_or_insert_with(Instant::now);
                    }
                    News::ReferenceChanged(object) => self.shared.registry.changed(object).await,
                    News::ReferencesListed => {}
                    News::Failed(role, error) => {
                        let forbidden = matches!(error, Error::Forbidden(_));
                        if forbidden || !ready || matches!(error, Error::NotFound(_)) {
                            let problem = self.unreadable(&role, &error);
                            let why = format!("the ClusterImportPolicy {} waits: {}", self.name(), problem.message);
                            self.shared.registry.set_readiness(self.name(), Readiness::Waits(why));
                            self.waits(&problem).await;
                            if forbidden || matches!(error, Error::NotFound(_)) {
                                return self.wake_lifecycles().await;
                            }
                        }
                        tracing::debug!(policy = self.name(), %error, "a watch failed, trying again");
                    }
                },
                () = owner.notified() => {
                    settle_at.get_or_insert_with(soon);
                }
                () = sleep_until(patience), if !ready && !told => {
                    told = true;
                    let what = followed.unlisted().join(", ");
                    self.waits(&Problem::new(WAIT_SYNCED, format!("{what} are being listed"))).await;
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
                self.shared.registry.set_readiness(self.name(), Readiness::Ready);
                self.wake_lifecycles().await;
            }
        }
    }

    /// What is kept of a source object.
    fn seen(&self, imports: &Imports, negotiated: &Negotiated, json: &[u8]) -> Seen {
        let Ok(source) = serde_json::from_slice::<Value>(json) else {
            return Seen { digest: 0, outcome: Outcome::Failed(String::from("it cannot be read")) };
        };
        let hub = &self.shared.options.namespace;
        let digest = imports.digest(&source);
        let resource = &negotiated.source;
        // Among all Secrets there are always some that are not for policies: they are left, as if not selected.
        let outcome = match usable::refused(&resource.group, &resource.plural, &source, hub) {
            Some(_) => Outcome::Left,
            None => imports.outcome(source),
        };
        Seen { digest, outcome }
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
        let wanted = sources.wanted(resource);
        let mut plan = self.plan(&wanted, sources, negotiated);
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
        let failures: Vec<String> =
            wanted.failures.iter().cloned().chain(plan.failures).chain(refused).collect();
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
        let valid = Problem::new(SUCCESS, format!("{resource} are read as {}", negotiated.source.version));
        self.condition(&mut status, VALIDATED, true, &valid);
        self.condition(&mut status, RECONCILING, holds, &problem);
        let published = self.publish(status).await;
        Settled { wrote: wrote || published, failed: !holds }
    }

    /// What has to be written for the lifecycles to be what the sources say.
    fn plan(&self, wanted: &Wanted<'_>, sources: &Sources, negotiated: &Negotiated) -> Plan {
        let all = self.lifecycles.state();
        let by_name: HashMap<&str, &PediaClusterLifecycle> = all
            .iter()
            .filter_map(|lifecycle| Some((lifecycle.metadata.name.as_deref()?, &**lifecycle)))
            .collect();
        let mut plan = Plan::default();
        for (name, (namespace, source)) in &wanted.lifecycles {
            let spec = lifecycle_of(&self.policy.spec, negotiated, namespace, source);
            let there = by_name.get(name).copied();
            if let Some(owner) = there.and_then(|there| self.other_owner(there)) {
                plan.failures.push(format!("the PediaClusterLifecycle {name} belongs to {owner}"));
                continue;
            }
            let conditions =
                there.and_then(|there| there.status.as_ref()).map(|status| &status.conditions[..]);
            if conditions::holds(conditions.unwrap_or_default(), lifecycle::CREATED) {
                plan.imported += 1;
            }
            let keeps = there.is_some_and(|there| {
                there.metadata.deletion_timestamp.is_some() || (self.owns(there) && there.spec == spec)
            });
            if !keeps {
                let object = json!({
                    "apiVersion": "policy.clusterpedia.io/v1alpha1",
                    "kind": "PediaClusterLifecycle",
                    "metadata": {
                        "name": name,
                        "finalizers": [finalizers::LIFECYCLE],
                        "ownerReferences": [{
                            "apiVersion": "policy.clusterpedia.io/v1alpha1",
                            "kind": "ClusterImportPolicy",
                            "name": self.name(),
                            "uid": self.policy.metadata.uid,
                            "controller": true,
                        }],
                    },
                    "spec": spec,
                });
                plan.writes.push(((*name).to_owned(), Write::Apply(format!("{LIFECYCLES}/{name}"), object)));
            }
        }
        for (name, there) in by_name {
            let source: Key = (there.spec.source.namespace.clone(), there.spec.source.name.clone());
            let stays = wanted.lifecycles.contains_key(name)
                || !self.owns(there)
                || there.metadata.deletion_timestamp.is_some()
                || sources.is_undecided(&source);
            if !stays {
                plan.writes.push((name.to_owned(), delete(there)));
            }
        }
        plan
    }

    fn owns(&self, lifecycle: &PediaClusterLifecycle) -> bool {
        let uid = self.policy.metadata.uid.as_deref();
        lifecycle
            .owner_references()
            .iter()
            .any(|owner| owner.controller == Some(true) && Some(&*owner.uid) == uid)
    }

    /// Who else controls a lifecycle.
    fn other_owner(&self, lifecycle: &PediaClusterLifecycle) -> Option<String> {
        let owner = lifecycle.owner_references().iter().find(|owner| owner.controller == Some(true))?;
        (!self.owns(lifecycle)).then(|| format!("{} {}", owner.kind, owner.name))
    }

    fn condition(&self, status: &mut ClusterImportPolicyStatus, type_: &str, holds: bool, why: &Problem) {
        let generation = self.policy.metadata.generation;
        conditions::set(&mut status.conditions, type_, holds, why, generation, Timestamp::now());
    }

    /// Says why the policy cannot go on for now.
    async fn waits(&mut self, problem: &Problem) {
        let mut status = self.status.clone();
        if !conditions::holds(&status.conditions, VALIDATED) {
            self.condition(&mut status, VALIDATED, true, &Problem::new(SUCCESS, ""));
        }
        self.condition(&mut status, RECONCILING, false, problem);
        self.publish(status).await;
    }

    /// Writes the status, if it differs; whether it did.
    async fn publish(&mut self, status: ClusterImportPolicyStatus) -> bool {
        if status == self.status {
            return false;
        }
        // What is absent has to be said, or the old value would stay.
        let body = json!({ "status": {
            "conditions": status.conditions,
            "sources": status.sources,
            "selected": status.selected,
            "imported": status.imported,
        } });
        let path = format!("{POLICIES}/{}/status", self.name());
        match self.shared.parent.write(Write::Merge(path, body)).await {
            Ok(()) => self.status = status,
            Err(error) => tracing::debug!(policy = self.name(), %error, "the status could not be written"),
        }
        true
    }

    async fn wake_lifecycles(&self) {
        for lifecycle in self.lifecycles.state() {
            if policy_of(&lifecycle) == Some(self.name()) {
                self.shared.registry.wake(&lifecycle.name_any()).await;
            }
        }
    }

    /// Holds the policy until its lifecycles are gone.
    async fn hold(&self) {
        if !self.policy.finalizers().iter().any(|finalizer| finalizer == finalizers::POLICY) {
            self.set_finalizer(true).await;
        }
    }

    /// The policy is going: so do its lifecycles, unless they are to stay. Ends when they are gone.
    async fn leave(&self) {
        let owner = self.shared.registry.owner(self.name());
        let orphans = self.policy.finalizers().iter().any(|finalizer| finalizer == ORPHANS);
        let _ = self.lifecycles.wait_until_ready().await;
        loop {
            let all = self.lifecycles.state();
            let owned: Vec<_> = all.iter().filter(|lifecycle| self.owns(lifecycle)).collect();
            if orphans || owned.is_empty() {
                break;
            }
            let waiting = owned.iter().filter(|lifecycle| lifecycle.metadata.deletion_timestamp.is_none());
            stream::iter(
                waiting.map(|lifecycle| self.shared.parent.write(delete(lifecycle))).collect::<Vec<_>>(),
            )
            .buffer_unordered(WRITES)
            .for_each(|outcome| async move {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a PediaClusterLifecycle could not be deleted, trying again");
                }
            })
            .await;
            let _ = timeout(CALM * 5, owner.notified()).await;
        }
        self.set_finalizer(false).await;
    }

    /// Puts our finalizer on the policy or takes it away. One that is gone has none.
    async fn set_finalizer(&self, wanted: bool) {
        let [first, longest] = LOOK_AGAIN;
        let mut backoff = Backoff::new(first, longest);
        while let Err(error) = self.try_set_finalizer(wanted).await {
            tracing::debug!(policy = self.name(), %error, "the finalizer could not be set, trying again");
            sleep(backoff.next()).await;
        }
    }

    async fn try_set_finalizer(&self, wanted: bool) -> Result<(), Refusal> {
        let path = format!("{POLICIES}/{}", self.name());
        let there =
            self.shared.parent.read(&path).await.map_err(|error| Refusal::Later(error.to_string()))?;
        let Some(there) = there else { return Ok(()) };
        let held = there["metadata"]["finalizers"].as_array().into_iter().flatten();
        let mut all: Vec<String> = held.filter_map(Value::as_str).map(str::to_owned).collect();
        if all.iter().any(|finalizer| finalizer == finalizers::POLICY) == wanted {
            return Ok(());
        }
        if wanted {
            all.push(finalizers::POLICY.to_owned());
        } else {
            all.retain(|finalizer| finalizer != finalizers::POLICY);
        }
        let patch = finalizers_of(there["metadata"]["resourceVersion"].as_str(), &all);
        self.shared.parent.write(Write::Merge(path, patch)).await
    }
}

/// When what has changed now is settled, with what changes at the same time.
fn soon() -> Instant {
    Instant::now() + GATHER
}

/// What came of settling.
struct Settled {
    wrote: bool,
    failed: bool,
}

/// What is to be written.
#[derive(Default)]
struct Plan {
    writes: Vec<(String, Write)>,
    failures: Vec<String>,
    imported: usize,
}

fn delete(lifecycle: &PediaClusterLifecycle) -> Write {
    let path = format!("{LIFECYCLES}/{}", lifecycle.name_any());
    Write::Delete(path, lifecycle.uid().unwrap_or_default())
}

fn source_id(negotiated: &Negotiated, (namespace, name): &Key) -> u64 {
    crate::registry::id(&negotiated.source, namespace, name)
}

/// How much of what there is is imported, for people.
fn summary(resource: &str, wanted: &Wanted<'_>, imported: usize, selects: bool) -> String {
    let (sources, selected) = (wanted.sources, wanted.selected);
    let taken = match (sources, selected) {
        (0, _) => return format!("there are no {resource}: nothing is imported"),
        (_, 0) if selects => {
            return format!(
                "spec.source.selectorTemplate selects none of {sources} {resource}: nothing is imported"
            );
        }
        _ if selected == sources && selects => {
            format!("spec.source.selectorTemplate selects every one of {sources} {resource}")
        }
        _ if selects => format!("spec.source.selectorTemplate selects {selected} of {sources} {resource}"),
        _ => format!("there are {sources} {resource}"),
    };
    match selected.saturating_sub(imported) {
        0 => format!("{taken}, {imported} are imported"),
        waiting => format!(
            "{taken}, {imported} are imported and {waiting} wait: kubectl get pediaclusterlifecycles tells why"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_imports_nothing_or_everything_says_so() {
        let told = |sources, selected, imported, selects| {
            let wanted = Wanted { sources, selected, ..Wanted::default() };
            summary("secrets", &wanted, imported, selects)
        };
        assert_eq!(told(0, 0, 0, true), "there are no secrets: nothing is imported");
        assert_eq!(
            told(9, 0, 0, true),
            "spec.source.selectorTemplate selects none of 9 secrets: nothing is imported"
        );
        assert_eq!(
            told(9, 9, 9, true),
            "spec.source.selectorTemplate selects every one of 9 secrets, 9 are imported"
        );
        assert_eq!(
            told(9, 3, 1, true),
            "spec.source.selectorTemplate selects 3 of 9 secrets, 1 are imported and 2 wait: kubectl get \
             pediaclusterlifecycles tells why"
        );
        assert_eq!(told(2, 2, 2, false), "there are 2 secrets, 2 are imported");
    }
}
