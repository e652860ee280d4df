//! Records golden files again: what a real API server prints of the objects in them.
//!
//! `tests/golden/README.md` has the commands. For each file: the objects are written straight into etcd, because no
//! API server would admit half of them, with every time moved so that their ages stay what they were; then they are
//! read back as JSON and as a Table. At last `src/columns.json` is written from the columns of all golden files.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

/// A golden file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Golden {
    group: String,
    /// The first is the one the objects are written in.
    versions: Vec<String>,
    kind: String,
    plural: String,
    /// Where etcd keeps objects of this kind; without it, what the server has by itself is recorded.
    etcd: Option<String>,
    now: Timestamp,
    #[serde(default)]
    columns: Vec<Value>,
    rows: Vec<Row>,
}

/// An object in each of the versions, and its cells.
#[derive(Serialize, Deserialize)]
struct Row {
    objects: Vec<Value>,
    #[serde(default)]
    cells: Vec<Value>,
}

struct Server {
    url: String,
    token: String,
    etcd: String,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(token), Some(etcd)) = (args.next(), args.next(), args.next()) else {
        bail!("usage: record https://API-SERVER TOKEN http://ETCD FILE...");
    };
    let server = Server { url, token, etcd };
    for file in args.map(PathBuf::from) {
        record(&server, &file).with_context(|| file.display().to_string())?;
    }
    write_columns(Path::new(env!("CARGO_MANIFEST_DIR")))
}

fn record(server: &Server, file: &Path) -> Result<()> {
    let mut golden: Golden = serde_json::from_slice(&std::fs::read(file)?)?;
    let (started, _) = server.get("/version", "application/json")?;
    let shift = started.duration_since(golden.now);
    if let Some(prefix) = &golden.etcd {
        for row in &mut golden.rows {
            row.objects.truncate(1);
            let object = row.objects.first_mut().context("a row without an object")?;
            move_times(object, shift);
            let (namespace, name) = key(object);
            let separator = if namespace.is_empty() { "" } else { "/" };
            server.put(&format!("{prefix}/{namespace}{separator}{name}"), object)?;
        }
    }
    for _ in 0..20 {
        if let Some(recorded) = read(server, &golden)? {
            return write(file, &recorded);
        }
    }
    bail!("the server's answers do not settle")
}

/// What the server has and prints; nothing if it was not all of one second and of one state.
fn read(server: &Server, golden: &Golden) -> Result<Option<Golden>> {
    let (now, _) = server.get("/version", "application/json")?;
    let mut lists = Vec::new();
    let mut tables = Vec::new();
    for version in &golden.versions {
        let root = if golden.group.is_empty() { "/api".into() } else { format!("/apis/{}", golden.group) };
        let path = format!("{root}/{version}/{}", golden.plural);
        let (tabled, table) = server.get(&path, TABLE)?;
        let (_, list) = server.get(&path, "application/json")?;
        ensure!(table["kind"] == "Table", "no Table: {table}");
        if tabled != now {
            return Ok(None);
        }
        lists.push(by_key(&list["items"], |item| item));
        tables.push((table["columnDefinitions"].clone(), by_key(&table["rows"], |row| &row["object"])));
    }
    if server.get("/version", "application/json")?.0 != now {
        return Ok(None);
    }

    let keys: Vec<_> = match golden.etcd {
        Some(_) => golden.rows.iter().filter_map(|row| row.objects.first()).map(key).collect(),
        None => lists[0].keys().cloned().collect(),
    };
    let mut rows = Vec::new();
    for key in keys {
        let mut row = Row { objects: Vec::new(), cells: Vec::new() };
        for ((version, list), (_, table)) in golden.versions.iter().zip(&lists).zip(&tables) {
            let (Some(object), Some(printed)) = (list.get(&key), table.get(&key)) else { return Ok(None) };
            let state = |object: &Value| object["metadata"]["resourceVersion"].clone();
            if state(object) != state(&printed["object"]) {
                return Ok(None);
            }
            let cells = printed["cells"].as_array().cloned().unwrap_or_default();
            ensure!(row.objects.is_empty() || row.cells == cells, "{key:?}: versions print differently");
            row.cells = cells;
            row.objects.push(stored(object, golden, version));
        }
        rows.push(row);
    }
    Ok(Some(Golden {
        group: golden.group.clone(),
        versions: golden.versions.clone(),
        kind: golden.kind.clone(),
        plural: golden.plural.clone(),
        etcd: golden.etcd.clone(),
        now,
        columns: tables.swap_remove(0).0.as_array().cloned().unwrap_or_default(),
        rows,
    }))
}

