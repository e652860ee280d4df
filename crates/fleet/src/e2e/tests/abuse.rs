//! Templates, overrides and Subscriptions that are made to explode.

use std::{fmt::Write as _, time::Duration};

use ::http::Request;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{cluster::Cluster, fleet::Fleet, http, install::HUB, wait};

const MAPS: &str = "/apis/shadow/v1alpha1/namespaces/abused/configmaps";
const PATIENCE: Duration = Duration::from_secs(60);
/// What the hub may grow by, whatever it is sent: a built-for-development hub holds a few copies of the largest bodies.
const GROWTH: u64 = 192 << 20;
/// The longest text a condition may have here; Kubernetes takes 32 KiB.
const MESSAGE: usize = 8 << 10;

/// Each attempt is refused with a Status or a condition that says what is wrong, where, and what helps; the hub lives on,
/// within bounds, and another Subscription is served after each.
pub(super) async fn whatever_is_made_to_explode_is_refused_and_the_others_are_served(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let hub = fleet.process(HUB).context("there is no hub")?;
    let abuse = Abuse {
        fleet,
        parent: fleet.parent()?,
        child: fleet.cluster("child1")?,
        client: fleet.parent()?.http_as("fleet-administrator", &["system:masters"])?,
    };
    let result = Box::pin(abuse.run(&hub)).await;
    let cleaned = abuse.clean_up().await.context("cleaning up");
    let after = fleet.process(HUB).context("there is no hub")?;
    ensure!(after.alive() && after.pid == hub.pid, "the hub did not live through it: {result:?}");
    result.and(cleaned)
}

struct Abuse<'f> {
    fleet: &'f Fleet,
    parent: Cluster,
    child: Cluster,
    client: http::Client,
}

