//! Runs scenarios and tests on a fleet of their own, and counts.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::Full;
use tokio::io::AsyncWriteExt as _;

use crate::{
    cluster::Cluster,
    e2e::{
        charts::{Chart, Repositories},
        scenario::{self, Answer, Describe, Process, Scenario, Step},
        tests,
    },
    fleet::Fleet,
    http,
    install::{self, HUB},
    kubeconfig::Credential,
    paths,
    process::Spec,
    seed, wait,
};

/// The fleet of the end-to-end tests.
pub const FLEET: &str = "fleet-test";

/// A step that should answer at once may still take this long. Commands that wait say themselves for how long.
const STEP: Duration = Duration::from_mins(2);

/// How many passed and failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
}

/// What is to be played and run.
pub struct Selection {
    scenarios: Vec<Scenario>,
    tests: Vec<tests::Test>,
}

/// Files whose scenarios are about what the hub stores, or next to it.
const OF_THE_SEARCH: [&str; 3] = ["70-pedia", "80-search", "90-sync"];

impl Selection {
    /// What is called `only`: a scenario, the scenarios of files whose names begin so, or a test; everything if it is
    /// `None`.
    ///
    /// # Errors
    /// When nothing is called so, or a file of scenarios is not well-formed.
    pub fn of(only: Option<&str>) -> anyhow::Result<Self> {
        let all = scenario::read(&paths::workspace().join("crates/fleet/scenarios"))?;
        let scenarios = only.map_or_else(|| all.clone(), |only| scenario::called(&all, only));
        let wanted =
            |name: &str| only.is_none_or(|only| name == only || name.starts_with(&format!("{only}_")));
        let tests: Vec<_> = tests::all().into_iter().filter(|test| wanted(test.name)).collect();
        if scenarios.is_empty() && tests.is_empty() {
            bail!("nothing is called {}", only.unwrap_or_default());
        }
        Ok(Self { scenarios, tests })
    }

    /// The scenarios that are worth playing on every store there is.
    pub fn of_the_search(&self) -> Self {
        let of_the_search = |scenario: &&Scenario| OF_THE_SEARCH.iter().any(|file| scenario.is_called(file));
        Self { scenarios: self.scenarios.iter().filter(of_the_search).cloned().collect(), tests: Vec::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.scenarios.is_empty() && self.tests.is_empty()
    }

    /// Plays the scenarios on a fleet that is prepared.
    pub async fn play(&self, fleet: &Fleet) -> anyhow::Result<Report> {
        let mut variables = variables(fleet).await?;
        let charts = Repositories::default();
        if self.scenarios.iter().flat_map(|scenario| &scenario.steps).any(|step| step.chart.is_some()) {
            variables.extend(charts.variables(fleet).await?);
        }
        let stage = Stage { fleet, charts: &charts };
        let mut report = Report::default();
        for scenario in &self.scenarios {
            let began = Instant::now();
            let result = play(stage, scenario, &variables).await;
            report.count(fleet, &format!("{} {}", scenario.id, scenario.title), began, result);
        }
        Ok(report)
    }

    /// Runs the tests on a fleet that is prepared.
    pub async fn test(&self, fleet: &Fleet) -> Report {
        let mut report = Report::default();
        for test in &self.tests {
            let began = Instant::now();
            let result = tokio::time::timeout(test.deadline, (test.run)(fleet))
                .await
                .unwrap_or_else(|_| Err(anyhow::anyhow!("it did not end within {:?}", test.deadline)));
            report.count(fleet, test.name, began, result);
        }
        report
    }
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Report {
    fn count(&mut self, fleet: &Fleet, name: &str, began: Instant, result: anyhow::Result<()>) {
        let seconds = began.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                self.passed += 1;
                fleet.progress().done(format_args!("{name} ({seconds:.1} s)"));
            }
            Err(cause) => {
                self.failed += 1;
                fleet.progress().failed(format_args!("{name} ({seconds:.1} s)\n    {cause:#}"));
            }
        }
    }
}

/// What the scenarios take for granted: visitors of the first child, there and in the parent, and the compatible path.
pub async fn prepare(fleet: &Fleet) -> anyhow::Result<()> {
    let parent = fleet.parent()?;
    parent.apply(&fleet.manifests("deploy/compat")?).await?;
    for child in fleet.children() {
        child.apply(&visitor_manifest()).await?;
        let Some(registered) = fleet.registered(&child).await? else { continue };
        let example =
            std::fs::read_to_string(paths::workspace().join("deploy/examples/visit-one-cluster.yaml"))?;
        let group = format!("visitors-{}", child.name);
        parent.apply(&example.replace("$CLUSTERID", &registered.id).replace("$GROUP", &group)).await?;
    }
    Ok(())
}

