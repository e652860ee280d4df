//! A plain evaluator of overrides: written from the RFCs and the contract, slow and without limits, and compared.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::given::{deployment, globalization, localization, render};

/// RFC 7386, section 2.
fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut fields = match target {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in patch {
        let before = fields.remove(name);
        if !value.is_null() {
            fields.insert(name.clone(), merge_patch(before.unwrap_or(Value::Null), value));
        }
    }
    Value::Object(fields)
}

/// The steps of a JSON pointer (RFC 6901).
fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

fn get(value: &Value, steps: &[String]) -> Option<Value> {
    let Some((first, rest)) = steps.split_first() else { return Some(value.clone()) };
    match value {
        Value::Object(fields) => get(fields.get(first)?, rest),
        Value::Array(items) => get(items.get(index(first)?)?, rest),
        _ => None,
    }
}

/// An index of a list: digits, and no zero in front.
fn index(step: &str) -> Option<usize> {
    let number: usize = step.parse().ok()?;
    (number.to_string() == step).then_some(number)
}

/// The value with what is at `steps` changed by `change`, which is given the holder of the last step.
fn at(value: Value, steps: &[String], change: &dyn Fn(Value, &str) -> Option<Value>) -> Option<Value> {
    match (steps, value) {
        ([last], value) => change(value, last),
        ([first, rest @ ..], Value::Object(mut fields)) => {
            let inner = fields.remove(first)?;
            fields.insert(first.clone(), at(inner, rest, change)?);
            Some(Value::Object(fields))
        }
        ([first, rest @ ..], Value::Array(mut items)) => {
            let place = items.get_mut(index(first)?)?;
            *place = at(place.clone(), rest, change)?;
            Some(Value::Array(items))
        }
        _ => None,
    }
}

fn add(document: Value, steps: &[String], new: &Value) -> Option<Value> {
    if steps.is_empty() {
        return Some(new.clone());
    }
    at(document, steps, &|holder, last| match holder {
        Value::Object(mut fields) => {
            fields.insert(last.to_owned(), new.clone());
            Some(Value::Object(fields))
        }
        Value::Array(mut items) => {
            let place = if last == "-" { items.len() } else { index(last)? };
            if place > items.len() {
                return None;
            }
            items.insert(place, new.clone());
            Some(Value::Array(items))
        }
        _ => None,
    })
}

fn remove(document: Value, steps: &[String]) -> Option<Value> {
    at(document, steps, &|holder, last| match holder {
        Value::Object(mut fields) => fields.remove(last).map(|_| Value::Object(fields)),
        Value::Array(mut items) => {
            let place = index(last).filter(|place| *place < items.len())?;
            items.remove(place);
            Some(Value::Array(items))
        }
        _ => None,
    })
}

/// What an operation comes to.
enum Outcome {
    Done(Value),
    Missing,
    Wrong,
}

/// RFC 6902, section 4.
fn operation(document: Value, operation: &Value) -> Outcome {
    let path = steps(operation["path"].as_str().unwrap());
    let from = operation["from"].as_str().map(steps);
    let result = match operation["op"].as_str().unwrap() {
        "add" => add(document, &path, &operation["value"]),
        "remove" => remove(document, &path),
        "replace" if path.is_empty() => Some(operation["value"].clone()),
        "replace" => get(&document, &path).and_then(|_| {
            let put = |holder: Value, last: &str| match holder {
                Value::Object(mut fields) => {
                    fields.insert(last.to_owned(), operation["value"].clone());
                    Some(Value::Object(fields))
                }
                Value::Array(mut items) => {
                    *items.get_mut(index(last)?)? = operation["value"].clone();
                    Some(Value::Array(items))
                }
                _ => None,
            };
            at(document, &path, &put)
        }),
        "copy" => get(&document, &from.unwrap()).and_then(|value| add(document, &path, &value)),
        "move" => {
            let from = from.unwrap();
            if path.len() > from.len() && path.starts_with(&from) {
                return Outcome::Wrong;
            }
            get(&document, &from)
                .and_then(|value| remove(document, &from).and_then(|rest| add(rest, &path, &value)))
        }
        _ => match get(&document, &path) {
            Some(value) if value == operation["value"] => Some(document),
            Some(_) => return Outcome::Wrong,
            None => None,
        },
    };
    result.map_or(Outcome::Missing, Outcome::Done)
}

/// One override, as a test makes it.
#[derive(Debug, Clone)]
struct Config {
    /// `MergePatch` or `JSONPatch`.
    type_: &'static str,
    value: Value,
}

/// An object with overrides, as a test makes it.
#[derive(Debug, Clone)]
struct Given {
    local: bool,
    priority: i32,
    configs: Vec<Config>,
}

