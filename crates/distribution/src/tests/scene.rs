//! A hub on a parent in memory, and what users, deployers and clusters do around it.

use std::{sync::Arc, time::Duration};

use api::{
    apps::{Base, Content, Description, Globalization, HelmChart, Localization, Manifest, Subscription},
    clusters::ManagedCluster,
};
use base64::Engine as _;
use serde_json::{Value, json};

use super::parent::FakeParent;
use crate::{
    Options,
    hub::Hub,
    queue::Queue,
    work::step,
    world::{Known, World},
};

const APPS: &str = "/apis/apps.clusternet.io/v1alpha1";
const CLUSTERS: &str = "/apis/clusters.clusternet.io/v1beta1";

/// The hub of the moment. It can be replaced by another, as after a crash.
pub(super) struct Scene {
    pub(super) parent: Arc<FakeParent>,
    pub(super) hub: Hub,
    /// Whether Descriptions are applied.
    pub(super) deploys: bool,
    pub(super) options: Options,
}

impl Scene {
    /// A hub, and clusters `n1/c1`, `n2/c2`, … with the label `env: t`.
    pub(super) fn new(clusters: usize) -> Self {
        let parent = Arc::new(FakeParent::default());
        let options = Options::default();
        let scene = Self { hub: hub(&parent, &options), parent, deploys: true, options };
        for number in 1..=clusters {
            scene.cluster(number, &json!({ "env": "t" }), &json!([]));
        }
        scene
    }

    /// A hub that has just started and lists what there is.
    pub(super) fn restart(&mut self) {
        self.hub = hub(&self.parent, &self.options);
        self.parent.die_at(None);
        self.parent.take_changes();
        for (path, object) in self.parent.all() {
            show(&self.hub.world, &path, object, false);
        }
    }

    pub(super) fn cluster(&self, number: usize, labels: &Value, taints: &Value) {
        let path = format!("{CLUSTERS}/namespaces/n{number}/managedclusters/c{number}");
        self.parent.put(
            &path,
            &json!({
                "apiVersion": "clusters.clusternet.io/v1beta1", "kind": "ManagedCluster",
                "metadata": { "namespace": format!("n{number}"), "name": format!("c{number}"), "labels": labels },
                "spec": { "clusterId": id(number), "syncMode": "Pull", "taints": taints },
                "status": { "conditions": [ready("True")] },
            }),
        );
    }

    /// Says what the agent of a cluster can do.
    pub(super) fn set_features(&self, number: usize, features: &Value) {
        let path = format!("{CLUSTERS}/namespaces/n{number}/managedclusters/c{number}");
        self.parent.change(&path, &json!({ "status": { "agentFeatures": features } }));
    }

    pub(super) fn set_ready(&self, number: usize, status: &str) {
        let path = format!("{CLUSTERS}/namespaces/n{number}/managedclusters/c{number}");
        self.parent.change(&path, &json!({ "status": { "conditions": [ready(status)] } }));
    }

    /// A Manifest around an object.
    pub(super) fn manifest(&self, object: &Value) {
        let path = manifest(object);
        let name = path.rsplit('/').next().unwrap();
        let mut manifest = self.parent.get(&path).unwrap_or_else(|| {
            json!({ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Manifest",
                    "metadata": { "namespace": "clusternet-reserved", "name": name } })
        });
        manifest["template"] = object.clone();
        self.parent.put(&path, &manifest);
    }

    /// A HelmChart `default/NAME`, as a user applies it.
    pub(super) fn chart(&self, name: &str, version: &str) {
        let mut chart = self.parent.get(&chart(name)).unwrap_or_else(|| {
            json!({ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart",
                    "metadata": { "namespace": "default", "name": name, "labels": { "tier": "front" } } })
        });
        chart["spec"] = json!({ "repo": "https://charts.example", "chart": name, "version": version,
                                "targetNamespace": "shop" });
        self.parent.put(&self::chart(name), &chart);
    }

    /// A Subscription `default/s` on clusters with `env: t`, with more in its spec.
    pub(super) fn subscribe(&self, feeds: &Value, more: Value) {
        self.subscribe_as("s", feeds, more);
    }