/// A ServiceAccount in a child that may do in one namespace what its users usually may, and look at nodes.
pub fn visitor_manifest() -> String {
    let namespace = seed::NAMESPACE;
    format!(
        "apiVersion: v1
kind: ServiceAccount
metadata:
  name: visitor
  namespace: {namespace}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: visitor
  namespace: {namespace}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: admin
subjects:
  - kind: ServiceAccount
    name: visitor
    namespace: {namespace}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: look-at-nodes
rules:
  - apiGroups: [\"\"]
    resources: [nodes]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: visitor-looks-at-nodes
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: look-at-nodes
subjects:
  - kind: ServiceAccount
    name: visitor
    namespace: {namespace}
"
    )
}

/// What `${…}` stands for in every scenario.
async fn variables(fleet: &Fleet) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let parent = fleet.parent()?;
    found.insert(String::from("parent.url"), parent.url());
    found.insert(String::from("parent.host"), host(&parent));
    found
        .insert(String::from("parent.ca-file"), parent.authority()?.certificate_file().display().to_string());
    found.insert(String::from("workspace"), paths::workspace().display().to_string());
    found.insert(String::from("bootstrap-token"), install::SAMPLE_TOKEN.to_owned());
    let search = "/apis/clusterpedia.io/v1beta1/resources";
    found.insert(String::from("search"), search.to_owned());
    found.insert(String::from("server"), format!("{}{search}", parent.url()));
    found.insert(String::from("unknown-id"), String::from("11111111-2222-4333-8444-555555555555"));
    for child in fleet.children() {
        let name = &child.name;
        found.insert(format!("{name}.url"), child.url());
        found.insert(format!("{name}.host"), host(&child));
        found.insert(format!("{name}.kubeconfig"), child.kubeconfig().display().to_string());
        found.insert(format!("{name}.service-cidr"), child.service_cidr());
        found.insert(format!("{name}.pod-cidr"), child.pod_cidr());
        found.insert(format!("{name}.visitor"), child.token_of(seed::NAMESPACE, "visitor").await?);
        if let Some(registered) = fleet.registered(&child).await? {
            found.insert(format!("{name}.visit"), install::visit_path(&registered.id));
            found.insert(format!("{name}.id"), registered.id);
            found.insert(format!("{name}.namespace"), registered.namespace);
            found.insert(format!("{name}.name"), registered.name);
            found.insert(format!("{name}.parent-token"), parent_token(&child).await?);
        }
    }
    Ok(found)
}

/// The API server's `IP:PORT`.
fn host(cluster: &Cluster) -> String {
    cluster.url().trim_start_matches("https://").to_owned()
}

/// The token that a registered child has for the parent.
pub async fn parent_token(child: &Cluster) -> anyhow::Result<String> {
    let args = [
        "get",
        "secret",
        "parent-cluster",
        "-n",
        "clusternet-system",
        "-o",
        "go-template={{.data.token|base64decode}}",
    ];
    child.kubectl_ok(&args).await
}

/// Where scenarios are played.
#[derive(Clone, Copy)]
struct Stage<'s> {
    fleet: &'s Fleet,
    charts: &'s Repositories,
}

async fn play(
    stage: Stage<'_>,
    scenario: &Scenario,
    common: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let mut variables = common.clone();
    let mut result = Ok(());
    for (step, number) in scenario.steps.iter().zip(1..) {
        result = act(stage, step, &mut variables).await.with_context(|| format!("step {number}"));
        if result.is_err() {
            break;
        }
    }
    for step in &scenario.finally {
        let cleaned = act(stage, step, &mut variables).await.context("cleaning up");
        result = result.and(cleaned);
    }
    result
}

async fn act(stage: Stage<'_>, step: &Step, variables: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let mut last = Answer::default();
    let deadline = step.deadline();
    let outcome = if deadline.is_zero() {
        last = tokio::time::timeout(STEP, attempt(stage, step, variables)).await.context("no answer")??;
        expectation(step, variables)?.check(&last)
    } else {
        let expect = expectation(step, variables)?;
        let variables = &*variables;
        wait::until(format_args!("the expected"), deadline, || async {
            let answer = attempt(stage, step, variables).await?;
            expect.check(&answer)?;
            Ok(Some(answer))
        })
        .await
        .map(|answer| last = answer)
    };
    outcome?;
    if step.save.is_empty() {
        return Ok(());
    }
    let value: serde_json::Value =
        serde_json::from_str(&last.text).unwrap_or(serde_json::Value::String(last.text));
    for (name, pointer) in &step.save {
        let found = value.pointer(pointer).with_context(|| format!("the answer has no {pointer}"))?;
        let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        variables.insert(name.clone(), text.trim().to_owned());
    }
    Ok(())
}

