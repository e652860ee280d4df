//! Black-box scenarios as data: what is sent, as whom, and what must come back.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use api::names::search::annotations;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::charts::Chart;

/// One scenario, named after the interface contract's conformance check if there is one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// `A1`, `R4`, `X9`, …; a deviation has the number of what it deviates from and a letter: `R5a`.
    pub id: String,
    /// What is shown, as a sentence.
    pub title: String,
    /// Whether those behind it, in files that begin with the same number, need what it leaves behind: it is played before
    /// any of them, even if only that one was asked for.
    #[serde(default, rename = "set-up")]
    pub set_up: bool,
    /// Its file's name without the ending.
    #[serde(skip)]
    pub file: String,
    /// Steps, in this order.
    pub steps: Vec<Step>,
    /// Steps that run afterwards in any case.
    #[serde(default)]
    pub finally: Vec<Step>,
}

/// One step: exactly one of `request`, `kubectl`, `process`, `apply`, `describe`, `chart`, `log`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Whose cluster, the parent by default. `hub` is for requests at the hub's own address, as identities of the parent.
    #[serde(default = "parent")]
    pub cluster: String,
    /// Who: `administrator` (the default), `anonymous`, `user NAME [GROUP]`, `account NAMESPACE/NAME`, `token TOKEN`.
    #[serde(default = "administrator", rename = "as")]
    pub who: String,
    /// An HTTP request.
    pub request: Option<Request>,
    /// Arguments of kubectl.
    pub kubectl: Option<Vec<String>>,
    /// What is done to a process of the fleet.
    pub process: Option<Process>,
    /// A manifest to apply as the administrator.
    pub apply: Option<String>,
    /// A Description to apply as the administrator.
    pub describe: Option<Describe>,
    /// A chart to put into a repository that is served on the loopback: `${charts.url}` over HTTP, `${charts.registry}` the same
    /// as a registry, `${private.url}` over TLS with a password.
    pub chart: Option<Chart>,
    /// The process whose log is read.
    pub log: Option<String>,
    /// Standard input of kubectl.
    #[serde(default)]
    pub stdin: String,
    /// Variables in kubectl's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What must come back.
    #[serde(default)]
    pub expect: Expect,
    /// Seconds within which it must come back; the step is repeated meanwhile.
    #[serde(default)]
    pub within: f64,
    /// Names for values of the answer: name → JSON pointer. Later steps write `${name}`.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
}

/// An HTTP request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// GET by default.
    #[serde(default = "get")]
    pub method: String,
    /// The path with its query, sent as it stands.
    pub path: String,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A body: a text as it stands, anything else as JSON.
    #[serde(default)]
    pub body: Value,
}

/// A Description, as it is made of feeds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Describe {
    /// The dedicated namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The objects.
    #[serde(default)]
    pub objects: Vec<Value>,
    /// So many ConfigMaps beside them, called `NAME-0`, `NAME-1`, …, in the namespace `NAME` of the cluster.
    #[serde(default)]
    pub maps: usize,
}

impl Describe {
    /// The manifest.
    pub fn manifest(&self) -> String {
        let Self { namespace, name, objects, maps } = self;
        let maps = (0..*maps).map(|n| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "at": n.to_string() },
                    "metadata": { "name": format!("{name}-{n}"), "namespace": name } })
        });
        let raw: Vec<String> =
            objects.iter().cloned().chain(maps).map(|object| STANDARD.encode(object.to_string())).collect();
        let description = json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Description",
            "metadata": { "name": name, "namespace": namespace }, "spec": { "deployer": "Generic", "raw": raw },
        });
        description.to_string()
    }
}

/// What is done to a process.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Process {
    /// Ends it in good order.
    Stop(String),
    /// `kill -9`.
    Kill(String),
    /// Starts it again as it was.
    Start(String),
    /// Starts one more agent, called `CLUSTER/ANYTHING`, in that cluster.
    Agent(Extra),
    /// Starts a hub at the usual port, where none runs.
    Hub(Extra),
    /// Ends one of those two in good order and forgets it.
    Remove(String),
}

