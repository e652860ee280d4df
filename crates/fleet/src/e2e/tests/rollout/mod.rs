//! A rollout, all the way from templates to running objects, while everything that carries it out is killed.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use ::http::{Method, Request};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::Full;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    fleet::Fleet,
    http,
    install::{HUB, Registered},
    wait,
};

mod checker;
mod wanted;
mod writes;

use wanted::{FEEDS, NAMESPACE, Wanted};
use writes::{Recorder, Writes};

/// Selects what the test makes in the parent.
const SELECTOR: &str = "rollout=rollout";
/// Makes the moments of the kills those of an earlier run.
const SEED: &str = "CLUSTERWAY_SEED";
/// A hub that is killed leaves its Lease to the next one after 15 s.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest wait before a kill.
const LONGEST_MS: u64 = 1_500;
/// Requests that a killed program may have had under way: one deployer's to one cluster.
const UNDER_WAY: usize = 8;

/// A child and where it is in the parent.
struct Child {
    cluster: Cluster,
    registered: Registered,
}

/// 200 feeds in four Subscriptions, with overrides, roll out to a cluster that the hub pushes to and to one whose agent
/// pulls. Meanwhile templates and an override change, feeds are removed, and hub and agents are killed again and again.
/// In the end each cluster is exactly as is wanted, nothing is there twice or left behind, and nothing was written that
/// changed nothing.
pub(super) async fn killing_everything_during_a_rollout_loses_doubles_and_rewrites_nothing(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let seed = match std::env::var(SEED) {
        Ok(text) => text.parse().with_context(|| format!("{SEED} is no number"))?,
        Err(_) => rand::random(),
    };
    fleet.progress().note(format_args!("{SEED}={seed}"));
    let mut children = Vec::new();
    for cluster in fleet.children() {
        let registered = fleet.registered(&cluster).await?.context("it is not registered")?;
        children.push(Child { cluster, registered });
    }
    let mut rollout = Rollout {
        fleet,
        parent: fleet.parent()?,
        client: fleet.parent()?.http_as("fleet-administrator", &["system:masters"])?,
        children,
        wanted: Wanted::default(),
        random: StdRng::seed_from_u64(seed),
        kills: 0,
        repeated: Cell::new(0),
    };
    rollout.set_mode("Pull").await?;
    let result = Box::pin(rollout.run()).await;
    let cleaned = rollout.clean_up().await.context("cleaning up");
    rollout.set_mode("Dual").await?;
    result.and(cleaned)
}

struct Rollout<'f> {
    fleet: &'f Fleet,
    parent: Cluster,
    client: http::Client,
    children: Vec<Child>,
    wanted: Wanted,
    random: StdRng,
    kills: usize,
    /// Requests to the shadow API that had no answer and were made again.
    repeated: Cell<usize>,
}

