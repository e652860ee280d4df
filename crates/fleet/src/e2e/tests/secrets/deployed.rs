//! Secrets that are deployed: their values are in templates, overrides and Descriptions, and nowhere else.

use std::time::Duration;

use ::http::Request;
use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::in_no_log;
use crate::{
    cluster::Cluster,
    e2e::runner::hub_client,
    fleet::Fleet,
    install::{HUB, Registered},
    wait,
};

const SECRETS: &str = "/apis/shadow/v1alpha1/namespaces/planted/secrets";
const PATIENCE: Duration = Duration::from_secs(60);
/// What every planted value begins with.
const PLANTED: &str = "pl4nted-value-";
const ROLE: &str = "clusterway-deploy-secrets";
/// Kinds of the parent, and where in them a planted value belongs.
const KINDS: [(&str, &[&str]); 13] = [
    ("manifests", &["template"]),
    ("descriptions", &["spec", "raw"]),
    ("globalizations", &["spec", "overrides"]),
    ("localizations", &["spec", "overrides"]),
    ("subscriptions", &[]),
    ("bases", &[]),
    ("managedclusters", &[]),
    ("clusterregistrationrequests", &[]),
    ("events", &[]),
    ("secrets", &[]),
    ("configmaps", &[]),
    ("leases", &[]),
    ("namespaces", &[]),
];

/// Deploys Secrets, overrides them, rightly and wrongly, has them refused in every way there is, and changes one in the
/// cluster. Then looks for the values everywhere.
pub(in crate::e2e::tests) async fn no_value_of_a_deployed_secret_is_told_anywhere(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let granted = fleet.cluster("child1")?;
    let at = fleet.registered(&granted).await?.context("it is not registered")?;
    let refusing = fleet.registered(&fleet.cluster("child2")?).await?.context("it is not registered")?;
    let planting = Planting { fleet, parent: fleet.parent()?, granted, at, refusing };
    let result = Box::pin(planting.run()).await;
    result.and(planting.clean_up().await.context("cleaning up"))
}

struct Planting<'f> {
    fleet: &'f Fleet,
    parent: Cluster,
    /// Where the deployer has a right to Secrets, and where that is in the parent.
    granted: Cluster,
    at: Registered,
    /// Where it has none.
    refusing: Registered,
}