/// One more agent or hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// The process's name, for later steps and its log.
    pub name: String,
    /// Flags beside the usual ones, or in their place.
    pub flags: Vec<String>,
}

/// What must come back. Patterns are regular expressions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The HTTP status code, one of.
    #[serde(default)]
    pub code: Vec<u16>,
    /// kubectl's success; true by default.
    pub success: Option<bool>,
    /// kubectl's exit code, where more than success matters.
    pub exit: Option<i32>,
    /// A part of the JSON answer (body or standard output): fields must be there, list items must occur in any order, a
    /// text that begins with `~` is a pattern, null means absent.
    pub json: Option<Value>,
    /// The objects of a list of the search, these and no others, in any order: `CLUSTER/NAMESPACE/NAME` or
    /// `CLUSTER/NAME`, or `~` and a pattern of one.
    pub items: Option<Vec<String>>,
    /// As `items`, in this order.
    pub ordered: Option<Vec<String>>,
    /// Patterns of headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Patterns that body or standard output must match, each.
    #[serde(default)]
    pub matches: Vec<String>,
    /// Patterns that neither body nor outputs may match.
    #[serde(default)]
    pub never: Vec<String>,
    /// Patterns that standard error must match, each.
    #[serde(default)]
    pub stderr: Vec<String>,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The HTTP status code.
    pub code: Option<u16>,
    /// kubectl's success.
    pub success: Option<bool>,
    /// kubectl's exit code.
    pub exit: Option<i32>,
    /// Headers, lower case.
    pub headers: Vec<(String, String)>,
    /// Body or standard output.
    pub text: String,
    /// Standard error.
    pub stderr: String,
}

fn parent() -> String {
    String::from("parent")
}

fn administrator() -> String {
    String::from("administrator")
}

fn get() -> String {
    String::from("GET")
}

impl Scenario {
    /// Whether it is meant by `name`: its own, or the beginning of its file's name up to a hyphen.
    pub fn is_called(&self, name: &str) -> bool {
        let of_file =
            self.file.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        self.id == name || of_file
    }

    /// The number its file begins with.
    fn number(&self) -> &str {
        self.file.split('-').next().unwrap_or_default()
    }
}

/// Those that are meant by `name`, behind what they need.
pub fn called(all: &[Scenario], name: &str) -> Vec<Scenario> {
    let needed = |set_up: &Scenario| {
        set_up.set_up && all.iter().any(|other| other.is_called(name) && other.number() == set_up.number())
    };
    all.iter().filter(|scenario| scenario.is_called(name) || needed(scenario)).cloned().collect()
}

impl Step {
    /// How long it may take until the expected comes.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs_f64(self.within.max(0.0))
    }
}

/// The scenarios of a directory, in the order of their files and within each as they stand.
pub fn read(directory: &Path) -> anyhow::Result<Vec<Scenario>> {
    let mut files: Vec<_> = std::fs::read_dir(directory)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let mut all: Vec<Scenario> = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let scenarios: Vec<Scenario> = serde_saphyr::from_str(&text)
            .with_context(|| format!("{} is no list of scenarios", file.display()))?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for mut scenario in scenarios {
            scenario.file.clone_from(&name);
            if all.iter().any(|other| other.id == scenario.id) {
                bail!("two scenarios are called {}", scenario.id);
            }
            for step in scenario.steps.iter().chain(&scenario.finally) {
                let kinds = [
                    step.request.is_some(),
                    step.kubectl.is_some(),
                    step.process.is_some(),
                    step.apply.is_some(),
                    step.describe.is_some(),
                    step.chart.is_some(),
                    step.log.is_some(),
                ];
                if kinds.iter().filter(|kind| **kind).count() != 1 {
                    bail!(
                        "a step of {} is not exactly one of request, kubectl, process, apply, describe, chart, log",
                        scenario.id
                    );
                }
            }
            all.push(scenario);
        }
    }
    Ok(all)
}

