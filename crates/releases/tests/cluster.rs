//! HelmReleases and HelmCharts on a real API server, which is parent and child at once, with the real executable.
//! `CLUSTERWAY_HELM_KUBECONFIG` is the kubeconfig of its administrator.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    apps::{
        ChartPhase, ChartPullSecret, ChartReference, Deployer, Description, DescriptionPhase,
        DescriptionSpec, HelmChart, HelmChartSpec, HelmOptions, HelmRelease, HelmReleaseSpec,
    },
    conditions,
    names::helm::{CREDENTIALS, conditions::READY, reasons},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use helm::{Helm, Limits};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Namespace, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use releases::{Access, Credentials, NoAccess, Way};
use serde_json::json;
use testkit::{
    admin::Admin,
    charts::{Charts, Options},
};
use tokio::sync::watch;

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}\"}\ndata: {a: \"{{ .Values.a }}\"}\n";
const PATIENCE: Duration = Duration::from_secs(150);

struct Child(helm::Cluster);

impl Access for Child {
    fn open(&self) -> BoxFuture<'_, Result<Way, NoAccess>> {
        std::future::ready(Ok(Way { cluster: self.0.clone(), door: None })).boxed()
    }
}

struct World {
    client: Client,
    namespace: String,
    target: String,
    charts: Charts,
    halt: watch::Sender<bool>,
    tasks: runtime::Tasks,
    start: Box<dyn Fn(&runtime::Tasks)>,
}

impl World {
    async fn new(name: &str, options: Options) -> Self {
        Self::with(name, options, true).await
    }