impl Rollout<'_> {
    async fn run(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        self.make_templates().await?;
        let recorder = Recorder::start(self.fleet, &self.parent, &self.children).await?;
        self.parent.apply(&wanted::overrides(&self.wanted, &self.children)).await?;
        self.parent.apply(&wanted::subscriptions(&self.wanted)).await?;
        self.until_there("the rollout to begin", FEEDS / 10).await?;
        self.kill_everybody().await?;

        // While the first state still rolls out, it becomes another.
        self.wanted.version = 2;
        let victims = self.plan();
        let ((), kills) = futures_util::try_join!(self.change_templates(), kill(self.fleet, victims))?;
        self.kills += kills;
        self.wanted.round = 2;
        self.parent.apply(&wanted::overrides(&self.wanted, &self.children)).await?;
        self.until_there("the rollout to go on", FEEDS / 2).await?;

        self.wanted.removed = true;
        self.parent.apply(&wanted::subscriptions(&self.wanted)).await?;
        self.kill_everybody().await?;
        self.until_as_wanted().await?;
        self.fleet.progress().note(format_args!(
            "{} kills; as wanted after {:.0} s",
            self.kills,
            began.elapsed().as_secs_f64()
        ));
        let writes = recorder.writes().await?;
        self.judge(&writes)?;

        // Once more, with nothing to do: a Subscription that comes later shows that everybody is at work again.
        self.kill_everybody().await?;
        self.wanted.is_late = true;
        self.parent.apply(&wanted::subscriptions(&self.wanted)).await?;
        self.until_as_wanted().await?;
        let after = recorder.writes().await?;
        self.judge(&after)?;
        let late = wanted::late_name();
        for (child, (before, after)) in self.children.iter().zip(writes.children.iter().zip(&after.children))
        {
            let more = after.applied - before.applied;
            ensure!(more == 1, "{more} objects were applied in {} where one is new", child.cluster.name);
        }
        let rewritten: Vec<&String> = after
            .parent
            .iter()
            .filter(|(object, written)| {
                !object.contains(&late)
                    && writes.parent.get(*object).is_none_or(|before| before.ours < written.ours)
            })
            .map(|(object, _)| object)
            .collect();
        ensure!(rewritten.is_empty(), "written with nothing to say: {rewritten:?}");

        // And while everything is taken back; what is left then is looked at when that is over.
        self.withdraw().await?;
        wait::until_true("some objects to be gone", PATIENCE, || async {
            self.confirm().await?;
            Ok(checker::marked(&self.children[0].cluster, "configmaps").await?.len() < FEEDS / 2)
        })
        .await?;
        self.kill_everybody().await
    }

    async fn withdraw(&self) -> anyhow::Result<()> {
        let delete = ["delete", "sub", "-n", "default", "-l", SELECTOR, "--wait=false", "--ignore-not-found"];
        self.parent.kubectl_ok(&delete).await.map(drop)
    }

    /// Confirms what the brake holds.
    async fn confirm(&self) -> anyhow::Result<()> {
        for child in &self.children {
            checker::confirm(&self.parent, &child.registered.namespace).await?;
        }
        Ok(())
    }

    /// Which writes there were, against what was to be written.
    fn judge(&self, writes: &Writes) -> anyhow::Result<()> {
        let allowed = self.kills * UNDER_WAY;
        for (child, counts) in self.children.iter().zip(&writes.children) {
            let name = &child.cluster.name;
            self.fleet.progress().note(format_args!(
                "{name}: {} objects changed by {} answered and {} unanswered requests",
                counts.changes, counts.applied, counts.unanswered
            ));
            // Whoever has an answer knows of it, and has no reason to write again.
            ensure!(
                counts.applied <= counts.changes,
                "{} writes in {name} changed nothing",
                counts.applied - counts.changes
            );
            let all = counts.applied + counts.unanswered;
            ensure!(all <= counts.changes + allowed, "{all} writes in {name} for {} changes", counts.changes);
            let most = self.wanted.changes();
            ensure!(
                counts.changes <= most,
                "{} changes in {name} where {most} are wanted at most",
                counts.changes
            );
        }
        let useless: Vec<String> = writes
            .parent
            .iter()
            .filter(|(_, written)| written.useless() > 0)
            .map(|(object, written)| format!("{object} ({})", written.useless()))
            .collect();
        // What was sent twice, as nobody had answered, may be stored twice.
        let (by_us, by_the_test): (Vec<_>, Vec<_>) =
            useless.into_iter().partition(|object| !object.starts_with("manifests/"));
        ensure!(by_us.is_empty(), "writes that changed nothing: {}", by_us.join(", "));
        let repeated = self.repeated.get();
        ensure!(by_the_test.len() <= repeated, "{} for {repeated} repeated requests", by_the_test.join(", "));
        Ok(())
    }

    async fn set_mode(&self, mode: &str) -> anyhow::Result<()> {
        let Registered { id, namespace, name } =
            &self.children.last().context("there is no child")?.registered;
        let patch = json!({ "spec": { "syncMode": mode } }).to_string();
        self.parent
            .kubectl_ok(&["patch", "clsrr", &format!("clusternet-{id}"), "--type=merge", "-p", &patch])
            .await?;
        wait::until_true("the sync mode to be taken over", PATIENCE, || async {
            let found = ["get", "mcls", name, "-n", namespace, "-o", "jsonpath={.spec.syncMode}"];
            Ok(self.parent.kubectl_ok(&found).await? == mode)
        })
        .await
    }

    async fn make_templates(&self) -> anyhow::Result<()> {
        stream::iter(wanted::templates())
            .map(Ok)
            .try_for_each_concurrent(UNDER_WAY, |(path, template)| async move {
                let path = path.rsplit_once('/').map_or("", |(collection, _)| collection);
                self.until_kept(&Method::POST, path, &template).await
            })
            .await
    }

    async fn change_templates(&self) -> anyhow::Result<()> {
        let change = json!({ "data": { "version": self.wanted.version.to_string() } });
        let change = &change;
        stream::iter(wanted::versioned())
            .map(Ok)
            .try_for_each_concurrent(UNDER_WAY, |path| async move {
                self.until_kept(&Method::PATCH, &path, change).await
            })
            .await
    }

    /// Sends a request to the shadow API until it is answered.
    async fn until_kept(&self, method: &Method, path: &str, body: &Value) -> anyhow::Result<()> {
        let first = Cell::new(true);
        wait::until_true(format_args!("{path} to be kept"), PATIENCE, || async {
            if !first.replace(false) {
                self.repeated.set(self.repeated.get() + 1);
            }
            let media =
                if *method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
            let request = Request::builder().method(method).uri(format!("/apis/shadow/v1alpha1/{path}"));
            let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
            let request = request.header("content-type", media).body(Full::new(body))?;
            let answer = self.client.whole(request).await?;
            let code = answer.status().as_u16();
            let is_done = [200, 201, 409].contains(&code) || (code == 404 && *method == Method::DELETE);
            ensure!(is_done, "{code} {}", String::from_utf8_lossy(answer.body()).trim());
            Ok(true)
        })
        .await
    }

    /// Waits until so many objects are in each cluster.
    async fn until_there(&self, what: &str, count: usize) -> anyhow::Result<()> {
        for child in &self.children {
            wait::until_true(what, PATIENCE, || async {
                Ok(checker::marked(&child.cluster, "configmaps").await?.len() >= count)
            })
            .await?;
        }
        Ok(())
    }

    async fn until_as_wanted(&self) -> anyhow::Result<()> {
        wait::until_true("everything to be as it is wanted", PATIENCE, || async {
            checker::check(&self.parent, &self.children, &self.wanted).await.map(|()| true)
        })
        .await
    }

    /// Whom to kill next, after how many milliseconds each.
    fn plan(&mut self) -> Vec<(u64, String)> {
        let mut victims: Vec<String> =
            self.children.iter().map(|child| Fleet::agent_name(&child.cluster)).collect();
        victims.push(HUB.to_owned());
        victims.shuffle(&mut self.random);
        victims.into_iter().map(|victim| (self.random.random_range(0..LONGEST_MS), victim)).collect()
    }

    async fn kill_everybody(&mut self) -> anyhow::Result<()> {
        let victims = self.plan();
        self.kills += kill(self.fleet, victims).await?;
        Ok(())
    }

    /// Deletes everything, and looks whether anything is left behind.
    async fn clean_up(&self) -> anyhow::Result<()> {
        for process in
            self.children.iter().map(|child| Fleet::agent_name(&child.cluster)).chain([HUB.to_owned()])
        {
            self.fleet.restart(&process)?;
        }
        self.withdraw().await?;
        wait::until_true("the Subscriptions to be gone", PATIENCE, || async {
            self.confirm().await?;
            let left = self
                .parent
                .kubectl_ok(&["get", "sub", "-n", "default", "-l", SELECTOR, "-o", "name"])
                .await?;
            ensure!(left.is_empty(), "{left}");
            Ok(true)
        })
        .await?;
        for child in &self.children {
            // A namespace takes its time to end.
            wait::until_true("nothing to be left behind", PATIENCE, || async {
                let left = checker::marked(&child.cluster, "configmaps,services,namespaces").await?;
                let left: Vec<_> =
                    left.iter().filter(|object| object.is_of(NAMESPACE)).map(|object| &object.name).collect();
                ensure!(left.is_empty(), "left behind in {}: {left:?}", child.cluster.name);
                Ok(true)
            })
            .await?;
        }
        self.parent.kubectl_ok(&["delete", "glob,loc", "-A", "-l", SELECTOR]).await?;
        stream::iter(wanted::templates())
            .map(Ok)
            .try_for_each_concurrent(UNDER_WAY, |(path, _)| async move {
                self.until_kept(&Method::DELETE, &path, &Value::Null).await
            })
            .await
    }
}

/// Kills and starts again, each after its time. Returns how many.
async fn kill(fleet: &Fleet, victims: Vec<(u64, String)>) -> anyhow::Result<usize> {
    let count = victims.len();
    for (after, victim) in victims {
        tokio::time::sleep(Duration::from_millis(after)).await;
        fleet.kill(&victim).await?;
        fleet.restart(&victim)?;
    }
    Ok(count)
}
