//! What holds for any objects and any order of events.

use api::policy::{ClusterImportPolicySpec, LifecycleReference};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    cluster::decode,
    imports::{Imports, Outcome},
    recipe::Recipe,
    sources::{Seen, Sources},
    template::Objects,
};

const KEPT: [&str; 7] =
    ["clusterId", "apiserver", "kubeconfig", "caData", "tokenData", "certData", "keyData"];

fn values() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![Just(json!("")), Just(json!("YQ==")), Just(json!("Yg==")), Just(Value::Null)];
    let field = prop::sample::select(KEPT.to_vec());
    prop::collection::vec((field, value), 0..7)
        .prop_map(|fields| fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect())
}

/// What happens to one of a few source objects.
#[derive(Debug, Clone)]
enum Event {
    Changed(u8, u8),
    Deleted(u8),
    /// Everything is listed anew.
    Listed,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..6_u8, 0..4_u8).prop_map(|(object, state)| Event::Changed(object, state)),
        2 => (0..6_u8).prop_map(Event::Deleted),
        1 => Just(Event::Listed),
    ];
    prop::collection::vec(event, 0..40)
}

fn seen(state: u8) -> Seen {
    let outcome = match state {
        0 => Outcome::Left,
        1 => Outcome::Failed(String::from("why")),
        name => Outcome::Taken(format!("n{name}")),
    };
    Seen { digest: u64::from(state), outcome }
}

fn key(object: u8) -> (String, String) {
    (String::new(), format!("o{object}"))
}

proptest! {
    #[test]
    fn after_a_change_there_is_nothing_to_change_and_the_rest_is_as_it_was(
        mut existing in values(), mut rendered in values(), rules in 0..3_usize,
    ) {
        existing.insert("syncResources".to_owned(), json!([{ "group": "", "resources": vec!["pods"; rules] }]));
        rendered.insert("apiserver".to_owned(), json!("https://a"));
        rendered.insert("syncResources".to_owned(), json!([]));
        let rendered = decode(&json!({ "spec": rendered }).to_string()).unwrap();
        let mut cluster = json!({ "spec": existing });
        if let Some(changes) = rendered.changes(&cluster) {
            for (field, value) in changes["spec"].as_object().unwrap() {
                prop_assert!(KEPT.contains(&field.as_str()));
                if value.is_null() {
                    cluster["spec"].as_object_mut().unwrap().remove(field);
                } else {
                    cluster["spec"][field] = value.clone();
                }
            }
        }
        prop_assert_eq!(rendered.changes(&cluster), None);
        prop_assert_eq!(&cluster["spec"]["syncResources"], &existing["syncResources"]);
    }

    #[test]
    fn however_it_came_about_what_is_wanted_follows_from_what_there_is(events in events(), holder in 0..6_u8) {
        let mut there = std::collections::BTreeMap::new();
        let mut sources = Sources::default();
        for event in events {
            match event {
                Event::Changed(object, state) => {
                    let matters = sources.changed(key(object), seen(state));
                    prop_assert_eq!(there.insert(key(object), state) != Some(state), matters);
                }
                Event::Deleted(object) => {
                    sources.deleted(&key(object));
                    there.remove(&key(object));
                }
                Event::Listed => {
                    sources.list_began();
                    for (key, state) in &there {
                        sources.listed(key.clone(), seen(*state));
                    }
                    prop_assert_eq!(sources.list_done(), vec![], "a list shows what was known");
                }
            }
        }
        let mut fresh = Sources::default();
        for (key, state) in &there {
            fresh.changed(key.clone(), seen(*state));
        }
        let holders = [(String::from("n2"), key(holder))].into();
        prop_assert_eq!(sources.wanted(&holders), fresh.wanted(&holders));
    }

    /// Pieces of templates that read the secret in every way that may go wrong.
    #[test]
    fn no_message_repeats_what_an_object_holds(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{{ .source.secret }}", "{{ .source.secret | b64dec }}", "{{ if eq .source.secret 1 }}x{{ end }}",
            "{{ .source.secret.deeper }}", "{{ fromJson .source.secret }}", "{{ index .source.secret 1 2 }}",
            "{{ range .source.secret }}{{ end }}", "spec: {", "spec:", "\n", "- ", "{{ toYaml .source }}", "'", ": ",
            "{{ int .source.secret }}", "{{ regexMatch .source.secret \"x\" }}", "syncResources: [], apiserver: a, tokenData: ",
            "{{ fail .source.secret }}", "}", "{{ if", "{{ .source.secret | trunc \"x\" }}", "{{ template .source.secret }}",
        ]), 1..6),
    ) {
        let text = pieces.concat();
        let mut told = Vec::new();
        let source = json!({ "metadata": { "name": "a" }, "secret": "Hunter2 !" });
        let policy = ClusterImportPolicySpec {
            name_template: text.clone(), template: text.clone(), creation_condition: text.clone(),
            ..ClusterImportPolicySpec::default()
        };
        match Imports::parse(&policy) {
            Err(problem) => told.push(problem.message),
            Ok(imports) => if let Outcome::Failed(why) = imports.outcome(source.clone()) { told.push(why) },
        }
        let reference = LifecycleReference { key: "k".into(), name_template: text.clone(), ..LifecycleReference::default() };
        if let Ok(recipe) = Recipe::parse(&[reference], &text, &text) {
            let objects = Objects::of(source);
            told.extend(recipe.may_begin(&objects).err().map(|problem| problem.message));
            told.extend(recipe.cluster(&objects).err().map(|problem| problem.message));
            told.extend(recipe.references()[0].locate(&objects).err().map(|problem| problem.message));
        }
        for message in told {
            prop_assert!(!message.contains("unter2"), "{}: {}", text, message);
        }
    }
}
