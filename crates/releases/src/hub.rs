//! The hub's part: Descriptions of charts become HelmReleases, and each cluster gets the credentials it needs.

use std::collections::{BTreeMap, HashMap};

use api::{
    apps::{Deployer, Description, HelmChart, HelmRelease},
    clusters::{ManagedCluster, Side},
    names::{
        apps::{finalizers::APPS, labels},
        helm::{CREDENTIALS, reasons},
    },
};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use parking_lot::Mutex;
use runtime::{events::Events, watch::readable};
use serde_json::{Value, json};

use crate::{
    credentials,
    describe::{self, Unreadable},
    watched::{News, Watched, key},
};

/// Keeps the HelmReleases of all Descriptions of charts as those want them, and the status of the Descriptions as that of their
/// HelmReleases is; `hub` is the namespace of the hub. At most `parallelism` Descriptions are worked on at a time.
///
/// # Errors
/// When one of its watches ends, which they do not by themselves.
pub async fn describe(client: Client, parallelism: usize, hub: &str) -> anyhow::Result<()> {
    let hub = Hub {
        events: Events::new(client.clone(), "clusternet-hub"),
        client: client.clone(),
        namespace: hub.to_owned(),
        given: Mutex::default(),
    };
    let hub = &hub;
    let config = watcher::Config::default().timeout(240);
    let descriptions = readable::<Description>(Api::all(client.clone()), config.clone()).default_backoff();
    let releases = readable::<HelmRelease>(Api::all(client), config).default_backoff();
    let (mut descriptions, mut releases) = (std::pin::pin!(descriptions), std::pin::pin!(releases));
    let mut charts = Watched::new(news);
    let mut running: FuturesUnordered<BoxFuture<'_, (String, bool)>> = FuturesUnordered::new();
    loop {
        while running.len() < parallelism.max(1)
            && let Some((name, description)) = charts.take()
        {
            running.push(async move { (name, hub.round(description).await) }.boxed());
        }
        let next = charts.queue.next().filter(|_| running.len() < parallelism.max(1));
        tokio::select! {
            event = descriptions.next() => {
                if let Some(gone) = charts.hear(event)? {
                    hub.given.lock().remove(&gone.uid().unwrap_or_default());
                }
            }
            event = releases.next() => match event {
                Some(Ok(Event::InitApply(release) | Event::Apply(release) | Event::Delete(release))) => {
                    let namespace = release.namespace().unwrap_or_default();
                    for owner in release.owner_references() {
                        charts.look(&format!("{namespace}/{}", owner.name));
                    }
                }
                Some(Ok(Event::Init | Event::InitDone)) => {}
                Some(Err(error)) => tracing::debug!(%error, "the watch of HelmReleases failed, trying again"),
                None => anyhow::bail!("the watch of HelmReleases ended"),
            },
            Some((name, is_done)) = running.next(), if !running.is_empty() => {
                charts.queue.ended(&name);
                if !is_done {
                    charts.queue.again(&name);
                }
            }
            () = crate::run::until(next), if next.is_some() => {}
        }
    }
}

/// A Description of charts is looked at if anything but its status is new.
fn news(before: Option<&Description>, description: &Description) -> News {
    if description.spec.deployer != Deployer::Helm {
        return News::NotOurs;
    }
    let of = |one: &Description| {
        (one.uid(), one.metadata.generation, one.metadata.deletion_timestamp.is_some(), one.is_paused())
    };
    let is_new = before.is_none_or(|before| of(before) != of(description));
    if is_new { News::Look } else { News::Nothing }
}

struct Hub {
    client: Client,
    events: Events,
    namespace: String,
    /// What each Description's cluster was given for it, by the UID of the Description: the same is not written twice.
    given: Mutex<HashMap<String, BTreeMap<String, String>>>,
}