impl Abuse<'_> {
    async fn run(&self, hub: &crate::process::Process) -> anyhow::Result<()> {
        for name in ["bystander", "victim"] {
            let (code, text) = self.send("POST", "", map(name, &json!({ "round": "0" })).to_string()).await?;
            ensure!(code == 201 || code == 409, "{code} {text}");
            self.subscribe(name, &json!([feed(name)])).await?;
        }
        self.served("first").await?;
        hub.forget_peak()?;
        let before = hub.resident().context("the hub has ended")?;

        for (what, body, expected) in templates() {
            let (code, text) = self.send("POST", "", body).await.with_context(|| what.to_owned())?;
            ensure!((400..500).contains(&code), "{what}: {code} {}", short(&text));
            ensure!(text.len() < MESSAGE, "{what} is answered with {} bytes", text.len());
            let status: Value = serde_json::from_str(&text).with_context(|| what.to_owned())?;
            let message = status["message"].as_str().unwrap_or_default();
            ensure!(status["kind"] == "Status" && says(message, expected), "{what}: {message}");
        }
        self.served("after templates").await?;
        for (what, overrides, expected) in overrides() {
            self.override_with(&overrides).await.with_context(|| what.to_owned())?;
            let message = self
                .condition("victim", "OverridesApplied", expected)
                .await
                .with_context(|| what.to_owned())?;
            ensure!(message.contains("abused/victim"), "{what}: {message}");
            self.served(what).await?;
            self.parent.kubectl_ok(&["delete", "glob", "abuse"]).await?;
            self.condition("victim", "OverridesApplied", &[]).await.with_context(|| what.to_owned())?;
        }
        for (what, feeds, condition, expected) in subscriptions() {
            self.subscribe("explosive", &feeds).await.with_context(|| what.to_owned())?;
            self.condition("explosive", condition, expected).await.with_context(|| what.to_owned())?;
            self.served(what).await?;
        }
        self.together().await?;
        self.served("in the end").await?;
        let peak = hub.peak().context("the hub has ended")?;
        self.fleet.progress().note(format_args!("the hub grew from {} to {} MiB", before >> 20, peak >> 20));
        ensure!(peak < before + GROWTH, "the hub grew by {} MiB", (peak - before) >> 20);
        Ok(())
    }

    /// Feeds that can be kept, and are too much for one Description together.
    async fn together(&self) -> anyhow::Result<()> {
        let names = ["large-0", "large-1"];
        for name in names {
            let large = map(name, &json!({ "a": "x".repeat(900 << 10) })).to_string();
            let (code, text) = self.send("POST", "", large).await?;
            ensure!(code == 201, "{code} {}", short(&text));
        }
        self.subscribe("explosive", &json!(names.map(feed))).await?;
        self.condition(
            "explosive",
            "OverridesApplied",
            &["larger than 1048576 bytes together", "divide them"],
        )
        .await?;
        // One of them is as large as it may be, and is deployed.
        self.subscribe("explosive", &json!([feed("large-0")])).await?;
        wait::until_true("a large object to be deployed", PATIENCE, || async {
            Ok(self.child.kubectl(&["get", "configmap", "large-0", "-n", "abused"]).await?.success)
        })
        .await
    }

    /// Whether another Subscription is still served: a change of its template comes into the cluster.
    async fn served(&self, round: &str) -> anyhow::Result<()> {
        let change = json!({ "data": { "round": round } }).to_string();
        let (code, text) = self.send("PATCH", "/bystander", change).await?;
        ensure!(code == 200, "{code} {text}");
        wait::until_true(format_args!("another Subscription to be served ({round})"), PATIENCE, || async {
            let data = ["get", "configmap", "bystander", "-n", "abused", "-o", "jsonpath={.data.round}"];
            Ok(self.child.kubectl_ok(&data).await? == round)
        })
        .await
    }

    /// Waits until a condition of a Subscription is False and says all of this, or is True if it has nothing to say.
    async fn condition(&self, subscription: &str, type_: &str, expected: &[&str]) -> anyhow::Result<String> {
        wait::until(format_args!("{type_} of {subscription}"), PATIENCE, || async {
            let args = ["get", "sub", subscription, "-n", "default", "-o", "json"];
            let found: Value = serde_json::from_str(&self.parent.kubectl_ok(&args).await?)?;
            let conditions = found["status"]["conditions"].as_array().into_iter().flatten();
            let condition = conditions.into_iter().find(|condition| condition["type"] == type_);
            let condition = condition.context("it is not there")?;
            let message = condition["message"].as_str().unwrap_or_default();
            let wanted = if expected.is_empty() { "True" } else { "False" };
            ensure!(
                condition["status"] == wanted && says(message, expected),
                "{}",
                short(&condition.to_string())
            );
            ensure!(message.len() < MESSAGE, "a message of {} bytes", message.len());
            Ok(Some(message.to_owned()))
        })
        .await
    }

    async fn subscribe(&self, name: &str, feeds: &Value) -> anyhow::Result<()> {
        let subscription = json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Subscription",
            "metadata": { "name": name, "namespace": "default" },
            "spec": { "subscribers": [{ "clusterAffinity": {} }], "feeds": feeds },
        });
        self.parent.apply_on_the_server(&subscription.to_string()).await
    }

    async fn override_with(&self, overrides: &Value) -> anyhow::Result<()> {
        let globalization = json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Globalization", "metadata": { "name": "abuse" },
            "spec": { "overridePolicy": "ApplyNow", "feed": feed("victim"), "overrides": overrides },
        });
        self.parent.apply_on_the_server(&globalization.to_string()).await
    }

    /// Sends something to the shadow API. The code, and the body of the answer.
    async fn send(&self, method: &str, path: &str, body: String) -> anyhow::Result<(u16, String)> {
        let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(format!("{MAPS}{path}"));
        let request = request.header("content-type", media).body(Full::new(Bytes::from(body)))?;
        let answer = self.client.whole(request).await?;
        Ok((answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned()))
    }

    async fn clean_up(&self) -> anyhow::Result<()> {
        self.parent.kubectl_ok(&["delete", "glob", "abuse", "--ignore-not-found"]).await?;
        let all =
            ["delete", "sub", "-n", "default", "bystander", "victim", "explosive", "--ignore-not-found"];
        self.parent.kubectl_ok(&[&all[..], &["--timeout=120s"]].concat()).await?;
        for name in ["bystander", "victim", "large-0", "large-1"] {
            self.send("DELETE", &format!("/{name}"), String::new()).await?;
        }
        Ok(())
    }
}

fn says(message: &str, expected: &[&str]) -> bool {
    expected.iter().all(|part| message.contains(part))
}

fn short(text: &str) -> String {
    text.chars().take(500).collect()
}

fn map(name: &str, data: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "abused" }, "data": data })
}

fn feed(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "namespace": "abused", "name": name })
}

/// Values inside each other.
fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

type Said = &'static [&'static str];