impl Planting<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        self.grant().await?;
        self.keep("POST", "", &secret("app", &json!({ "data": { "password": encoded("template") } })))
            .await?;
        let sealed = json!({ "immutable": true, "data": { "password": encoded("sealed") } });
        self.keep("POST", "", &secret("sealed", &sealed)).await?;
        self.change(
            "right",
            "MergePatch",
            &json!({ "stringData": { "more": planted("override") } }).to_string(),
            false,
        )
        .await?;
        self.parent.apply_on_the_server(&subscription().to_string()).await?;
        self.until_in_the_cluster("{.data.more}", &encoded("override")).await?;

        // Where the deployer has no right.
        self.until_applied_says(&self.refusing, "kubectl create clusterrole").await?;
        // What overrides can be wrong with.
        let test = json!([{ "op": "test", "path": "/data/password", "value": planted("test") }]).to_string();
        let missing =
            json!([{ "op": "replace", "path": "/data/none", "value": planted("missing") }]).to_string();
        let operation = json!([{ "op": planted("operation"), "path": "/data/a" }]).to_string();
        for (what, type_, value, template) in [
            ("a test that fails", "JSONPatch", test, false),
            ("a path that is missing", "JSONPatch", missing, false),
            ("an operation that is none", "JSONPatch", operation, false),
            ("no YAML", "MergePatch", format!("data: [{}", planted("yaml")), false),
            ("a template that fails", "MergePatch", format!("{{{{ fail \"{}\" }}}}", planted("fail")), true),
            ("a template that is none", "MergePatch", format!("{{{{ {} }}}}", planted("syntax")), true),
        ] {
            self.change("wrong", type_, &value, template).await?;
            self.until_overridden("False").await.with_context(|| what.to_owned())?;
            self.parent.kubectl_ok(&["delete", "loc", "wrong", "-n", &self.at.namespace]).await?;
            self.until_overridden("True").await.with_context(|| what.to_owned())?;
        }
        // What the cluster refuses; to some of it an API server has no better answer than 500.
        for value in [
            json!({ "data": { "password": format!("{} is not base64", planted("plain")) } }),
            json!({ "metadata": { "labels": { "a": format!("{}!", planted("label")) } } }),
            json!({ "type": "kubernetes.io/tls", "data": { "tls.crt": encoded("certificate") } }),
        ] {
            self.change("refused", "MergePatch", &value.to_string(), false).await?;
            self.until_applied_says(&self.at, "Secret planted/app: ")
                .await
                .with_context(|| value["data"].to_string())?;
            self.parent.kubectl_ok(&["delete", "loc", "refused", "-n", &self.at.namespace]).await?;
            self.until_applied_says(&self.at, "as they are to be").await?;
        }
        let other = json!({ "data": { "password": encoded("unsealed") } });
        self.keep("PATCH", "/sealed", &other).await?;
        self.until_applied_says(&self.at, "sealed").await?;
        // What somebody in the cluster changes.
        let drift = json!({ "data": { "password": encoded("drift") } }).to_string();
        self.granted
            .kubectl_ok(&["patch", "secret", "app", "-n", "planted", "--type=merge", "-p", &drift])
            .await?;
        self.until_in_the_cluster("{.data.password}", &encoded("template")).await?;
        wait::until_true("an Event that names the field", PATIENCE, || async {
            let told = ["get", "events", "-n", &self.at.namespace, "-o", "jsonpath={.items[*].message}"];
            Ok(self
                .parent
                .kubectl_ok(&told)
                .await?
                .contains("Secret planted/app had been changed: /data/password"))
        })
        .await?;
        self.look_everywhere().await
    }

    async fn look_everywhere(&self) -> anyhow::Result<()> {
        let forms = forms();
        for (kind, belongs) in KINDS {
            without(&self.parent, kind, belongs, &forms).await?;
        }
        for child in self.fleet.children() {
            without(&child, "events", &[], &forms).await?;
            without(&child, "configmaps", &[], &forms).await?;
        }
        // Not in what kubectl would write there, either.
        without(&self.granted, "secrets", &["data"], &forms).await?;
        for (program, metrics) in self.metrics().await? {
            ensure!(metrics.contains("# TYPE"), "{program} has no metrics: {metrics}");
            let found = forms.iter().find(|(_, form)| metrics.contains(form));
            ensure!(found.is_none(), "the metrics of {program} hold a planted value");
        }
        in_no_log(self.fleet, &forms)
    }

    /// The metrics of each program.
    async fn metrics(&self) -> anyhow::Result<Vec<(String, String)>> {
        let token = self.parent.token_of("planted", "reader").await?;
        let request = Request::get("/metrics").header("authorization", format!("Bearer {token}"));
        let answer = hub_client(self.fleet).await?.whole(request.body(Full::<Bytes>::default())?).await?;
        let mut all = vec![(HUB.to_owned(), String::from_utf8_lossy(answer.body()).into_owned())];
        for child in self.fleet.children() {
            let name = Fleet::agent_name(&child);
            let agent = self.fleet.process(&name).context("there is no agent")?;
            let address = agent.spec.args.iter().find_map(|flag| flag.strip_prefix("--health-address="));
            let address = address.context("the agent has no address")?;
            let mut stream = tokio::net::TcpStream::connect(address).await?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n").await?;
            let mut metrics = String::new();
            stream.read_to_string(&mut metrics).await?;
            all.push((name, metrics));
        }
        Ok(all)
    }

    /// Gives the deployer of one cluster its right, and somebody a right to read metrics.
    async fn grant(&self) -> anyhow::Result<()> {
        let verbs = "--verb=get,list,watch,create,patch,delete";
        self.granted.kubectl_ok(&["create", "clusterrole", ROLE, verbs, "--resource=secrets"]).await?;
        let label = "apps.clusterway.io/aggregate-to-deployer=true";
        self.granted.kubectl_ok(&["label", "clusterrole", ROLE, label]).await?;
        let reader = json!({ "apiVersion": "v1", "kind": "List", "items": [
            { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "planted" } },
            { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "reader", "namespace": "planted" } },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": { "name": "planted-reader" },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "clusterway:metrics" },
                "subjects": [{ "kind": "ServiceAccount", "name": "reader", "namespace": "planted" }],
            },
        ] });
        self.parent.apply(&reader.to_string()).await
    }

    /// Sends a template to the shadow API.
    async fn keep(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<()> {
        let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(format!("{SECRETS}{path}"));
        let request = request.header("content-type", media).body(Full::new(Bytes::from(body.to_string())))?;
        let client = self.parent.http_as("fleet-administrator", &["system:masters"])?;
        let answer = client.whole(request).await?;
        let code = answer.status().as_u16();
        ensure!([200, 201, 409].contains(&code), "{method} {path} was answered with {code}");
        Ok(())
    }

    /// A Localization of the Secret in the cluster that takes it.
    async fn change(&self, name: &str, type_: &str, value: &str, template: bool) -> anyhow::Result<()> {
        let localization = json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Localization",
            "metadata": { "name": name, "namespace": self.at.namespace },
            "spec": {
                "overridePolicy": "ApplyNow", "feed": feed("app"),
                "overrides": [{ "name": name, "type": type_, "value": value, "template": template }],
            },
        });
        self.parent.apply_on_the_server(&localization.to_string()).await
    }

    async fn until_overridden(&self, status: &str) -> anyhow::Result<()> {
        let path = "jsonpath={.status.conditions[?(@.type==\"OverridesApplied\")].status}";
        wait::until_true("the condition OverridesApplied", PATIENCE, || async {
            Ok(self.parent.kubectl_ok(&["get", "sub", "planted", "-n", "default", "-o", path]).await?
                == status)
        })
        .await
    }

    /// Waits until the deployer says this.
    async fn until_applied_says(&self, at: &Registered, words: &str) -> anyhow::Result<()> {
        let path = "jsonpath={.items[*].status.conditions[?(@.type==\"Applied\")].message}";
        let selector = "apps.clusternet.io/subs.name=planted";
        wait::until_true(format_args!("the condition Applied to say {words:?}"), PATIENCE, || async {
            let args = ["get", "descriptions", "-n", &at.namespace, "-l", selector, "-o", path];
            let said = self.parent.kubectl_ok(&args).await?;
            ensure!(said.contains(words), "it says {said}");
            Ok(true)
        })
        .await
    }

    async fn until_in_the_cluster(&self, path: &str, value: &str) -> anyhow::Result<()> {
        wait::until_true("the Secret to be as it is to be", PATIENCE, || async {
            let path = format!("jsonpath={path}");
            Ok(self.granted.kubectl_ok(&["get", "secret", "app", "-n", "planted", "-o", &path]).await?
                == value)
        })
        .await
    }

    async fn clean_up(&self) -> anyhow::Result<()> {
        let rest = ["--ignore-not-found", "--timeout=120s"];
        for what in [
            &["sub", "planted", "-n", "default"][..],
            &["loc", "right", "wrong", "refused", "-n", &self.at.namespace],
            &["clusterrolebinding", "planted-reader"],
            &["namespace", "planted"],
        ] {
            self.parent.kubectl_ok(&[&["delete"], what, &rest].concat()).await?;
        }
        for name in ["app", "sealed"] {
            let path = format!("{SECRETS}/{name}");
            self.parent.kubectl_ok(&["delete", "--raw", &path]).await?;
        }
        self.granted.kubectl_ok(&["delete", "clusterrole", ROLE, "--ignore-not-found"]).await.map(drop)
    }
}

