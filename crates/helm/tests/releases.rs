//! Releases in a real cluster, by the real executable. `CLUSTERWAY_HELM_KUBECONFIG` is the kubeconfig of its administrator.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::time::Duration;

use helm::{
    Chart, Cluster, Error, Helm, InstallOptions, Limits, Phase, Release, Repository, Target,
    UninstallOptions, UpgradeOptions,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, api::ListParams};
use serde_json::{Map, Value, json};
use testkit::{
    admin::Admin,
    charts::{Charts, Options},
};

/// One cluster, one repository, one namespace for each test.
struct World {
    helm: Helm,
    charts: Charts,
    client: Client,
    target: Target,
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}\"}\ndata: {a: \"{{ .Values.a }}\"}\n";

impl World {
    async fn new(name: &str) -> Self {
        let Admin { client, server, authority, token } =
            Admin::from_env("CLUSTERWAY_HELM_KUBECONFIG").await.unwrap();
        let cluster = Cluster { server, authority, server_name: None, token: token.into() };
        let helm = Helm::open(&testkit::charts::helm().unwrap(), &std::env::temp_dir(), Limits::default())
            .await
            .unwrap();
        let charts = Charts::serve(Options::default()).await.unwrap();
        for version in ["1.0.0", "1.1.0"] {
            charts.add("map", version, &[("values.yaml", "a: one\n"), ("templates/map.yaml", MAP)]).unwrap();
        }
        let namespace = format!("helm-{name}-{}", std::process::id());
        let target = Target { cluster, namespace, name: String::from("one") };
        Self { helm, charts, client, target }
    }

    async fn chart(&self, name: &str, version: Option<&str>) -> Chart {
        self.helm.fetch(&Repository::new(&self.charts.url()).unwrap(), name, version).await.unwrap()
    }

    async fn install(&self, values: &Map<String, Value>) {
        let chart = self.chart("map", Some("1.0.0")).await;
        self.helm.install(&self.target, &chart, values, &InstallOptions::default()).await.unwrap();
    }

    async fn release(&self) -> Release {
        self.helm.release(&self.target).await.unwrap().unwrap()
    }

    async fn value(&self) -> Option<String> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.target.namespace);
        let map = maps.get_opt(&self.target.name).await.unwrap()?;
        map.data.unwrap_or_default().remove("a")
    }

    /// The Secrets in which Helm keeps the history.
    async fn records(&self) -> Vec<Secret> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.target.namespace);
        secrets.list(&ListParams::default().labels("owner=helm")).await.unwrap().items
    }
}

