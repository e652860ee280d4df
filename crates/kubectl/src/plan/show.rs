//! A plan on paper: for people, and for machines.

use std::{collections::BTreeSet, fmt::Write as _};

use api::apps::Feed;
use placement::plan::{Action, Change, Plan, Release};
use serde_json::json;

use crate::output::table;

/// Cluster by cluster, object by object, field by field.
pub(super) fn text(plan: &Plan, colour: bool) -> String {
    let mut text = String::new();
    sections(&mut text, &plan.changes, "", colour);
    sections(&mut text, &plan.waiting, ", with the next change of the feed (ApplyLater)", colour);
    text
}

fn sections(text: &mut String, changes: &[Change], when: &str, colour: bool) {
    for section in changes.chunk_by(|a, b| (&a.cluster, &a.subscription) == (&b.cluster, &b.subscription)) {
        if !text.is_empty() {
            text.push('\n');
        }
        let (cluster, subscription) = (&section[0].cluster, &section[0].subscription);
        // Writing to a String does not fail.
        let _ = writeln!(text, "{cluster}, by Subscription {subscription}{when}:");
        for change in section {
            let (sign, code) = match change.action {
                Action::Create => ('+', "32"),
                Action::Change => ('~', "33"),
                Action::Delete => ('-', "31"),
            };
            let line = format!("  {sign} {}{}", named(&change.object), released(change));
            let _ =
                if colour { writeln!(text, "\x1b[{code}m{line}\x1b[0m") } else { writeln!(text, "{line}") };
            fields(text, change);
        }
    }
}

fn fields(text: &mut String, change: &Change) {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| String::from("(none)"));
    let rows: Vec<Vec<String>> = change
        .fields
        .iter()
        .map(|field| {
            let by = if field.overrides.is_empty() {
                String::from("template")
            } else {
                field.overrides.join(", ")
            };
            vec![field.path.clone(), format!("{} → {}", shown(&field.before), shown(&field.after)), by]
        })
        .collect();
    for line in table(None, &rows).lines() {
        let _ = writeln!(text, "      {line}");
    }
    if change.omitted > 0 {
        let _ = writeln!(text, "      and {} fields more", change.omitted);
    }
}

/// Kind, namespace and name.
fn named(feed: &Feed) -> String {
    let place = feed.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{} {place}{} ({})", feed.kind, feed.name, feed.api_version)
}

/// What a HelmChart is in the cluster.
fn released(change: &Change) -> String {
    let Some(Release { name, namespace, chart, version }) = &change.release else { return String::new() };
    let version = version.as_deref().unwrap_or("(newest)");
    format!(": release {name} in the namespace {namespace}, chart {chart} {version}")
}

/// The plan as JSON.
pub(super) fn json(plan: &Plan) -> String {
    let [create, change, delete] = counted(plan);
    let mut value = json!(plan);
    value["summary"] = json!({ "create": create, "change": change, "delete": delete });
    format!("{value:#}\n")
}

/// What is told beside it, line by line.
pub(super) fn told(plan: &Plan) -> Vec<String> {
    let notes = plan.notes.iter().map(|note| format!("note: {note}"));
    let errors = plan.errors.iter().map(|error| format!("error: {error}"));
    let [create, change, delete] = counted(plan);
    let clusters: BTreeSet<&str> = plan.changes.iter().map(|change| change.cluster.as_str()).collect();
    let summary = if plan.changes.is_empty() {
        String::from("Nothing would change in any cluster.")
    } else {
        format!("{create} to create, {change} to change, {delete} to delete, in {} clusters.", clusters.len())
    };
    notes.chain(errors).chain([summary]).collect()
}

fn counted(plan: &Plan) -> [usize; 3] {
    [Action::Create, Action::Change, Action::Delete]
        .map(|action| plan.changes.iter().filter(|change| change.action == action).count())
}

#[cfg(test)]
mod tests {
    use placement::plan::Field;

    use super::*;

    fn change(action: Action, fields: Vec<Field>) -> Change {
        Change {
            cluster: String::from("n/c"),
            subscription: String::from("default/app"),
            action,
            object: Feed {
                kind: String::from("Deployment"),
                api_version: String::from("apps/v1"),
                namespace: Some(String::from("qux")),
                name: String::from("web"),
            },
            release: None,
            fields,
            omitted: 0,
        }
    }

    fn field(path: &str, overrides: &[&str]) -> Field {
        let overrides = overrides.iter().map(|it| (*it).to_owned()).collect();
        Field { path: path.to_owned(), before: Some(String::from("1")), after: None, overrides }
    }

    #[test]
    fn a_plan_reads_as_a_tree_with_the_override_behind_each_field() {
        let changed = change(
            Action::Change,
            vec![field("/a", &["Globalization g spec.overrides[0]"]), field("/long", &[])],
        );
        let plan = Plan { changes: vec![changed, change(Action::Delete, Vec::new())], ..Plan::default() };
        assert_eq!(
            text(&plan, false),
            "n/c, by Subscription default/app:\n  ~ Deployment qux/web (apps/v1)\n      \
             /a      1 → (none)   Globalization g spec.overrides[0]\n      /long   1 → (none)   template\n  \
             - Deployment qux/web (apps/v1)\n"
        );
        assert!(text(&plan, true).contains("\x1b[31m  - Deployment"));
        assert_eq!(told(&plan), ["0 to create, 1 to change, 1 to delete, in 1 clusters."]);
        assert_eq!(told(&Plan::default()), ["Nothing would change in any cluster."]);
    }

    #[test]
    fn a_chart_is_shown_as_the_release_it_is_in_the_cluster() {
        let mut chart =
            change(Action::Change, vec![field("/values/replicas", &["Globalization g spec.overrides[0]"])]);
        chart.object.kind = String::from("HelmChart");
        let mut release = Release {
            name: String::from("web"),
            namespace: String::from("shop"),
            chart: String::from("nginx"),
            version: Some(String::from("1.2.0")),
        };
        chart.release = Some(release.clone());
        let shown = |chart: &Change| text(&Plan { changes: vec![chart.clone()], ..Plan::default() }, false);
        assert!(
            shown(&chart).contains(
                "~ HelmChart qux/web (apps/v1): release web in the namespace shop, chart nginx 1.2.0\n"
            ),
            "{}",
            shown(&chart)
        );
        release.version = None;
        chart.release = Some(release);
        assert!(shown(&chart).contains("chart nginx (newest)\n"));
    }

    #[test]
    fn for_machines_it_is_json_with_a_summary() {
        let plan = Plan { changes: vec![change(Action::Create, Vec::new())], ..Plan::default() };
        let value: serde_json::Value = serde_json::from_str(&json(&plan)).unwrap();
        assert_eq!(value["summary"], json!({ "create": 1, "change": 0, "delete": 0 }));
        assert_eq!(value["changes"][0]["action"], "create");
        assert_eq!(value["changes"][0]["object"]["kind"], "Deployment");
    }
}