impl Expect {
    /// Why the answer is not what was expected; `Ok` if it is.
    pub fn check(&self, answer: &Answer) -> anyhow::Result<()> {
        let shown = || {
            let mut text: String = answer.text.chars().take(600).collect();
            if !answer.stderr.is_empty() {
                text = format!("{text}\n{}", answer.stderr.chars().take(600).collect::<String>());
            }
            text
        };
        if let Some(code) = answer.code
            && !self.code.is_empty()
            && !self.code.contains(&code)
        {
            bail!("expected code {:?}, got {code}: {}", self.code, shown());
        }
        if let Some(exit) = self.exit
            && answer.exit != Some(exit)
        {
            bail!("expected exit code {exit}, got {:?}: {}", answer.exit, shown());
        }
        if let (Some(success), None) = (answer.success, self.exit)
            && success != self.success.unwrap_or(true)
        {
            bail!("expected kubectl to {}: {}", if success { "fail" } else { "succeed" }, shown());
        }
        for (name, pattern) in &self.headers {
            let values: Vec<&str> = answer
                .headers
                .iter()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
                .collect();
            let pattern = regex::Regex::new(pattern)?;
            if !values.iter().any(|value| pattern.is_match(value)) {
                bail!("expected header {name} to match {pattern}, got {values:?}");
            }
        }
        for pattern in &self.matches {
            if !regex::Regex::new(pattern)?.is_match(&answer.text) {
                bail!("expected a match of {pattern}: {}", shown());
            }
        }
        for pattern in &self.stderr {
            if !regex::Regex::new(pattern)?.is_match(&answer.stderr) {
                bail!("expected standard error to match {pattern}: {}", shown());
            }
        }
        for pattern in &self.never {
            let pattern = regex::Regex::new(pattern)?;
            if pattern.is_match(&answer.text) || pattern.is_match(&answer.stderr) {
                bail!("expected no match of {pattern}: {}", shown());
            }
        }
        let json =
            || serde_json::from_str(&answer.text).with_context(|| format!("expected JSON: {}", shown()));
        if let Some(expected) = &self.json {
            part_of(expected, &json()?, "")?;
        }
        if let Some(expected) = &self.items {
            let actual = objects(&json()?);
            let mut left = actual.clone();
            // Patterns take what the names leave.
            let mut names: Vec<&String> = expected.iter().collect();
            names.sort_by_key(|name| name.starts_with('~'));
            for name in names {
                let found = left.iter().position(|object| is_text(name, object).unwrap_or(false));
                let found = found.with_context(|| format!("expected the object {name}, got {actual:?}"))?;
                left.swap_remove(found);
            }
            ensure!(left.is_empty(), "expected no other objects than {expected:?}, got {actual:?}");
        }
        if let Some(expected) = &self.ordered {
            let actual = objects(&json()?);
            let fits = |(name, object): (&String, &String)| is_text(name, object).unwrap_or(false);
            let same = actual.len() == expected.len() && expected.iter().zip(&actual).all(fits);
            ensure!(same, "expected the objects {expected:?} in this order, got {actual:?}");
        }
        Ok(())
    }
}

/// The objects of a list or Table of the search, as [`Expect::items`] names them.
fn objects(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    let rows = list["rows"].as_array().into_iter().flatten().map(|row| &row["object"]);
    let name = |object: &Value| {
        let metadata = &object["metadata"];
        let parts =
            [&metadata["annotations"][annotations::CLUSTER_NAME], &metadata["namespace"], &metadata["name"]];
        parts.into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join("/")
    };
    items.chain(rows).map(name).collect()
}

/// Whether `expected` is a part of `actual`, as [`Expect::json`] says.
fn part_of(expected: &Value, actual: &Value, path: &str) -> anyhow::Result<()> {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(there)) => {
            for (key, value) in wanted {
                part_of(value, there.get(key).unwrap_or(&Value::Null), &format!("{path}/{key}"))?;
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(there)) => {
            for value in wanted {
                if !there.iter().any(|item| part_of(value, item, path).is_ok()) {
                    bail!("expected {path} to have an item {value}, got {}", short(actual));
                }
            }
            Ok(())
        }
        (Value::String(wanted), actual) if wanted.starts_with('~') => {
            let text = actual.as_str().map_or_else(|| actual.to_string(), str::to_owned);
            if !is_text(wanted, &text)? {
                bail!("expected {path} to match {wanted}, got {}", short(actual));
            }
            Ok(())
        }
        _ if expected == actual => Ok(()),
        _ => bail!("expected {path} to be {expected}, got {}", short(actual)),
    }
}