/// Bodies that are no templates, and what is said of them.
fn templates() -> Vec<(&'static str, String, Said)> {
    let named = |name: &str| map(name, &json!({})).to_string();
    let deep = |depth| {
        let object = map("deep", &json!({})).to_string();
        object.replacen('{', &format!(r#"{{"deep":{},"#, nested(depth)), 1)
    };
    vec![
        (
            "an object over the limit",
            map("large", &json!({ "a": "x".repeat(2 << 20) })).to_string(),
            &["may not be more than 1048576 bytes"],
        ),
        (
            "a body over the limit",
            map("larger", &json!({ "a": "x".repeat(8 << 20) })).to_string(),
            &["longer than the limit", "send less"],
        ),
        ("deep nesting", deep(110), &["more than 100 levels", "fewer"]),
        ("nesting that no parser takes", deep(100_000), &["no JSON, or has more than 100 levels"]),
        ("a name that is too long", named(&"x".repeat(300)), &["metadata.name", "up to 253"]),
        ("a name without end", named(&"x".repeat(500_000)), &["metadata.name", "up to 253"]),
        ("a name that is a path", named("../../secrets/x"), &["metadata.name", "must be a DNS subdomain"]),
    ]
}

/// The overrides of one Globalization, and what is said of them.
fn overrides() -> Vec<(&'static str, Value, Said)> {
    let merge = |value: &str| json!({ "name": "boom", "type": "MergePatch", "value": value });
    let template =
        |value: &str| json!({ "name": "boom", "type": "MergePatch", "template": true, "value": value });
    let patch = |value: &str| json!({ "name": "boom", "type": "JSONPatch", "value": value });
    let mut doubling = vec![json!({ "op": "add", "path": "/data/a", "value": "x".repeat(1_000) })];
    for n in 0..40 {
        doubling.push(json!({ "op": "add", "path": format!("/data/l{n}"), "value": {} }));
        doubling.push(json!({ "op": "copy", "from": "/data", "path": format!("/data/l{n}/c") }));
    }
    let mut flat = vec![json!({ "op": "add", "path": "/data/a", "value": ["x".repeat(100)] })];
    flat.extend(vec![json!({ "op": "copy", "from": "/data", "path": "/data/a/-" }); 60]);
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..20 {
        let _ = writeln!(aliases, "a{n}: &a{n} [{}]", vec![format!("*a{}", n - 1); 10].join(", "));
    }
    let operations = vec![json!({ "op": "remove", "path": "" }); 10_001];
    let at = |said: Said| said;
    vec![
        (
            "a value over the limit",
            json!([merge(&format!("data: {{a: {}}}", "x".repeat(300 << 10)))]),
            at(&["spec.overrides[0] (boom)", "larger than 262144 bytes", "shorter"]),
        ),
        (
            "a value nested deep",
            json!([merge(&nested(100))]),
            at(&["spec.overrides[0] (boom)", "nested deeper than 64 levels", "make them flatter"]),
        ),
        ("a value nested deeper", json!([merge(&nested(20_000))]), at(&["spec.overrides[0] (boom)"])),
        ("copies of copies", json!([patch(&json!(doubling).to_string())]), at(&["path /data/l"])),
        ("copies side by side", json!([patch(&json!(flat).to_string())]), at(&["path /data/a"])),
        (
            "operations without end",
            json!([patch(&json!(operations).to_string())]),
            at(&["more than 10000 operations"]),
        ),
        ("aliases of aliases", json!([merge(&aliases)]), at(&["neither JSON nor YAML"])),
        (
            "a template that repeats",
            json!([template("data: {a: '{{ repeat 1000000000 \"x\" }}'}")]),
            at(&["the template of the value"]),
        ),
        (
            "a template that never ends",
            json!([template("{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}")]),
            at(&["the template of the value"]),
        ),
        (
            "a template that counts",
            json!([template("{{ range until 1000000000 }}x{{ end }}")]),
            at(&["the template of the value"]),
        ),
        (
            "overrides without end",
            json!(vec![merge("data: {a: b}"); 1_001]),
            at(&["spec.overrides[1000] (boom)", "more than 1000 overrides", "make one of several"]),
        ),
        (
            "results that add up",
            json!(
                (0..5)
                    .map(|n| merge(&format!("data: {{k{n}: {}}}", "x".repeat(250 << 10))))
                    .collect::<Vec<_>>()
            ),
            at(&["larger than 1048576 bytes"]),
        ),
        (
            "another name",
            json!([merge(&format!("metadata: {{name: {}}}", "x".repeat(100_000)))]),
            at(&["cannot change what identifies"]),
        ),
        (
            "a path without end",
            json!([patch(&format!(r#"[{{"op":"replace","path":"{}","value":1}}]"#, "/a".repeat(50_000)))]),
            at(&["path /a/a"]),
        ),
    ]
}

/// The feeds of a Subscription, and which condition says what of them.
fn subscriptions() -> Vec<(&'static str, Value, &'static str, Said)> {
    let many: Vec<Value> = (0..5_000).map(|n| feed(&format!("none-{n}"))).collect();
    let mut same = vec![feed("victim"); 5_000];
    same.push(feed("none"));
    vec![
        ("feeds without end", json!(many), "FeedsFound", &["no ConfigMap abused/none-", "more"]),
        ("a feed again and again", json!(same), "FeedsFound", &["no ConfigMap abused/none"]),
        (
            "a feed with a name without end",
            json!([feed(&"x".repeat(200_000))]),
            "FeedsFound",
            &["no ConfigMap abused/xxx"],
        ),
        (
            "a feed of a kind without end",
            json!([{ "apiVersion": "v1", "kind": "K".repeat(200_000), "name": "a" }]),
            "FeedsFound",
            &["KKK"],
        ),
    ]
}
