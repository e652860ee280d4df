//! How two objects differ, for people: of a plan, and of drift.
//!
//! Values are shown in a few characters, and those of Secrets never: of a Secret only `type`, `immutable` and the metadata
//! are shown, without the annotations in which tools keep copies of it.

use std::collections::{BTreeMap, BTreeSet};

use api::names::apps::annotations::{KUBECTL_LAST_APPLIED, LAST_APPLIED};
use meta::Quantity;
use serde_json::Value;

use crate::{json, text};

/// The longest shown value, in bytes.
const VALUE: usize = 120;
/// What is shown of a secret.
const HIDDEN: &str = "(hidden)";

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A JSON pointer (RFC 6901) into the first object, or into the second where the field is new.
    pub path: String,
    /// What the first object has there, as JSON of at most 120 bytes; none where it has nothing.
    pub before: Option<String>,
    /// What the second has.
    pub after: Option<String>,
}

/// The fields that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// In the order of their paths, the first of them.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub omitted: usize,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty() && self.omitted == 0
    }
}

/// How two objects differ; at most `limit` fields of it. An object that does not exist is `null`, and differs as a whole.
///
/// Items that were put into a list, or taken out, are found at its front, in its middle or at its end; the others are then
/// no difference.
///
/// ```
/// use placement::diff::diff;
/// use serde_json::json;
///
/// let before = json!({ "kind": "Deployment", "spec": { "replicas": 1, "paused": true } });
/// let after = json!({ "kind": "Deployment", "spec": { "replicas": 2 } });
/// let diff = diff(&before, &after, 100);
/// assert_eq!(diff.differences[0].path, "/spec/paused");
/// assert_eq!(diff.differences[1].before.as_deref(), Some("1"));
/// assert_eq!(diff.differences[1].after.as_deref(), Some("2"));
/// ```
pub fn diff(before: &Value, after: &Value, limit: usize) -> Diff {
    let secret = is_secret(before) || is_secret(after);
    compare(before, after, limit, |path| secret && !is_shown(path))
}

/// The same without any value, for what may be a secret wherever it stands.
pub(crate) fn hidden(before: &Value, after: &Value, limit: usize) -> Diff {
    compare(before, after, limit, |_| true)
}

fn compare(before: &Value, after: &Value, limit: usize, hides: impl Fn(&str) -> bool) -> Diff {
    let mut found = Diff::default();
    let there = |value: &Value| !value.is_null();
    let (before, after) = (Some(before).filter(|v| there(v)), Some(after).filter(|v| there(v)));
    walk(&mut String::new(), before, after, &mut |path, before, after| {
        found.add(path, (before, after), hides(path), limit);
    });
    found
}

/// Where a live object differs from what was applied to it; at most `limit` fields.
///
/// Fields that only the live object has are not drift: the server's defaults and other owners set them. Neither are empty
/// lists and mappings that it leaves out, another way of writing a quantity, the status, or what is at or below one of the
/// `ignored` paths (JSON pointers, for example `/spec/replicas` where an HPA owns it). Items of lists that have names are
/// compared by them, so that an injected container is no drift either.
pub fn drift(applied: &Value, live: &Value, ignored: &[String], limit: usize) -> Diff {
    let secret = is_secret(applied) || is_secret(live);
    let mut found = Diff::default();
    wanted(&mut String::new(), applied, Some(live), &mut |path, applied, live| {
        let below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !below("/status") && !ignored.iter().any(|prefix| below(prefix)) {
            found.add(path, (Some(applied), live), secret && !is_shown(path), limit);
        }
    });
    found
}

/// Paths that differ, without values.
pub(crate) struct Paths {
    pub(crate) paths: Vec<String>,
    pub(crate) omitted: usize,
}

/// The paths at which two values differ.
pub(crate) fn paths(before: &Value, after: &Value, limit: usize) -> Paths {
    let mut found = Paths { paths: Vec::new(), omitted: 0 };
    walk(&mut String::new(), Some(before), Some(after), &mut |path, _, _| {
        if found.paths.len() < limit {
            found.paths.push(path.to_owned());
        } else {
            found.omitted += 1;
        }
    });
    found
}

impl Diff {
    fn add(
        &mut self,
        path: &str,
        (before, after): (Option<&Value>, Option<&Value>),
        hidden: bool,
        limit: usize,
    ) {
        if self.differences.len() >= limit {
            self.omitted += 1;
            return;
        }
        let show = |value: &Value| {
            if hidden { String::from(HIDDEN) } else { text::cut(&value.to_string(), VALUE) }
        };
        self.differences.push(Difference {
            path: path.to_owned(),
            before: before.map(show),
            after: after.map(show),
        });
    }
}

fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
}

/// Whether the value at a path of a Secret may be shown.
fn is_shown(path: &str) -> bool {
    let copies = [LAST_APPLIED, KUBECTL_LAST_APPLIED].map(|key| json::join("/metadata/annotations", key));
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    let metadata = below("/metadata/labels")
        || (below("/metadata/annotations") && !copies.iter().any(|copy| copy == path))
        || ["/metadata/name", "/metadata/namespace", "/metadata/generateName"].contains(&path)
        || below("/metadata/finalizers")
        || below("/metadata/ownerReferences");
    metadata || ["/apiVersion", "/kind", "/type", "/immutable"].contains(&path)
}

type Visit<'v> = dyn FnMut(&str, Option<&Value>, Option<&Value>) + 'v;

/// Visits the innermost fields that differ.
fn walk(path: &mut String, before: Option<&Value>, after: Option<&Value>, visit: &mut Visit<'_>) {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                deeper(path, key, |path| walk(path, before.get(key), after.get(key), visit));
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for (at, earlier, later) in aligned(before, after) {
                deeper(path, &at.to_string(), |path| walk(path, earlier, later, visit));
            }
        }
        (before, after) if before == after => {}
        (before, after) => visit(path, before, after),
    }
}

/// Runs on the path with one more step.
fn deeper(path: &mut String, step: &str, run: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(&step.replace('~', "~0").replace('/', "~1"));
    run(path);
    path.truncate(length);
}

/// An item of two lists: its index, and what each list has.
type Aligned<'v> = (usize, Option<&'v Value>, Option<&'v Value>);

/// The items of two lists beside each other. Lists of one length are compared place by place; of others, what is equal at
/// the front and at the end is left out.
fn aligned<'v>(before: &'v [Value], after: &'v [Value]) -> Vec<Aligned<'v>> {
    let shorter = before.len().min(after.len());
    let (mut front, mut end) = (0, 0);
    if before.len() != after.len() {
        front = before.iter().zip(after).take_while(|(one, other)| one == other).count();
        let ends = before.iter().rev().zip(after.iter().rev()).take(shorter - front);
        end = ends.take_while(|(one, other)| one == other).count();
    }
    let last = before.len().max(after.len()) - end;
    let within = |list: &'v [Value], at: usize| list[..list.len() - end].get(at);
    (front..last).map(|at| (at, within(before, at), within(after, at))).collect()
}

/// Visits the innermost fields of `applied` that `live` does not have so.
fn wanted<'v>(
    path: &mut String,
    applied: &'v Value,
    live: Option<&'v Value>,
    visit: &mut impl FnMut(&str, &'v Value, Option<&'v Value>),
) {
    match (applied, live) {
        (Value::Null, None | Some(Value::Null)) => {}
        (Value::Object(fields), None) if fields.is_empty() => {}
        (Value::Array(items), None) if items.is_empty() => {}
        (Value::Object(applied), Some(Value::Object(live))) => {
            for (key, field) in applied {
                let mut inner = |path: &mut String| wanted(path, field, live.get(key), visit);
                deeper(path, key, &mut inner);
            }
        }
        (Value::Array(items), Some(Value::Array(there))) => {
            let names = (named(items), named(there));
            let by_name = names.0.is_some() && names.1.is_some();
            if !by_name && items.len() != there.len() {
                return visit(path, applied, live);
            }
            for (at, item) in items.iter().enumerate() {
                let other = match &names {
                    (Some(_), Some(by_name)) => {
                        item["name"].as_str().and_then(|name| by_name.get(name).copied())
                    }
                    _ => there.get(at),
                };
                let mut inner = |path: &mut String| wanted(path, item, other, visit);
                deeper(path, &at.to_string(), &mut inner);
            }
        }
        (applied, Some(live)) if applied == live || same_quantity(path, applied, live) => {}
        (applied, live) => visit(path, applied, live),
    }
}

/// The items by their names, if each has one of its own.
fn named(items: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let by_name: Option<BTreeMap<&str, &Value>> =
        items.iter().map(|item| item.get("name").and_then(Value::as_str).map(|name| (name, item))).collect();
    by_name.filter(|by_name| by_name.len() == items.len())
}

/// Whether both are one quantity, which the server writes in a way of its own.
fn same_quantity(path: &str, one: &Value, other: &Value) -> bool {
    let parents = ["requests", "limits", "capacity", "hard"];
    let is_quantity = path.rsplit('/').nth(1).is_some_and(|parent| parents.contains(&parent));
    let canonical = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.parse::<Quantity>().ok().map(|quantity| quantity.to_string())
    };
    is_quantity && canonical(one).is_some_and(|quantity| canonical(other) == Some(quantity))
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