/// The step's expectation with the variables filled in.
fn expectation(step: &Step, variables: &BTreeMap<String, String>) -> anyhow::Result<scenario::Expect> {
    let mut expect = step.expect.clone();
    for text in expect
        .matches
        .iter_mut()
        .chain(&mut expect.never)
        .chain(&mut expect.stderr)
        .chain(expect.headers.values_mut())
        .chain(expect.items.iter_mut().flatten())
        .chain(expect.ordered.iter_mut().flatten())
    {
        *text = fill(text, variables)?;
    }
    if let Some(json) = &expect.json {
        expect.json = Some(serde_json::from_str(&fill(&json.to_string(), variables)?)?);
    }
    Ok(expect)
}

async fn attempt(
    stage: Stage<'_>,
    step: &Step,
    variables: &BTreeMap<String, String>,
) -> anyhow::Result<Answer> {
    let Stage { fleet, charts } = stage;
    let at_hub = step.cluster == HUB;
    let cluster = if at_hub { fleet.parent()? } else { fleet.cluster(&step.cluster)? };
    let who = fill(&step.who, variables)?;
    if let Some(request) = &step.request {
        let nobody = if at_hub { hub_client(fleet).await? } else { cluster.http()? };
        return send(&cluster, nobody, &who, request, variables).await;
    }
    if let Some(args) = &step.kubectl {
        let args =
            args.iter().map(|argument| fill(argument, variables)).collect::<anyhow::Result<Vec<_>>>()?;
        return kubectl(fleet, &cluster, &who, &args, &step.env, &fill(&step.stdin, variables)?).await;
    }
    if let Some(describe) = &step.describe {
        let filled = fill(&serde_json::to_string(describe)?, variables)?;
        let describe: Describe = serde_json::from_str(&filled)?;
        cluster.apply(&describe.manifest()).await?;
        return Ok(Answer::default());
    }
    if let Some(chart) = &step.chart {
        let chart: Chart = serde_json::from_str(&fill(&serde_json::to_string(chart)?, variables)?)?;
        charts.add(fleet, &chart).await?;
        return Ok(Answer::default());
    }
    if let Some(name) = &step.log {
        let text = std::fs::read(fleet.log_of(name))?;
        return Ok(Answer { text: String::from_utf8_lossy(&text).into_owned(), ..Answer::default() });
    }
    if let Some(manifest) = &step.apply {
        cluster.apply(&fill(manifest, variables)?).await?;
    }
    match &step.process {
        Some(Process::Stop(name)) => fleet.stop(name).await?,
        Some(Process::Kill(name)) => fleet.kill(name).await?,
        Some(Process::Start(name)) => drop(fleet.restart(name)?),
        Some(Process::Agent(extra)) => {
            let (child, _) = extra.name.split_once('/').context("an agent is CLUSTER/NAME")?;
            let usual = fleet.agent_spec(&fleet.cluster(child)?, &flags(extra, variables)?)?;
            let spec = fleet.spec(&extra.name, &usual.program, usual.args);
            fleet.start(Spec { env: usual.env, ..spec })?;
        }
        Some(Process::Hub(extra)) => {
            let flags = flags(extra, variables)?;
            fleet.start(fleet.another_hub_spec(&extra.name, fleet.hub_port(), &flags)?)?;
        }
        Some(Process::Remove(name)) => fleet.remove(name).await?,
        None => {}
    }
    Ok(Answer::default())
}

fn flags(extra: &scenario::Extra, variables: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    extra.flags.iter().map(|flag| fill(flag, variables)).collect()
}

/// A client of the hub's own address, as nobody.
pub async fn hub_client(fleet: &Fleet) -> anyhow::Result<http::Client> {
    let service = "v1alpha1.proxies.clusternet.io";
    let args = ["get", "apiservice", service, "-o", "go-template={{.spec.caBundle|base64decode}}"];
    let authority = fleet.parent()?.kubectl_ok(&args).await?;
    http::Client::new(&format!("https://127.0.0.1:{}", fleet.hub_port()), &authority, None)
}

