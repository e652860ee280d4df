//! From Subscriptions to the objects in very many clusters, most of them simulated: how long it takes beside a client that
//! makes the same writes, and what a hub with thousands of Subscriptions needs, also to begin again.

mod made;
mod restart;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use self::made::{Line, Work};
use super::{
    Budget, Figure, Options,
    loader::{Loader, Served, User, median, number, words},
    rest::MEBIBYTE,
};
use crate::{cluster::Cluster, fleet::Fleet, install, paths, wait};

/// How many clusters a Subscription reaches, and how often that is measured.
const SIZES: [(usize, usize); 3] = [(10, 5), (100, 3), (500, 1)];
/// Subscriptions of one object each for every simulated cluster that there is, over so many of these.
const MANY: (usize, usize) = (10, 100);
const DEADLINE: Duration = Duration::from_secs(120);
const GROUP: &str = "apps.bench.clusterway.io";
const NAMESPACE: &str = "bench-fanout";
const SUBSCRIPTIONS: &str = "/apis/apps.clusternet.io/v1alpha1/namespaces/bench-fanout/subscriptions";

/// Takes the figures.
pub(super) async fn fanout(fleet: &Fleet, options: &Options) -> anyhow::Result<Vec<Figure>> {
    let bench = Bench::new(fleet, options).await?;
    let mut figures = Vec::new();
    for (clusters, rounds) in SIZES.into_iter().filter(|(clusters, _)| *clusters <= options.clusters) {
        figures.extend(bench.reach(clusters, rounds.min(options.rounds)).await?);
    }
    figures.extend(bench.many().await?);
    Ok(figures)
}

struct Bench<'a> {
    fleet: &'a Fleet,
    parent: Cluster,
    loader: Loader,
    user: User,
    simulated: Served,
    /// How many of them.
    clusters: usize,
}

/// Times of one round, in seconds.
struct Round {
    cold: f64,
    changed: f64,
}