fn values(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn a_chart_is_installed_upgraded_rolled_back_and_removed() {
    let world = World::new("life").await;
    assert_eq!(world.helm.release(&world.target).await, Ok(None));
    world.install(&Map::new()).await;
    let release = world.release().await;
    assert_eq!(
        (release.revision, release.phase, &*release.chart, &*release.version),
        (1, Phase::Deployed, "map", "1.0.0")
    );
    assert_eq!(world.value().await.as_deref(), Some("one"));

    let chart = world.chart("map", None).await;
    let two = values(&json!({ "a": "two" }));
    world.helm.upgrade(&world.target, &chart, &two, &UpgradeOptions::default()).await.unwrap();
    let release = world.release().await;
    assert_eq!((release.revision, &*release.version, &release.values), (2, "1.1.0", &two));
    assert!(release.first_deployed < release.last_deployed);
    assert_eq!(world.value().await.as_deref(), Some("two"));
    assert!(world.helm.manifest(&world.target).await.unwrap().contains("a: \"two\""));

    world.helm.rollback(&world.target, 1, &UpgradeOptions::default()).await.unwrap();
    assert_eq!(world.value().await.as_deref(), Some("one"));
    let history = world.helm.history(&world.target).await.unwrap();
    assert_eq!(history.iter().map(|one| one.revision).collect::<Vec<_>>(), [1, 2, 3]);

    world.helm.uninstall(&world.target, &UninstallOptions::default()).await.unwrap();
    assert_eq!(world.value().await, None);
    assert_eq!(world.helm.release(&world.target).await, Ok(None));
    // Once more is fine.
    world.helm.uninstall(&world.target, &UninstallOptions::default()).await.unwrap();
    let upgrade = world.helm.upgrade(&world.target, &chart, &two, &UpgradeOptions::default()).await;
    assert_eq!(upgrade, Err(Error::NoRelease));
    assert_eq!(world.helm.history(&world.target).await, Ok(Vec::new()));
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn no_more_than_five_revisions_are_kept() {
    let world = World::new("history").await;
    world.install(&Map::new()).await;
    let chart = world.chart("map", None).await;
    for count in 0..7 {
        let values = values(&json!({ "a": count.to_string() }));
        world.helm.upgrade(&world.target, &chart, &values, &UpgradeOptions::default()).await.unwrap();
    }
    assert_eq!(world.release().await.revision, 8);
    assert_eq!(world.records().await.len(), 5);
    world.helm.uninstall(&world.target, &UninstallOptions::default()).await.unwrap();
    assert_eq!(world.records().await.len(), 0);
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn what_fails_with_atomic_is_taken_back() {
    let world = World::new("atomic").await;
    // Nobody ever completes this Job: there is no such image, and no node to run it on.
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: never}\nspec: {template: {spec: {restartPolicy: Never, \
               nodeSelector: {no: such}, containers: [{name: a, image: a}]}}}\n";
    let hook = job
        .replace("{name: never}", "{name: never, annotations: {helm.sh/hook: \"pre-install,pre-upgrade\"}}");
    world
        .charts
        .add("stuck", "1.0.0", &[("templates/map.yaml", MAP), ("templates/job.yaml", &hook)])
        .unwrap();
    let stuck = world.chart("stuck", None).await;
    let options =
        InstallOptions { timeout: Duration::from_secs(2), atomic: true, ..InstallOptions::default() };
    let error = world.helm.install(&world.target, &stuck, &Map::new(), &options).await.unwrap_err();
    assert!(matches!(error, Error::Failed(_)), "{error:?}");
    assert_eq!(world.helm.release(&world.target).await, Ok(None));

    world.install(&Map::new()).await;
    let options =
        UpgradeOptions { timeout: Duration::from_secs(2), atomic: true, ..UpgradeOptions::default() };
    let error =
        world.helm.upgrade(&world.target, &stuck, &values(&json!({ "a": "x" })), &options).await.unwrap_err();
    assert!(matches!(error, Error::Failed(_)), "{error:?}");
    let release = world.release().await;
    assert_eq!((release.phase, &*release.chart), (Phase::Deployed, "map"));
    assert_eq!(world.value().await.as_deref(), Some("one"));

    let options = UpgradeOptions { atomic: false, ..options };
    world.helm.upgrade(&world.target, &stuck, &Map::new(), &options).await.unwrap_err();
    assert_eq!(world.release().await.phase, Phase::Failed);
    let options = UpgradeOptions { disable_hooks: true, ..options };
    world.helm.upgrade(&world.target, &stuck, &Map::new(), &options).await.unwrap();
    assert_eq!(world.release().await.phase, Phase::Deployed);
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn an_operation_that_was_killed_leaves_its_release_pending_and_the_next_is_told_so() {
    let world = World::new("killed").await;
    let hook = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: never, annotations: {helm.sh/hook: pre-install}}\nspec: {template: \
                {spec: {restartPolicy: Never, nodeSelector: {no: such}, containers: [{name: a, image: a}]}}}\n";
    world.charts.add("stuck", "1.0.0", &[("templates/job.yaml", hook)]).unwrap();
    let stuck = world.chart("stuck", None).await;
    let (options, none) = (InstallOptions::default(), Map::new());
    {
        let mut install = Box::pin(world.helm.install(&world.target, &stuck, &none, &options));
        let pending = async {
            loop {
                if world
                    .helm
                    .release(&world.target)
                    .await
                    .unwrap()
                    .is_some_and(|release| release.phase.is_pending())
                {
                    break;
                }
            }
        };
        tokio::select! {
            ended = &mut install => panic!("{ended:?}"),
            ready = tokio::time::timeout(Duration::from_secs(60), pending) => ready.unwrap(),
        }
    }
    assert_eq!(world.release().await.phase, Phase::PendingInstall);
    let upgrade = world.helm.upgrade(&world.target, &stuck, &none, &UpgradeOptions::default()).await;
    assert_eq!(upgrade, Err(Error::InProgress));
    world.helm.uninstall(&world.target, &UninstallOptions::default()).await.unwrap();
    world.install(&none).await;
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn what_explodes_what_is_refused_and_what_repeats_a_password_is_told_without_it() {
    let world = World::new("hostile").await;
    let install = async |name: &str, template: &str, given: &Value| {
        world.charts.add(name, "1.0.0", &[("templates/a.yaml", template)]).unwrap();
        let chart = world.chart(name, None).await;
        let values = values(given);
        world.helm.install(&world.target, &chart, &values, &InstallOptions::default()).await.unwrap_err()
    };
    let explode = "{{- $a := \"0123456789\" }}{{- range until 40 }}{{- $a = printf \"%s%s\" $a $a }}{{- end }}a: {{ $a }}\n";
    let error = install("exploding", explode, &json!({})).await;
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    let password = json!({ "db": { "password": "hunter2" } });
    let error = install("failing", "{{ fail (printf \"no %s\" .Values.db.password) }}", &password).await;
    assert!(
        matches!(&error, Error::Unusable(said) if said.contains("no [hidden]") && !said.contains("hunter2")),
        "{error:?}"
    );
    let error = install("odd", "kind: Unheard\napiVersion: of/v1\nmetadata: {name: a}\n", &json!({})).await;
    assert!(matches!(error, Error::Unusable(_)), "{error:?}");

    let mut target = world.target.clone();
    target.cluster.token = String::from("nobody's").into();
    let error = world.helm.release(&target).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_) | Error::ClusterUnreachable(_)), "{error:?}");
    target.cluster.server = String::from("https://127.0.0.1:1");
    assert!(matches!(world.helm.release(&target).await, Err(Error::ClusterUnreachable(_))));
    target.cluster = world.target.cluster.clone();
    target.cluster.authority = world.charts.authority().map_or_else(other_authority, str::to_owned);
    assert!(matches!(world.helm.release(&target).await, Err(Error::ClusterUnreachable(_))));
}

fn other_authority() -> String {
    rcgen::generate_simple_self_signed([String::from("other")]).unwrap().cert.pem()
}
