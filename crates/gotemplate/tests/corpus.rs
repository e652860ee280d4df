//! Go's own answers: every case of the corpus gives what Go gives, or is a deviation listed here by name.
//!
//! `go-templates.json` was recorded first; `charts.json` is made by `tools/gotemplate`. An error in Go must be an error
//! here; its text is not compared.

#![cfg(test)]

use std::collections::BTreeMap;

use gotemplate::{Environment, Error, Limits, Template};
use serde_json::Value;

/// Templates that differ from Go's answer, and why.
const DEVIATIONS: &[(&str, &str)] = &[
    (r#"{{derivePassword 1 "long" "pw" "user" "example.com"}}"#, "refused: it is slow by design"),
    (r#"{{ env "HOME" | len | lt 99999 }}"#, "refused: it reaches outside"),
    (r#"{{ genPrivateKey "nope" | len | lt 99999 }}"#, "refused: templates make no keys"),
];

struct Corpus {
    data: Value,
    cases: Vec<Value>,
}

fn corpus(text: &str) -> Corpus {
    let mut json: Value = serde_json::from_str(text).unwrap();
    let Value::Array(cases) = json["cases"].take() else { panic!("cases is a list") };
    Corpus { data: json["data"].take(), cases }
}

fn render(template: &str, data: &Value) -> Result<String, Error> {
    let environment =
        Environment { now: Some("2024-02-29T12:00:00Z".parse().unwrap()), ..Environment::default() };
    Template::parse("t", template)?.render(data, &Limits::default(), &environment)
}

/// What is wrong with a case, if anything.
fn deviation(case: &Value, data: &Value) -> Option<String> {
    let result = render(case["template"].as_str().unwrap(), data);
    match (&case["out"], result) {
        (Value::String(expected), Ok(found)) if *expected == found => None,
        (Value::String(expected), Ok(found)) => Some(format!("Go: {expected:?}\n  here: {found:?}")),
        (Value::String(expected), Err(error)) => Some(format!("Go: {expected:?}\n  here: error {error}")),
        (_, Ok(found)) => Some(format!("Go: error {}\n  here: {found:?}", case["err"])),
        (_, Err(_)) => None,
    }
}

fn check(text: &str) {
    let corpus = corpus(text);
    let mut agreement: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut unexpected = Vec::new();
    for case in &corpus.cases {
        let template = case["template"].as_str().unwrap();
        let (agreed, all) = agreement.entry(case["group"].as_str().unwrap()).or_default();
        *all += 1;
        let known = DEVIATIONS.iter().any(|(known, _)| *known == template);
        match deviation(case, &corpus.data) {
            None => {
                *agreed += 1;
                assert!(!known, "agrees with Go and is listed as a deviation: {template}");
            }
            Some(_) if known => {}
            Some(difference) => unexpected.push(format!("{template}\n  {difference}")),
        }
    }
    for (group, (agreed, all)) in agreement {
        println!("{group}: {agreed} of {all} as Go");
    }
    assert!(unexpected.is_empty(), "{} cases differ from Go:\n{}", unexpected.len(), unexpected.join("\n"));
}

#[test]
fn language_policies_and_sprig_agree_with_go() {
    check(include_str!("corpus/go-templates.json"));
}

#[test]
fn what_policies_and_charts_use_agrees_with_go() {
    check(include_str!("corpus/charts.json"));
}

#[test]
fn the_deviations_are_refused_and_never_rendered() {
    for (template, _) in DEVIATIONS {
        assert!(render(template, &Value::Null).is_err(), "{template}");
    }
}