/// What is left of the object, and how many overrides were skipped; none where one is wrong. Without the limits.
fn evaluate(object: &Value, given: &[Given]) -> Option<(Value, usize)> {
    let mut order: Vec<(usize, &Given)> = given.iter().enumerate().collect();
    order.sort_by_key(|(at, given)| (given.local, given.priority, *at));
    let (mut current, mut skipped) = (object.clone(), 0);
    for config in order.into_iter().flat_map(|(_, given)| &given.configs) {
        let next = if config.type_ == "MergePatch" {
            if !config.value.is_object() {
                return None;
            }
            Some(merge_patch(current.clone(), &config.value))
        } else {
            let mut document = Some(current.clone());
            for one in config.value.as_array().unwrap() {
                document = match operation(document.unwrap(), one) {
                    Outcome::Done(next) => Some(next),
                    Outcome::Missing => None,
                    Outcome::Wrong => return None,
                };
                if document.is_none() {
                    break;
                }
            }
            document
        };
        let Some(next) = next else {
            skipped += 1;
            continue;
        };
        let same = |path: &str| next.pointer(path) == object.pointer(path);
        if !["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"].into_iter().all(same) {
            return None;
        }
        current = next;
    }
    let fields = current.as_object_mut()?;
    fields.remove("status");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("uid");
        metadata.remove("managedFields");
    }
    Some((current, skipped))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3).prop_map(Value::from),
        "(|yes|1|~|a b|null|[a-c: #\"'-]{1,4})".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..3)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::from("spec")),
        3 => "(a|b|c/d|e~f|labels|replicas|template|containers)",
        1 => "(metadata|status|uid|name|0)",
    ]
}

/// Paths that often are there.
fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "(/spec|/metadata/labels|/spec/template|/spec/list|/spec/list/[0-3-]|/spec/a|/spec/b|/spec/c~1d|/metadata/labels/app|/spec/replicas)",
        2 => "(/spec/template/spec/containers/[0-2]|/spec/template/spec/containers/-|/spec/list/0/x|/status|/spec/e~0f|/spec/a/b)",
        1 => "(|/|/nope/x|/spec/list/01|/spec/list/9|/kind|/metadata/name|/spec/replicas/x)",
    ]
}

fn an_operation() -> impl Strategy<Value = Value> {
    let plain = |op: &'static str| {
        (path(), value()).prop_map(move |(path, value)| json!({ "op": op, "path": path, "value": value }))
    };
    let between = |op: &'static str| {
        (path(), path()).prop_map(move |(path, from)| json!({ "op": op, "path": path, "from": from }))
    };
    prop_oneof![
        4 => plain("add"),
        3 => plain("replace"),
        2 => path().prop_map(|path| json!({ "op": "remove", "path": path })),
        1 => between("copy"),
        1 => between("move"),
        1 => plain("test"),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let fields = prop::collection::btree_map(key(), value(), 0..3);
    let merge = fields.prop_map(|fields| fields.into_iter().collect::<Value>());
    prop_oneof![
        merge.prop_map(|value| Config { type_: "MergePatch", value }),
        prop::collection::vec(an_operation(), 0..3)
            .prop_map(|operations| Config { type_: "JSONPatch", value: Value::from(operations) }),
    ]
}

fn given() -> impl Strategy<Value = Given> {
    (any::<bool>(), 0..3, prop::collection::vec(config(), 1..3))
        .prop_map(|(local, priority, configs)| Given { local, priority, configs })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn overrides_do_what_the_plain_evaluator_does(all in prop::collection::vec(given(), 1..4), yaml in any::<bool>()) {
        let mut object = deployment();
        object["spec"]["list"] = json!([1, { "x": 1 }, "z"]);
        object["status"] = json!({ "replicas": 1 });
        let rules: Vec<_> = all.iter().enumerate().map(|(at, given)| {
            let overrides: Vec<Value> = given.configs.iter().map(|config| {
                let text = if yaml { serde_saphyr::to_string(&config.value).unwrap() } else { config.value.to_string() };
                json!({ "type": config.type_, "value": text })
            }).collect();
            let spec = json!({ "priority": given.priority, "overrides": overrides });
            // Of one priority the names are in the order they were made.
            let name = format!("r{at}");
            if given.local { localization(&name, &spec) } else { globalization(&name, &spec) }
        }).collect();
        match (render(&object, &rules), evaluate(&object, &all)) {
            (Ok(rendered), Some((expected, skipped))) => {
                prop_assert_eq!(&rendered.object, &expected);
                prop_assert_eq!(rendered.skipped.len(), skipped);
                // What differs was changed by an override that is known.
                let before = render(&object, &[]).unwrap().object;
                for difference in placement::diff::diff(&before, &expected, 100).differences {
                    // Items of lists have moved since.
                    let fixed = difference.path.split('/').take_while(|step| step.parse::<u8>().is_err());
                    let path = fixed.collect::<Vec<_>>().join("/");
                    prop_assert!(!rendered.provenance.of(&path).is_empty(), "{}", difference.path);
                }
            }
            (Err(_), None) => {}
            (ours, theirs) => prop_assert!(false, "{ours:?} is not {theirs:?}"),
        }
    }
}