/// Whether the objects of a kind hold no planted value, but where it belongs.
async fn without(
    cluster: &Cluster,
    kind: &str,
    belongs: &[&str],
    forms: &[(&str, String)],
) -> anyhow::Result<()> {
    let found = cluster.kubectl_ok(&["get", kind, "-A", "-o", "json", "--show-managed-fields"]).await?;
    let mut found: Value = serde_json::from_str(&found)?;
    for object in found["items"].as_array_mut().into_iter().flatten() {
        let mut place = &mut *object;
        if let [path @ .., last] = belongs {
            for field in path {
                place = &mut place[*field];
            }
            place.as_object_mut().and_then(|fields| fields.remove(*last));
        }
        let text = object.to_string();
        let hit = forms.iter().find(|(_, form)| text.contains(form));
        ensure!(
            hit.is_none(),
            "{kind} {} holds a planted value in {}",
            object["metadata"]["name"],
            cluster.name
        );
    }
    Ok(())
}

fn planted(what: &str) -> String {
    format!("{PLANTED}{what}")
}

fn encoded(what: &str) -> String {
    STANDARD.encode(planted(what))
}

/// How a planted value may look: as it is, in base64 wherever it begins in what is encoded, and encoded twice.
fn forms() -> Vec<(&'static str, String)> {
    let once = |text: &str| {
        (0..3usize)
            .map(|before| {
                let encoded = STANDARD.encode([&vec![b' '; before][..], text.as_bytes()].concat());
                // What depends on the value alone.
                encoded[(before * 8).div_ceil(6)..(before + text.len()) * 8 / 6].to_owned()
            })
            .collect::<Vec<_>>()
    };
    let encoded = once(PLANTED);
    let twice: Vec<String> = encoded.iter().flat_map(|text| once(text)).collect();
    let all = [PLANTED.to_owned()].into_iter().chain(encoded).chain(twice);
    all.map(|form| ("a planted value", form)).collect()
}

fn feed(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "namespace": "planted", "name": name })
}

fn secret(name: &str, more: &Value) -> Value {
    let mut secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "planted" } });
    for (key, value) in more.as_object().into_iter().flatten() {
        secret[key] = value.clone();
    }
    secret
}

fn subscription() -> Value {
    json!({
        "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Subscription",
        "metadata": { "name": "planted", "namespace": "default" },
        "spec": { "subscribers": [{ "clusterAffinity": {} }], "feeds": [feed("app"), feed("sealed")] },
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_planted_value_is_found_in_every_form() {
        let object = json!({ "data": { "a": encoded("x"), "b": planted("y") } }).to_string();
        for shift in 0..3 {
            let outer = STANDARD.encode(format!("{}{object}", " ".repeat(shift)));
            let hits = forms().iter().filter(|(_, form)| outer.contains(form.as_str())).count();
            assert!(hits >= 2, "once and twice encoded, {hits}");
        }
    }
}