/// An object as it is kept: with its kind, which lists leave out, and without what says nothing about it.
fn stored(object: &Value, golden: &Golden, version: &str) -> Value {
    let mut object = object.clone();
    let separator = if golden.group.is_empty() { "" } else { "/" };
    object["apiVersion"] = json!(format!("{}{separator}{version}", golden.group));
    object["kind"] = json!(golden.kind);
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

fn key(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

fn by_key(items: &Value, object: impl Fn(&Value) -> &Value) -> BTreeMap<(String, String), Value> {
    items.as_array().into_iter().flatten().map(|item| (key(object(item)), item.clone())).collect()
}

fn move_times(value: &mut Value, shift: SignedDuration) {
    match value {
        Value::String(text) => {
            if let Some(moved) = text.parse::<Timestamp>().ok().and_then(|at| at.checked_add(shift).ok()) {
                *text = if text.contains('.') { format!("{moved:.6}") } else { moved.to_string() };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_times(item, shift)),
        Value::Object(fields) => fields.values_mut().for_each(|item| move_times(item, shift)),
        _ => {}
    }
}

impl Server {
    /// The Date and the body of the answer.
    fn get(&self, path: &str, accept: &str) -> Result<(Timestamp, Value)> {
        let answer = curl(
            &["-k", "-i", "--http1.1", "-H", &format!("Authorization: Bearer {}", self.token)],
            &["-H", &format!("Accept: {accept}"), &format!("{}{path}", self.url)],
            &[],
        )?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no header")?;
        let date = head.lines().find_map(|line| line.strip_prefix("Date: ")).context("no Date")?;
        Ok((rfc2822::parse(date)?.timestamp(), serde_json::from_str(body)?))
    }

    /// Writes an object into etcd, through its gateway for JSON.
    fn put(&self, key: &str, object: &Value) -> Result<()> {
        let body = json!({"key": base64(key.as_bytes()), "value": base64(object.to_string().as_bytes())});
        curl(
            &["--fail"],
            &["--data", "@-", &format!("{}/v3/kv/put", self.etcd)],
            body.to_string().as_bytes(),
        )?;
        Ok(())
    }
}

fn curl(options: &[&str], rest: &[&str], input: &[u8]) -> Result<String> {
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error"])
        .args(options)
        .args(rest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("curl")?;
    child.stdin.take().context("curl's input")?.write_all(input)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "curl failed");
    Ok(String::from_utf8(output.stdout)?)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Writes a golden file: one line for each column and each row.
fn write(file: &Path, golden: &Golden) -> Result<()> {
    let mut head = serde_json::to_value(golden)?;
    let parts = head.as_object_mut().context("not an object")?;
    let lines = |items: &Value| {
        let lines: Vec<_> = items.as_array().into_iter().flatten().map(Value::to_string).collect();
        lines.join(",\n")
    };
    let columns = lines(&parts.remove("columns").unwrap_or_default());
    let rows = lines(&parts.remove("rows").unwrap_or_default());
    let head = serde_json::to_string(parts)?;
    let head = head.trim_end_matches('}');
    std::fs::write(file, format!("{head},\n\"columns\":[\n{columns}\n],\n\"rows\":[\n{rows}\n]}}\n"))?;
    Ok(())
}

/// Writes the columns of all golden files where the library reads them: one line for each.
fn write_columns(package: &Path) -> Result<()> {
    let mut columns = BTreeMap::new();
    for file in std::fs::read_dir(package.join("tests/golden"))? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            let golden: Golden = serde_json::from_slice(&std::fs::read(&file)?)?;
            columns.insert(format!("{}.{}", golden.plural, golden.group), golden.columns);
        }
    }
    let kinds: Vec<_> = columns
        .iter()
        .map(|(kind, columns)| {
            let lines: Vec<_> = columns.iter().map(Value::to_string).collect();
            format!("\"{kind}\":[\n{}\n]", lines.join(",\n"))
        })
        .collect();
    let text = format!("{{\n{}\n}}\n", kinds.join(",\n"));
    std::fs::write(package.join("src/columns.json"), text)?;
    Ok(())
}