    pub(super) fn subscribe_as(&self, name: &str, feeds: &Value, more: Value) {
        let mut spec = json!({
            "subscribers": [{ "clusterAffinity": { "matchLabels": { "env": "t" } } }], "feeds": feeds,
        });
        let Value::Object(more) = more else { panic!("more fields of a spec") };
        spec.as_object_mut().unwrap().extend(more);
        self.parent.put(
            &subscription(name),
            &json!({ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Subscription",
                     "metadata": { "namespace": "default", "name": name }, "spec": spec }),
        );
    }

    /// A Localization in a namespace, or a Globalization.
    pub(super) fn rule(&self, namespace: Option<&str>, name: &str, spec: &Value) {
        let (path, kind) = match namespace {
            Some(namespace) => {
                (format!("{APPS}/namespaces/{namespace}/localizations/{name}"), "Localization")
            }
            None => (format!("{APPS}/globalizations/{name}"), "Globalization"),
        };
        let mut metadata = json!({ "name": name });
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        self.parent.put(
            &path,
            &json!({ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec }),
        );
    }

    /// Lets everybody work until nothing happens any more.
    pub(super) async fn settle(&self) {
        loop {
            let mut idle = true;
            for (path, object, gone) in self.parent.take_changes() {
                show(&self.hub.world, &path, object, gone);
                idle = false;
            }
            let queue = &self.hub.world.queue;
            while let Ok(key) = tokio::time::timeout(Duration::from_millis(1), queue.take()).await {
                step(&self.hub, &key).await;
                idle = false;
            }
            if self.deploys && self.deploy() {
                continue;
            }
            if idle {
                // Whoever waits for a while, but no failure that is tried again for ever.
                match tokio::time::timeout(Duration::from_secs(2), queue.take()).await {
                    Ok(key) => step(&self.hub, &key).await,
                    Err(_) => return,
                }
            }
        }
    }

    /// What a deployer does: applies and reports; lets go what is deleted, unless the cluster is lost. Whether there was
    /// anything to do.
    fn deploy(&self) -> bool {
        let mut changed = false;
        for path in self.parent.paths("descriptions") {
            let there = self.parent.get(&path).unwrap();
            let number = there["metadata"]["namespace"].as_str().unwrap().trim_start_matches('n').to_owned();
            let cluster = format!("{CLUSTERS}/namespaces/n{number}/managedclusters/c{number}");
            let reachable =
                self.parent.get(&cluster).is_some_and(|it| it["status"]["conditions"][0]["status"] == "True");
            if !reachable {
                continue;
            }
            if there["metadata"].get("deletionTimestamp").is_some() {
                self.parent.change(&path, &json!({ "metadata": { "finalizers": [] } }));
                changed = true;
                continue;
            }
            let of_charts = there["spec"]["deployer"] == "Helm";
            let applied = if of_charts { Vec::new() } else { self.objects(&there) };
            let statuses: Vec<Value> = applied.iter().map(status).collect();
            let generation = &there["metadata"]["generation"];
            let condition = |type_: &str| {
                json!({ "type": type_, "status": "True", "reason": "Fine", "message": "Fine.",
                        "observedGeneration": generation, "lastTransitionTime": "2026-11-21T00:00:00Z" })
            };
            let conditions = [condition("Applied"), condition("Ready")];
            let status =
                json!({ "phase": "Success", "manifestStatuses": statuses, "conditions": conditions });
            if there["status"] != status {
                self.parent.change(&path, &json!({ "status": status }));
                changed = true;
            }
        }
        changed
    }

    pub(super) fn status(&self) -> Value {
        self.parent.get(&subscription("s")).unwrap()["status"].clone()
    }