impl Hub {
    /// One round; whether everything was done.
    async fn round(&self, description: Description) -> bool {
        let result = if description.is_paused() {
            let next = describe::paused(&description, Timestamp::now());
            self.tell(&description, &next).await.map(|()| true)
        } else if description.metadata.deletion_timestamp.is_some() {
            self.leave(&description).await
        } else {
            self.bring(&description).await
        };
        result.unwrap_or_else(|error| {
            tracing::debug!(%error, description = key(&description), "a Description of charts is looked at again");
            false
        })
    }

    async fn bring(&self, description: &Description) -> kube::Result<bool> {
        let wanted = describe::releases(description);
        let there = self.there(description).await?;
        let mut is_done = true;
        match &wanted {
            Ok(wanted) => {
                let all = self.releases(description);
                is_done = self.give(description, wanted).await?;
                for one in wanted {
                    match there.iter().find(|there| there.name_any() == one.name_any()) {
                        Some(there) if there.metadata.deletion_timestamp.is_some() => is_done = false,
                        Some(there) if describe::is_same(there, one) => {}
                        Some(there) => {
                            let mut next = there.clone();
                            next.spec = one.spec.clone();
                            next.labels_mut().extend(one.labels().clone());
                            all.replace(&one.name_any(), &PostParams::default(), &next).await?;
                        }
                        None => {
                            all.create(&PostParams::default(), one).await?;
                            let note = format!("The HelmRelease {} is made.", one.name_any());
                            self.events.normal(description, "HelmReleasesCreated", &note).await;
                        }
                    }
                }
                let gone =
                    there.iter().filter(|there| wanted.iter().all(|one| one.name_any() != there.name_any()));
                self.delete(description, gone).await?;
            }
            Err(Unreadable(why)) => {
                if description.status.as_ref().is_none_or(|status| status.reason.as_ref() != Some(why)) {
                    self.events.warning(description, "UnequalLengths", why).await;
                }
            }
        }
        let there = self.there(description).await?;
        let next = describe::status(description, &wanted, &there, Timestamp::now());
        self.tell(description, &next).await?;
        Ok(is_done)
    }

    /// Takes the HelmReleases of a deleted Description away, and lets it go when they are gone from the cluster.
    async fn leave(&self, description: &Description) -> kube::Result<bool> {
        if !description.finalizers().iter().any(|finalizer| finalizer == APPS) {
            return Ok(true);
        }
        let there = self.there(description).await?;
        if !there.is_empty() {
            self.delete(description, there.iter()).await?;
            let next = describe::leaving(description, &there, Timestamp::now());
            self.tell(description, &next).await?;
            // Their end is heard of.
            return Ok(true);
        }
        self.apply(description, &BTreeMap::new()).await?;
        let others: Vec<_> = description.finalizers().iter().filter(|finalizer| *finalizer != APPS).collect();
        let patch = json!({ "metadata": { "uid": description.uid(), "finalizers": others } });
        let all: Api<Description> =
            Api::namespaced(self.client.clone(), &description.namespace().unwrap_or_default());
        match all.patch(&description.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
            Err(other) => Err(other),
        }
    }

    fn releases(&self, description: &Description) -> Api<HelmRelease> {
        Api::namespaced(self.client.clone(), &description.namespace().unwrap_or_default())
    }

    /// The HelmReleases of a Description, from the API server itself: what was only heard of may be old.
    async fn there(&self, description: &Description) -> kube::Result<Vec<HelmRelease>> {
        let selector = format!("{}={}", labels::CONFIG_UID, description.uid().unwrap_or_default());
        let all = self.releases(description).list(&ListParams::default().labels(&selector)).await?;
        Ok(all.items.into_iter().filter(|release| describe::belongs(release, description)).collect())
    }