/// Sends a request with the client `nobody`, or with one that has a certificate of the cluster.
async fn send(
    cluster: &Cluster,
    nobody: http::Client,
    who: &str,
    request: &scenario::Request,
    variables: &BTreeMap<String, String>,
) -> anyhow::Result<Answer> {
    let mut builder =
        ::http::Request::builder().method(request.method.as_str()).uri(fill(&request.path, variables)?);
    for (name, value) in &request.headers {
        builder = builder.header(name, fill(value, variables)?);
    }
    let mut words = who.split(' ');
    let client: http::Client = match (words.next().unwrap_or_default(), words.next()) {
        ("administrator", None) => cluster.http_as("fleet-administrator", &["system:masters"])?,
        ("anonymous", None) => nobody,
        ("user", Some(user)) => cluster.http_as(user, &words.collect::<Vec<_>>())?,
        ("token", Some(token)) => {
            builder = builder.header("authorization", format!("Bearer {token}"));
            nobody
        }
        ("account", Some(account)) => {
            let (namespace, name) = account.split_once('/').context("an account is NAMESPACE/NAME")?;
            let token = cluster.token_of(namespace, name).await?;
            builder = builder.header("authorization", format!("Bearer {token}"));
            nobody
        }
        _ => bail!("nobody is called {who}"),
    };
    let body = match &request.body {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => fill(text, variables)?,
        value => {
            if !request.headers.contains_key("content-type") {
                builder = builder.header("content-type", "application/json");
            }
            fill(&value.to_string(), variables)?
        }
    };
    let answer = client.whole(builder.body(Full::new(Bytes::from(body)))?).await?;
    Ok(Answer {
        code: Some(answer.status().as_u16()),
        headers: answer
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect(),
        text: String::from_utf8_lossy(answer.body()).into_owned(),
        ..Answer::default()
    })
}

async fn kubectl(
    fleet: &Fleet,
    cluster: &Cluster,
    who: &str,
    args: &[String],
    env: &BTreeMap<String, String>,
    stdin: &str,
) -> anyhow::Result<Answer> {
    let kubeconfig = kubeconfig_of(cluster, who).await?;
    let mut command = cluster.kubectl_command(&kubeconfig);
    // The plug-in is a subcommand of kubectl where it is in the path.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", fleet.bin().display()));
    command.envs(env).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run kubectl")?;
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(stdin.as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    Ok(Answer {
        success: Some(output.status.success()),
        exit: output.status.code(),
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        ..Answer::default()
    })
}

async fn kubeconfig_of(cluster: &Cluster, who: &str) -> anyhow::Result<PathBuf> {
    let mut words = who.split(' ');
    match (words.next().unwrap_or_default(), words.next()) {
        ("administrator", None) => Ok(cluster.kubeconfig()),
        ("user", Some(user)) => cluster.kubeconfig_of(user, &words.collect::<Vec<_>>()),
        ("account", Some(account)) => {
            let (namespace, name) = account.split_once('/').context("an account is NAMESPACE/NAME")?;
            cluster.kubeconfig_of_account(namespace, name).await
        }
        ("anonymous", None) => {
            let path = cluster.directory.join("users/anonymous");
            cluster.write_kubeconfig(&path, "anonymous", &Credential::Anonymous)?;
            Ok(path)
        }
        ("token", Some(token)) => {
            let path = cluster.directory.join(format!("users/token-{:x}", rand::random::<u32>()));
            cluster.write_kubeconfig(&path, "token", &Credential::Token(token.to_owned()))?;
            Ok(path)
        }
        _ => bail!("nobody is called {who}"),
    }
}

/// Replaces every `${name}`; an unknown name is an error.
fn fill(text: &str, variables: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut filled = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').with_context(|| format!("no end of ${{ in {text}"))?;
        let value = variables.get(name).with_context(|| format!("nothing is known as ${{{name}}}"))?;
        write!(filled, "{before}{value}")?;
        rest = after;
    }
    filled.extend_from_slice(rest.as_bytes());
    Ok(String::from_utf8(filled)?)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_unknown_ones_are_named() {
        let variables = BTreeMap::from([(String::from("a.b"), String::from("c"))]);
        assert_eq!(fill("x/${a.b}/${a.b}", &variables).unwrap(), "x/c/c");
        assert_eq!(fill("${d}", &variables).unwrap_err().to_string(), "nothing is known as ${d}");
    }
}