    /// `status reason: message` of a condition of the Subscription.
    pub(super) fn condition(&self, type_: &str) -> String {
        let status = self.status();
        let all = status["conditions"].as_array().unwrap();
        let one = all.iter().find(|condition| condition["type"] == type_).unwrap();
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    /// What the cluster of a namespace gets of the Subscription `s`.
    pub(super) fn gets(&self, namespace: &str) -> Vec<Value> {
        let inside = format!("/namespaces/{namespace}/");
        let paths = self.parent.paths("descriptions");
        let mut here = paths.iter().filter(|path| path.contains(&inside) && path.contains("/s-"));
        here.next().map(|path| self.objects(&self.parent.get(path).unwrap())).unwrap_or_default()
    }

    /// The objects of a Description, those in Contents too.
    pub(super) fn objects(&self, description: &Value) -> Vec<Value> {
        let mut whole = description.clone();
        for reference in description["spec"]["contents"].as_array().into_iter().flatten() {
            let text = |key: &str| reference[key].as_str().unwrap().to_owned();
            let content = self.parent.get(&content(&text("namespace"), &text("name"))).unwrap();
            let place = usize::try_from(reference["index"].as_u64().unwrap()).unwrap();
            assert_eq!(whole["spec"]["raw"][place], "IA==", "nothing stands in its place");
            whole["spec"]["raw"][place] = content["spec"]["raw"].clone();
        }
        objects(&whole)
    }

    /// The only path of a kind in a namespace.
    pub(super) fn only(&self, plural: &str, namespace: &str) -> String {
        let inside = format!("/namespaces/{namespace}/");
        let mut all = self.parent.paths(plural);
        all.retain(|path| path.contains(&inside));
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

fn hub(parent: &Arc<FakeParent>, options: &Options) -> Hub {
    let world = Arc::new(World::new(Arc::new(Queue::default())));
    Hub::new(world, parent.clone(), options.clone())
}

/// What a watch does with a change.
fn show(world: &World, path: &str, object: Value, gone: bool) {
    fn of<K: Known>(world: &World, object: Value, gone: bool) {
        let object: K = serde_json::from_value(object).unwrap();
        if gone { world.gone(&object) } else { world.observe(object) }
    }
    let show = match path.rsplit('/').nth(1).unwrap() {
        "subscriptions" => of::<Subscription>,
        "bases" => of::<Base>,
        "descriptions" => of::<Description>,
        "contents" => of::<Content>,
        "manifests" => of::<Manifest>,
        "helmcharts" => of::<HelmChart>,
        // They are read when they are wanted.
        "helmreleases" => return,
        "globalizations" => of::<Globalization>,
        "localizations" => of::<Localization>,
        "managedclusters" => of::<ManagedCluster>,
        other => panic!("nobody follows {other}"),
    };
    show(world, object, gone);
}

pub(super) fn subscription(name: &str) -> String {
    format!("{APPS}/namespaces/default/subscriptions/{name}")
}

/// The path of a HelmChart `default/NAME`.
pub(super) fn chart(name: &str) -> String {
    format!("{APPS}/namespaces/default/helmcharts/{name}")
}

fn content(namespace: &str, name: &str) -> String {
    format!("/apis/apps.clusterway.io/v1alpha1/namespaces/{namespace}/contents/{name}")
}

/// The path of the Manifest of an object.
pub(super) fn manifest(object: &Value) -> String {
    let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
    let name = object["metadata"]["name"].as_str().unwrap();
    let name = api::names::apps::manifest(&plural, object["metadata"]["namespace"].as_str(), name);
    format!("{APPS}/namespaces/clusternet-reserved/manifests/{name}")
}

pub(super) fn id(number: usize) -> String {
    format!("0fd3cbbb-8a0f-4a5b-9e1c-{number:012}")
}

fn ready(status: &str) -> Value {
    json!({ "type": "Ready", "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-11-21T00:00:00Z" })
}

/// The objects of a Description.
pub(super) fn objects(description: &Value) -> Vec<Value> {
    let raw = description["spec"]["raw"].as_array().cloned().unwrap_or_default();
    let decode =
        |text: &Value| base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    raw.iter().map(|text| serde_json::from_slice(&decode(text)).unwrap()).collect()
}

/// What a cluster reports of an object.
fn status(object: &Value) -> Value {
    let mut status = feed(object);
    if let Some(replicas) = object["spec"]["replicas"].as_i64() {
        status["observedStatus"] =
            json!({ "replicas": replicas, "readyReplicas": replicas, "observedGeneration": 1 });
    }
    status
}

/// An object as a feed.
pub(super) fn feed(object: &Value) -> Value {
    let mut feed = json!({ "apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"] });
    if let Some(namespace) = object["metadata"]["namespace"].as_str() {
        feed["namespace"] = json!(namespace);
    }
    feed
}

pub(super) fn web(replicas: i64) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "namespace": "qux", "name": "web" },
            "spec": { "replicas": replicas } })
}

pub(super) fn qux() -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "qux" } })
}

/// The feeds of the contract's checks.
pub(super) fn feeds() -> Value {
    json!([feed(&qux()), feed(&web(1))])
}