    /// `has_helm`: whether who applies HelmReleases was given an executable.
    async fn with(name: &str, options: Options, has_helm: bool) -> Self {
        let admin = Admin::from_env("CLUSTERWAY_HELM_KUBECONFIG").await.unwrap();
        let client = admin.client.clone();
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let apply = PatchParams::apply("test").force();
        for definition in api::crds::parent() {
            let name = definition.name_any();
            if name.starts_with("helm") || name.starts_with("descriptions") {
                definitions.patch(&name, &apply, &Patch::Apply(&definition)).await.unwrap();
            }
        }
        let namespace = format!("releases-{name}-{}", std::process::id());
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        namespaces
            .create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() })
            .await
            .unwrap();
        let releases: Api<HelmRelease> = Api::namespaced(client.clone(), &namespace);
        eventually("the kinds to be served", async || releases.list(&ListParams::default()).await.is_ok())
            .await;
        let charts = Charts::serve(options).await.unwrap();
        for version in ["1.0.0", "1.1.0"] {
            charts.add("map", version, &[("values.yaml", "a: one\n"), ("templates/map.yaml", MAP)]).unwrap();
        }
        let helm = Helm::open(&testkit::charts::helm().unwrap(), &std::env::temp_dir(), Limits::default())
            .await
            .unwrap();
        let cluster = helm::Cluster {
            server: admin.server,
            authority: admin.authority,
            server_name: None,
            token: admin.token.into(),
        };
        let access = Arc::new(Child(cluster));
        let (halt, halted) = watch::channel(false);
        let options = releases::Options {
            namespace: namespace.clone(),
            cluster: String::from("child1"),
            program: "clusternet-agent",
            parallelism: 2,
            credentials: Credentials::Copied,
        };
        let parent = client.clone();
        let start = Box::new(move |tasks: &runtime::Tasks| {
            let (parent, helm, access) = (parent.clone(), helm.clone(), access.clone());
            let follow = releases::follow(
                parent.clone(),
                has_helm.then(|| helm.clone()),
                access,
                halted.clone(),
                options.clone(),
            );
            tasks.spawn("releases", async move { follow.await.unwrap() });
            let hub = parent.clone();
            tasks.spawn("charts", async move { releases::verify(parent, helm, 2, "hub").await.unwrap() });
            tasks.spawn("hub", async move { releases::describe(hub, 2, "hub").await.unwrap() });
        });
        let tasks = runtime::Tasks::new();
        start(&tasks);
        let target = format!("{namespace}-target");
        Self { client, namespace, target, charts, halt, tasks, start }
    }

    fn options(&self, version: Option<&str>) -> HelmOptions {
        HelmOptions {
            repo: self.charts.url(),
            chart: String::from("map"),
            version: version.map(str::to_owned),
            target_namespace: self.target.clone(),
            timeout_seconds: Some(20),
            ..HelmOptions::default()
        }
    }

    fn releases(&self) -> Api<HelmRelease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn create(&self, options: HelmOptions, values: &str) {
        let spec = HelmReleaseSpec {
            options,
            release_name: Some(String::from("one")),
            // The API server takes no empty bytes; a blank stands for no values (contract 1.6).
            overrides: Some(ByteString(format!("{values} ").into_bytes())),
        };
        self.releases()
            .create(&PostParams::default(), &HelmRelease::new("base-helm-default-one", spec))
            .await
            .unwrap();
    }

    async fn change(&self, spec: serde_json::Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.releases().patch("base-helm-default-one", &PatchParams::default(), &patch).await.unwrap();
    }

    async fn get(&self) -> HelmRelease {
        self.releases().get("base-helm-default-one").await.unwrap()
    }

    /// Waits until Ready is so for the present generation, with this reason; returns the message.
    async fn until(&self, status: &str, reason: &str) -> String {
        let what = format!("Ready={status} {reason} in {}", self.namespace);
        let mut message = String::new();
        eventually(&what, async || {
            let release = self.get().await;
            let all = release.status.unwrap_or_default().conditions;
            let Some(ready) = conditions::find(&all, READY) else { return false };
            message = ready.message.clone();
            ready.status == status
                && ready.reason == reason
                && ready.observed_generation == release.metadata.generation
        })
        .await;
        message
    }

    async fn value(&self) -> Option<String> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.target);
        maps.get_opt("one").await.unwrap()?.data?.remove("a")
    }

    async fn revision(&self) -> Option<i32> {
        self.get().await.status.unwrap_or_default().version
    }

    async fn secret(&self, name: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<_, _> =
            data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let secret =
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data });
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        secrets.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&secret)).await.unwrap();
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn a_helm_release_is_installed_upgraded_left_alone_and_removed() {
    let world = World::new("life", Options::default()).await;
    world.create(world.options(Some("1.0.0")), "").await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!((world.value().await.as_deref(), world.revision().await), (Some("one"), Some(1)));
    assert_eq!(world.get().await.status.unwrap().phase.as_deref(), Some("deployed"));

    world.change(json!({ "version": "1.1.0", "overrides": "eyJhIjoidHdvIn0=" })).await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!((world.value().await.as_deref(), world.revision().await), (Some("two"), Some(2)));

    // Something that makes no difference, and a new start: no new revision, and no word to the parent the second time.
    world.change(json!({ "timeoutSeconds": 21 })).await;
    world.until("True", reasons::DEPLOYED).await;
    let before = world.get().await.resource_version();
    world.tasks.cancel();
    let tasks = runtime::Tasks::new();
    (world.start)(&tasks);
    world.change(json!({ "timeoutSeconds": 22 })).await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(world.revision().await, Some(2));
    assert_ne!(world.get().await.resource_version(), before);

    // Another place: the old one is left.
    world.change(json!({ "releaseName": "other" })).await;
    world.until("True", reasons::DEPLOYED).await;
    eventually("the old release to go", async || world.value().await.is_none()).await;
    world.change(json!({ "releaseName": "one" })).await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(world.value().await.as_deref(), Some("two"));

    world.releases().delete("base-helm-default-one", &DeleteParams::default()).await.unwrap();
    eventually("the HelmRelease to go", async || {
        world.releases().get_opt("base-helm-default-one").await.unwrap().is_none()
    })
    .await;
    assert_eq!(world.value().await, None);
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn without_a_version_the_newest_is_installed_once_and_stays() {
    let world = World::new("newest", Options::default()).await;
    world.create(world.options(None), "{}").await;
    assert!(world.until("True", reasons::DEPLOYED).await.contains("1.1.0"));
    let asked = world.charts.asked().len();
    world.tasks.cancel();
    let tasks = runtime::Tasks::new();
    (world.start)(&tasks);
    world.change(json!({ "timeoutSeconds": 21 })).await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(world.revision().await, Some(1));
    assert!(world.charts.asked().len() > asked);
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn a_chart_that_appears_later_is_found_by_the_release_and_by_the_helm_chart() {
    let world = World::new("later", Options::default()).await;
    let charts: Api<HelmChart> = Api::namespaced(world.client.clone(), &world.namespace);
    let chart = HelmChart::new("map", HelmChartSpec { options: world.options(Some("2.0.0")) });
    charts.create(&PostParams::default(), &chart).await.unwrap();
    world.create(world.options(Some("2.0.0")), "").await;
    let message = world.until("False", reasons::NO_SUCH_CHART).await;
    assert!(message.contains("map") && message.contains("2.0.0"), "{message}");
    assert_eq!(world.get().await.status.unwrap().phase.as_deref(), Some("failed"));
    let phase = async || charts.get("map").await.unwrap().status.unwrap_or_default().phase;
    eventually("NotFound", async || phase().await == Some(ChartPhase::NotFound)).await;
    assert!(charts.get("map").await.unwrap().status.unwrap().reason.unwrap().contains("2.0.0"));

    world.charts.add("map", "2.0.0", &[("values.yaml", "a: three\n"), ("templates/map.yaml", MAP)]).unwrap();
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(world.value().await.as_deref(), Some("three"));
    eventually("Found", async || phase().await == Some(ChartPhase::Found)).await;
    assert_eq!(charts.get("map").await.unwrap().status.unwrap().reason, None);
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn a_chart_that_fails_is_told_and_a_good_version_follows() {
    let world = World::new("fails", Options::default()).await;
    world.charts.add("map", "3.0.0", &[("templates/a.yaml", "{{ fail \"not today\" }}")]).unwrap();
    let mut options = world.options(Some("3.0.0"));
    options.atomic = Some(true);
    world.create(options, "{\"password\":\"planted-value\"}").await;
    let message = world.until("False", reasons::UNUSABLE).await;
    assert!(message.contains("not today") && !message.contains("planted-value"), "{message}");
    world.change(json!({ "version": "1.0.0" })).await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(world.value().await.as_deref(), Some("one"));
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn what_was_killed_is_taken_up_again_and_a_frozen_cluster_is_left_alone() {
    let world = World::new("killed", Options::default()).await;
    world.halt.send_replace(true);
    world.create(world.options(Some("1.0.0")), "").await;
    world.until("False", reasons::HALTED).await;
    assert_eq!(world.value().await, None);
    let hook = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: never, annotations: {helm.sh/hook: pre-install}}\nspec: {template: \
                {spec: {restartPolicy: Never, nodeSelector: {no: such}, containers: [{name: a, image: a}]}}}\n";
    world.charts.add("map", "4.0.0", &[("templates/job.yaml", hook), ("templates/map.yaml", MAP)]).unwrap();
    world.change(json!({ "version": "4.0.0", "timeoutSeconds": 5 })).await;
    world.halt.send_replace(false);
    world.until("Unknown", reasons::PROGRESSING).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.target);
    eventually("the release to be pending", async || {
        let pending = secrets.list(&ListParams::default().labels("owner=helm,status=pending-install")).await;
        !pending.unwrap().items.is_empty()
    })
    .await;
    // As a kill would: in the middle of the installation.
    world.tasks.cancel();
    world.change(json!({ "disableHooks": true })).await;
    let tasks = runtime::Tasks::new();
    (world.start)(&tasks);
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(world.get().await.status.unwrap().phase.as_deref(), Some("deployed"));
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn credentials_come_from_the_one_secret_and_are_shown_nowhere() {
    let credentials = Some((String::from("user"), String::from("planted-password")));
    let world = World::new("private", Options { credentials, tls: true }).await;
    let authority = world.charts.authority().unwrap().to_owned();
    let mut options = world.options(Some("1.0.0"));
    options.chart_pull_secret = Some(ChartPullSecret { name: Some(String::from("pull")), namespace: None });
    let charts: Api<HelmChart> = Api::namespaced(world.client.clone(), &world.namespace);
    let chart = HelmChart::new("map", HelmChartSpec { options: options.clone() });
    charts.create(&PostParams::default(), &chart).await.unwrap();
    world.create(options, "").await;
    world.until("False", reasons::CREDENTIALS_MISSING).await;

    let entry =
        |password: &str| json!({ "username": "user", "password": password, "ca.crt": authority }).to_string();
    world.secret(CREDENTIALS, &[("base-helm-default-one", &entry("planted-other"))]).await;
    let message = world.until("False", reasons::CREDENTIALS_REFUSED).await;
    assert!(!message.contains("planted"), "{message}");
    world.secret(CREDENTIALS, &[("base-helm-default-one", &entry("planted-password"))]).await;
    world
        .secret("pull", &[("username", "user"), ("password", "planted-password"), ("ca.crt", &authority)])
        .await;
    world.until("True", reasons::DEPLOYED).await;
    eventually("Found", async || {
        charts.get("map").await.unwrap().status.unwrap_or_default().phase == Some(ChartPhase::Found)
    })
    .await;
    let shown = format!("{:?} {:?}", world.get().await, charts.get("map").await.unwrap());
    assert!(!shown.contains("planted"), "{shown}");
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn a_description_of_charts_becomes_releases_with_their_credentials_and_goes_after_them() {
    let credentials = Some((String::from("user"), String::from("planted-password")));
    let world = World::new("described", Options { credentials, tls: false }).await;
    let mut options = world.options(Some("1.0.0"));
    options.chart_pull_secret = Some(ChartPullSecret { name: Some(String::from("pull")), namespace: None });
    let charts: Api<HelmChart> = Api::namespaced(world.client.clone(), &world.namespace);
    let chart = HelmChart::new("one", HelmChartSpec { options: options.clone() });
    charts.create(&PostParams::default(), &chart).await.unwrap();
    world.secret("pull", &[("username", "user"), ("password", "planted-password")]).await;
    let spec = |chart: &HelmChart, values: &str| DescriptionSpec {
        deployer: Deployer::Helm,
        charts: vec![ChartReference { namespace: world.namespace.clone(), name: String::from("one") }],
        raw: vec![ByteString(values.as_bytes().to_vec())],
        contents: vec![],
        chart_raw: vec![ByteString(serde_json::to_vec(chart).unwrap())],
    };
    let descriptions: Api<Description> = Api::namespaced(world.client.clone(), &world.namespace);
    let mut description = Description::new("base-helm", spec(&chart, " "));
    description.finalizers_mut().push(api::names::apps::finalizers::APPS.to_owned());
    descriptions.create(&PostParams::default(), &description).await.unwrap();
    let succeeded = async |value: &str| {
        let status = descriptions.get("base-helm").await.unwrap().status.unwrap_or_default();
        status.phase == Some(DescriptionPhase::Success) && world.value().await.as_deref() == Some(value)
    };
    eventually("the chart to be deployed", async || succeeded("one").await).await;
    let name = format!("base-helm-{}-one", world.namespace);
    assert_eq!(world.releases().get(&name).await.unwrap().status.unwrap().phase.as_deref(), Some("deployed"));

    let patch = Patch::Merge(json!({ "spec": spec(&chart, r#"{"a":"two"}"#) }));
    descriptions.patch("base-helm", &PatchParams::default(), &patch).await.unwrap();
    eventually("the values to be there", async || succeeded("two").await).await;

    // An override that leads elsewhere does not get the credentials.
    let mut elsewhere = chart.clone();
    elsewhere.spec.options.repo = String::from("http://127.0.0.1:9");
    let patch = Patch::Merge(json!({ "spec": spec(&elsewhere, r#"{"a":"three"}"#) }));
    descriptions.patch("base-helm", &PatchParams::default(), &patch).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    eventually("the credentials to be taken away", async || {
        secrets.get(CREDENTIALS).await.unwrap().data.unwrap_or_default().is_empty()
    })
    .await;

    descriptions.delete("base-helm", &DeleteParams::default()).await.unwrap();
    eventually("the Description to go", async || descriptions.get_opt("base-helm").await.unwrap().is_none())
        .await;
    assert!(world.releases().get_opt(&name).await.unwrap().is_none());
    assert_eq!(world.value().await, None);
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn what_changes_while_a_release_is_being_upgraded_is_not_lost() {
    let world = World::new("meanwhile", Options::default()).await;
    world.create(world.options(Some("1.0.0")), "").await;
    world.until("True", reasons::DEPLOYED).await;
    for _ in 0..2 {
        for version in ["1.1.0", "1.0.0", "1.1.0", "1.0.0"] {
            world.change(json!({ "version": version })).await;
        }
        let message = world.until("True", reasons::DEPLOYED).await;
        assert!(message.contains("1.0.0"), "{message}");
        world.change(json!({ "version": "1.1.0" })).await;
        // The next change comes as soon as the cluster is told of this one.
        world.until("Unknown", reasons::PROGRESSING).await;
        world.change(json!({ "version": "1.0.0", "overrides": "eyJhIjoidHdvIn0=" })).await;
        let message = world.until("True", reasons::DEPLOYED).await;
        assert!(message.contains("1.0.0"), "{message}");
        assert_eq!(world.value().await.as_deref(), Some("two"));
        world.change(json!({ "overrides": "IA==" })).await;
        world.until("True", reasons::DEPLOYED).await;
        assert_eq!(world.value().await.as_deref(), Some("one"));
    }
}

/// A definition with a short name.
fn widgets(group: &str, short: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\nspec:\n  group: \
         {group}\n  scope: Namespaced\n  names: {{plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: \
         [{short}]}}\n  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}]\n"
    )
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn the_definitions_of_a_chart_are_brought_up_to_date_where_that_is_asked_for() {
    let world = World::new("crds", Options::default()).await;
    let group = format!("crds-{}.example.com", std::process::id());
    for (version, short) in [("5.0.0", "wa"), ("5.1.0", "wb"), ("5.2.0", "wc")] {
        let crds = widgets(&group, short);
        let files =
            [("crds/widgets.yaml", crds.as_str()), ("templates/map.yaml", MAP), ("values.yaml", "a: one\n")];
        world.charts.add("map", version, &files).unwrap();
    }
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let name = format!("widgets.{group}");
    let short = async || {
        let definition = definitions.get(&name).await.unwrap();
        definition.spec.names.short_names.unwrap_or_default().remove(0)
    };
    world.create(world.options(Some("5.0.0")), "").await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(short().await, "wa");
    world.change(json!({ "version": "5.1.0" })).await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(short().await, "wa", "Helm itself leaves what is there alone");
    world.change(json!({ "version": "5.2.0", "replaceCRDs": true })).await;
    world.until("True", reasons::DEPLOYED).await;
    assert_eq!(short().await, "wc");
    definitions.delete(&name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn who_has_no_helm_executable_says_so_and_keeps_nothing_from_going() {
    let world = World::with("without", Options::default(), false).await;
    world.create(world.options(Some("1.0.0")), "").await;
    let message = world.until("False", reasons::NO_HELM).await;
    assert!(message.contains("clusternet-agent") && message.contains("--helm FILE"), "{message}");
    let all = world.releases();
    let finalizer = json!({ "metadata": { "finalizers": [api::names::apps::finalizers::APPS] } });
    all.patch("base-helm-default-one", &PatchParams::default(), &Patch::Merge(finalizer)).await.unwrap();
    all.delete("base-helm-default-one", &DeleteParams::default()).await.unwrap();
    eventually("the HelmRelease to go", async || {
        all.get_opt("base-helm-default-one").await.unwrap().is_none()
    })
    .await;
}