    async fn delete(
        &self,
        description: &Description,
        gone: impl Iterator<Item = &HelmRelease>,
    ) -> kube::Result<()> {
        for one in gone.filter(|one| one.metadata.deletion_timestamp.is_none()) {
            match self.releases(description).delete(&one.name_any(), &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    async fn tell(&self, description: &Description, next: &api::apps::DescriptionStatus) -> kube::Result<()> {
        if description.status.as_ref() == Some(next) {
            return Ok(());
        }
        let status = json!({ "phase": next.phase, "reason": next.reason, "conditions": next.conditions });
        let patch = json!({ "metadata": { "uid": description.uid() }, "status": status });
        let all: Api<Description> =
            Api::namespaced(self.client.clone(), &description.namespace().unwrap_or_default());
        all.patch_status(&description.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map(drop)
    }

    /// Gives the cluster the credentials that the charts of a Description need, and no others; whether it has all of them.
    async fn give(&self, description: &Description, wanted: &[HelmRelease]) -> kube::Result<bool> {
        let mut entries = BTreeMap::new();
        let mut is_done = true;
        if has_pulls(description) && !self.fetches_itself(description).await? {
            self.apply(description, &entries).await?;
            return Ok(true);
        }
        for (one, chart) in wanted.iter().zip(&description.spec.charts) {
            if one.spec.options.chart_pull_secret.is_none() {
                continue;
            }
            let pull =
                credentials::of_chart(&self.client, &self.namespace, one, &chart.namespace, &chart.name)
                    .await;
            match pull.and_then(|pull| pull.written()) {
                Ok(entry) => {
                    entries.insert(one.name_any(), entry);
                }
                Err(trouble) => {
                    is_done = false;
                    self.events.warning(description, reasons::LOCATE_FAILURE, &trouble.message).await;
                }
            }
        }
        self.apply(description, &entries).await?;
        Ok(is_done)
    }

    /// Whether the charts of a Description are fetched in its cluster, and not by the hub, which has the pull secrets themselves.
    /// Should that change, the cluster says that it has no credentials, and this is looked at again.
    async fn fetches_itself(&self, description: &Description) -> kube::Result<bool> {
        let clusters: Api<ManagedCluster> =
            Api::namespaced(self.client.clone(), &description.namespace().unwrap_or_default());
        let all = clusters.list(&ListParams::default()).await?;
        Ok(all.items.iter().all(|cluster| Side::of(cluster) == Side::Agent))
    }

    /// Writes what a Description's cluster gets for it into the Secret of its namespace. Each Description has a field manager of
    /// its own, so that what it does not need any more goes, and what others need stays.
    async fn apply(&self, description: &Description, entries: &BTreeMap<String, String>) -> kube::Result<()> {
        let uid = description.uid().unwrap_or_default();
        // After a start nobody knows what was given; where nothing is needed and nothing is known, nothing is written.
        let before = self.given.lock().get(&uid).cloned();
        if before.as_ref() == Some(entries)
            || (before.is_none() && entries.is_empty() && !has_pulls(description))
        {
            return Ok(());
        }
        let secrets: Api<Secret> =
            Api::namespaced(self.client.clone(), &description.namespace().unwrap_or_default());
        let mut secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": CREDENTIALS } });
        if !entries.is_empty() {
            let data = entries.iter().map(|(name, text)| {
                (name.clone(), json!(k8s_openapi::ByteString(text.clone().into_bytes())))
            });
            secret["data"] = Value::Object(data.collect());
        }
        let options = PatchParams::apply(&format!("clusterway-{uid}")).force();
        secrets.patch_metadata(CREDENTIALS, &options, &Patch::Apply(&secret)).await?;
        self.given.lock().insert(uid, entries.clone());
        Ok(())
    }
}

/// Whether anything of a Description has a pull secret.
fn has_pulls(description: &Description) -> bool {
    let charts =
        description.spec.chart_raw.iter().filter_map(|raw| serde_json::from_slice::<HelmChart>(&raw.0).ok());
    charts.into_iter().any(|chart| chart.spec.options.chart_pull_secret.is_some())
}