impl<'a> Bench<'a> {
    async fn new(fleet: &'a Fleet, options: &Options) -> anyhow::Result<Self> {
        let loader = Loader::build_as(fleet, &options.profile).await?;
        let parent = fleet.parent()?;
        let user = User::new(fleet, &parent, "bench-administrator", &["system:masters"])?;
        for child in fleet.children() {
            let registered = fleet.until_ready(&child, DEADLINE).await?;
            let mut label =
                vec!["label", "mcls", &registered.name, "-n", &registered.namespace, "--overwrite"];
            let labels: Vec<String> =
                SIZES.iter().map(|(size, _)| format!("{}=true", reached(*size))).collect();
            label.extend(labels.iter().map(String::as_str));
            parent.kubectl_ok(&label).await?;
        }
        made::copies(&parent, GROUP).await?;
        parent
            .apply(
                &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } })
                    .to_string(),
            )
            .await?;
        let step = fleet.progress().begin(format_args!("{} simulated clusters", options.clusters));
        let mut serve = words("children", &user.target("/"));
        serve.push(format!("--children={}", options.clusters));
        let real = fleet.children().len();
        serve.extend(
            SIZES.iter().map(|(size, _)| format!("--label={}={}", reached(*size), size.saturating_sub(real))),
        );
        let simulated = loader.serve(&serve).await?;
        step.done();
        let bench = Self { fleet, parent, loader, user, simulated, clusters: options.clusters };
        bench.until_ready().await?;
        Ok(bench)
    }

    /// Waits until the hub knows all simulated clusters as Ready.
    async fn until_ready(&self) -> anyhow::Result<()> {
        let selector = ["get", "mcls", "-A", "-l", "bench.clusterway.io/number", "-o"];
        let ready =
            "jsonpath={range .items[*].status.conditions[?(@.type==\"Ready\")]}{.status}{\"\\n\"}{end}";
        wait::until_true("the simulated clusters to be Ready", DEADLINE, || async {
            let found = self.parent.kubectl_ok(&[&selector[..], &[ready]].concat()).await?;
            Ok(found.lines().filter(|line| *line == "True").count() == self.clusters)
        })
        .await
    }

    /// Ten objects to so many clusters, and then one field of one of them.
    async fn reach(&self, clusters: usize, rounds: usize) -> anyhow::Result<Vec<Figure>> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let step = self
                .fleet
                .progress()
                .begin(format_args!("10 objects to {clusters} clusters, round {}", round + 1));
            // Names of their own, so that each round is a first one.
            theirs.push(self.reference(clusters, &format!("reference-{clusters}-{round}")).await?);
            ours.push(self.ours(clusters, &format!("fanout-{clusters}-{round}")).await?);
            step.done();
        }
        let middle = |of: fn(&Round) -> f64, rounds: &[Round]| median(rounds.iter().map(of).collect());
        let figure = |name: &str, of: fn(&Round) -> f64| {
            let (value, reference) = (middle(of, &ours), middle(of, &theirs));
            Figure::new(
                "fanout",
                &format!("{name}_{clusters}"),
                "s",
                value,
                Some(reference),
                Budget::RatioAtMost(1.5),
            )
        };
        Ok(vec![figure("cold", |round| round.cold), figure("changed", |round| round.changed)])
    }

    async fn ours(&self, clusters: usize, name: &str) -> anyhow::Result<Round> {
        let objects = made::objects(name, "first");
        self.settle(&Work::of(made::templates(&objects))).await?;
        let affinity = json!({ reached(clusters): "true" });
        let subscription = made::subscription(name, &affinity, &objects);
        let create = vec![Line::post(SUBSCRIPTIONS, subscription)];
        let cold = Work { subscriptions: 1, clusters, ..Work::of(create) };
        let cold = number(&self.settle(&cold).await?, "seconds")?;
        let changed = made::objects(name, "second").get(made::CHANGED).cloned().context("no such object")?;
        let patch = vec![Line::patch(&made::template(&changed), json!({ "data": changed["data"] }))];
        let path = format!("/api/v1/namespaces/{name}/configmaps/settings");
        let change = Some([name.to_owned(), path, String::from("second")]);
        let changed = Work { subscriptions: 1, clusters, change, ..Work::of(patch) };
        let changed = number(&self.settle(&changed).await?, "seconds")?;
        Ok(Round { cold, changed })
    }

    async fn reference(&self, clusters: usize, name: &str) -> anyhow::Result<Round> {
        let mut command = words("reference", &self.user.target("/"));
        command.extend([
            format!("--group={GROUP}"),
            format!("--namespace={NAMESPACE}"),
            format!("--name={name}"),
            format!("--simulated=http://{}/", self.simulated.address),
            format!("--clusters={clusters}"),
        ]);
        for child in self.fleet.children() {
            let user = User::new(self.fleet, &child, "bench-administrator", &["system:masters"])?;
            command.push(format!(
                "--real={}",
                self.file(&format!("{}-target", child.name), &user.target("/").join("\n"))?.display()
            ));
        }
        let with = |objects: &[Value]| {
            let file = self.file("objects", &json!(objects).to_string())?;
            anyhow::Ok([&command[..], &[format!("--objects={}", file.display())]].concat())
        };
        let cold = number(&self.loader.run(&with(&made::objects(name, "first"))?).await?, "seconds")?;
        let mut again = with(&made::objects(name, "second"))?;
        again.push(format!("--changed={}", made::CHANGED));
        let changed = number(&self.loader.run(&again).await?, "seconds")?;
        Ok(Round { cold, changed })
    }

    /// Makes some writes, and waits until what they concern stands as it should.
    async fn settle(&self, work: &Work) -> anyhow::Result<Value> {
        let lines: Vec<String> = work.lines.iter().map(Line::text).collect();
        let mut command = words("settle", &self.user.target(SUBSCRIPTIONS));
        command.extend([
            format!("--writes={}", self.file("writes", &lines.join("\n"))?.display()),
            format!("--subscriptions={}", work.subscriptions),
            format!("--clusters={}", work.clusters),
            format!("--seconds={}", work.patience.as_secs()),
        ]);
        if let Some([name, path, text]) = &work.change {
            let simulated = work.clusters - self.fleet.children().len();
            command.extend([
                format!("--name={name}"),
                format!("--changed=http://{}/holding?path={path}&text={text}", self.simulated.address),
                format!("--holding={simulated}"),
            ]);
        }
        self.loader.run(&command).await
    }

    fn file(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.fleet.directory().join(format!("bench-fanout-{name}"));
        paths::write(&path, text)?;
        Ok(path)
    }

    /// Thousands of Subscriptions, and a hub that begins again with them.
    async fn many(&self) -> anyhow::Result<Vec<Figure>> {
        let (subscriptions, clusters) = (MANY.0 * self.clusters, MANY.1.min(self.clusters));
        let hub = self.fleet.process(install::HUB).context("the hub is not running")?;
        let step = self.fleet.progress().begin(format_args!("{subscriptions} templates"));
        let objects: Vec<Value> = (0..subscriptions).map(made::small).collect();
        let patience = Duration::from_secs(1_800);
        self.settle(&Work { patience, ..Work::of(made::templates(&objects)) }).await?;
        step.done();
        let step = self
            .fleet
            .progress()
            .begin(format_args!("{subscriptions} Subscriptions over {clusters} clusters"));
        let resident = hub.resident().context("its memory cannot be read")? as f64 / MEBIBYTE;
        hub.forget_peak()?;
        let lines = objects.iter().enumerate().map(|(at, object)| {
            let affinity = json!({ "bench.clusterway.io/number": (at % clusters).to_string() });
            Line::post(
                SUBSCRIPTIONS,
                made::subscription(&format!("many-{at:04}"), &affinity, std::slice::from_ref(object)),
            )
        });
        let work = Work { subscriptions, patience, ..Work::of(lines.collect()) };
        let found = self.settle(&work).await?;
        let peak = hub.peak().context("its memory cannot be read")? as f64 / MEBIBYTE;
        step.done();
        let seconds = number(&found, "seconds")?;
        let plain = |name: &str, unit, value| Figure::new("fanout", name, unit, value, None, Budget::None);
        let mut figures = vec![
            plain("many_written", "s", number(&found, "written_seconds")?),
            plain("many_ready", "s", seconds),
            plain("many_rate", "1/s", subscriptions as f64 / seconds),
            plain("many_hub_before", "MiB", resident),
            plain("many_hub_peak", "MiB", peak),
        ];
        figures.extend(self.restart().await?);
        Ok(figures)
    }

    /// Kills the hub and starts it: it looks at everything, and writes nothing.
    async fn restart(&self) -> anyhow::Result<Vec<Figure>> {
        let step = self.fleet.progress().begin("the hub begins again");
        let expected = restart::Expected::read(&self.parent).await?;
        restart::until_quiet(self.fleet, &restart::Expected::default()).await?;
        let before = (restart::parent_writes(&self.parent).await?, self.simulated_writes().await?);
        self.fleet.kill(install::HUB).await?;
        let began = std::time::Instant::now();
        let hub = self.fleet.restart(install::HUB)?;
        let quiet = restart::until_quiet(self.fleet, &expected).await?;
        let seconds = began.elapsed().as_secs_f64();
        let after = (restart::parent_writes(&self.parent).await?, self.simulated_writes().await?);
        let peak = hub.peak().context("its memory cannot be read")? as f64 / MEBIBYTE;
        step.done();
        ensure!(quiet.objects >= expected.objects, "the hub has not looked at all objects");
        let figure = |name: &str, unit, value, budget| Figure::new("fanout", name, unit, value, None, budget);
        Ok(vec![
            figure("restart_quiet", "s", seconds, Budget::None),
            figure("restart_objects", "", quiet.objects, Budget::None),
            figure("restart_peak", "MiB", peak, Budget::None),
            figure("restart_parent_writes", "", after.0 - before.0, Budget::AtMost(0.0)),
            figure("restart_child_writes", "", after.1 - before.1, Budget::AtMost(0.0)),
        ])
    }

    /// How often the simulated clusters were asked to write.
    async fn simulated_writes(&self) -> anyhow::Result<f64> {
        let url = format!("--url=http://{}/counts", self.simulated.address);
        let line = self.loader.run(&words("read", &[url])).await?;
        number(&line, "writes")
    }
}

/// The label of clusters that a Subscription to so many of them reaches.
fn reached(clusters: usize) -> String {
    format!("bench.clusterway.io/of-{clusters}")
}