/// Whether `actual` is the text `wanted`, or matches the pattern behind its `~`.
fn is_text(wanted: &str, actual: &str) -> anyhow::Result<bool> {
    Ok(match wanted.strip_prefix('~') {
        Some(pattern) => regex::Regex::new(pattern)?.is_match(actual),
        None => wanted == actual,
    })
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(expected: &Value, actual: &Value) -> bool {
        part_of(expected, actual, "").is_ok()
    }

    #[test]
    fn a_part_of_an_answer_is_enough() {
        let actual = json!({ "kind": "Status", "code": 400, "items": [{ "a": 1 }, { "b": 2, "c": 3 }] });
        assert!(matches(&json!({ "kind": "Status" }), &actual));
        assert!(matches(&json!({ "items": [{ "b": 2 }] }), &actual));
        assert!(matches(&json!({ "kind": "~^Sta", "code": "~4.." }), &actual));
        assert!(matches(&json!({ "absent": null }), &actual));
        assert!(!matches(&json!({ "kind": null }), &actual));
        assert!(!matches(&json!({ "items": [{ "b": 3 }] }), &actual));
    }

    #[test]
    fn the_objects_of_a_list_are_told_by_cluster_namespace_and_name() {
        let object = |cluster: &str, name: &str| json!({ "metadata": { "name": name, "namespace": "n", "annotations": { annotations::CLUSTER_NAME: cluster } } });
        let list = json!({ "items": [object("b", "x"), object("a", "y")] });
        let answer = Answer { text: list.to_string(), ..Answer::default() };
        let names = |names: [&str; 2]| Some(names.map(str::to_owned).to_vec());
        let (sorted, given) = (names(["a/n/y", "b/n/x"]), names(["b/n/x", "a/n/y"]));
        assert!(Expect { items: sorted.clone(), ..Expect::default() }.check(&answer).is_ok());
        assert!(Expect { ordered: given, ..Expect::default() }.check(&answer).is_ok());
        assert!(Expect { ordered: sorted, ..Expect::default() }.check(&answer).is_err());
        assert!(Expect { items: names(["~^./n/", "b/n/x"]), ..Expect::default() }.check(&answer).is_ok());
        assert!(Expect { items: names(["a/n/y", "a/n/y"]), ..Expect::default() }.check(&answer).is_err());
        let table = json!({ "rows": [{ "object": object("c", "z") }] });
        assert_eq!(objects(&table), ["c/n/z"]);
    }

    #[test]
    fn one_scenario_alone_is_played_behind_what_it_needs() {
        let scenario = |id: &str, file: &str, set_up| Scenario {
            id: id.into(),
            title: String::new(),
            set_up,
            file: file.into(),
            steps: Vec::new(),
            finally: Vec::new(),
        };
        let all = [
            scenario("A", "10-a", false),
            scenario("B", "20-b-1-first", true),
            scenario("C", "20-b-1-first", false),
            scenario("D", "20-b-2-second", false),
        ];
        let ids = |name: &str| called(&all, name).into_iter().map(|scenario| scenario.id).collect::<Vec<_>>();
        assert_eq!(ids("D"), ["B", "D"]);
        assert_eq!(ids("A"), ["A"]);
        assert_eq!(ids("20-b"), ["B", "C", "D"]);
        assert_eq!(ids("20-b-1-f"), Vec::<String>::new());
    }

    #[test]
    fn every_scenario_of_the_repository_is_well_formed() {
        let scenarios = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).unwrap();
        for scenario in &scenarios {
            assert!(!scenario.steps.is_empty(), "{} has no steps", scenario.id);
            assert!(
                scenario.title.ends_with(|end: char| end != '.'),
                "{}: no full stop in titles",
                scenario.id
            );
        }
    }
}
