//! `policy render`: what a ClusterImportPolicy would make of the parent's live objects, before it is applied.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use api::{names::SYSTEM_NAMESPACE, policy::ClusterImportPolicy};
use policy::preview::{self, Preview};
use serde::Deserialize as _;
use serde_json::Value;

use crate::{
    args::{Connection, RenderFlags},
    failure::Failure,
    output::{data, say, yaml},
    parent::Parent,
};

/// Prints what the policies in a file would make. It succeeds if nothing stands in the way of any of it.
pub(crate) async fn render(connection: &Connection, flags: &RenderFlags) -> Result<ExitCode, Failure> {
    let policies = read(&flags.filename)?;
    let transport = policy::over(Parent::load(connection)?.client().await?);
    let only = flags.source.as_deref().map(|source| source.split_once('/').unwrap_or(("", source)));
    let mut complete = true;
    for policy in policies {
        let previews = preview::preview(&transport, &policy, only, SYSTEM_NAMESPACE).await;
        let name = policy.metadata.name.unwrap_or_default();
        let previews = previews.map_err(|failure| explained(&name, failure))?;
        let printed = printed(&name, previews, flags)?;
        data(&printed.clusters)?;
        printed.told.iter().for_each(|line| say(line));
        complete &= printed.complete;
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The policies of a file; `-` is the standard input. Whatever else is in it is left.
fn read(file: &Path) -> Result<Vec<ClusterImportPolicy>, Failure> {
    let cannot = || Failure::new(format!("cannot read {}", file.display()));
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| cannot().because(error))?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).map_err(|error| cannot().because(error))?;
    let policies = objects.iter().filter(|object| object["kind"] == "ClusterImportPolicy");
    let policies = policies.map(ClusterImportPolicy::deserialize).collect::<Result<Vec<_>, _>>();
    let policies = policies.map_err(|error| cannot().because(error))?;
    if policies.is_empty() {
        return Err(cannot().because("there is no ClusterImportPolicy in it"));
    }
    Ok(policies)
}

fn explained(name: &str, failure: preview::Failure) -> Failure {
    match failure {
        preview::Failure::Invalid { reason, message } => {
            Failure::new(format!("the policy {name} cannot be used ({reason})")).because(message)
        }
        preview::Failure::Unreadable(why) => Failure::new(format!("the policy {name} cannot be tried")).because(why).next(
            "you need the right to read its source objects and references; the hub needs it too, once the policy is applied",
        ),
    }
}

/// What is printed about one policy.
#[derive(Debug, Default)]
struct Printed {
    /// For stdout: the PediaClusters, as documents of YAML.
    clusters: String,
    /// For stderr, line by line.
    told: Vec<String>,
    /// Nothing stands in the way of any object that the policy selects.
    complete: bool,
}

fn printed(policy: &str, previews: Vec<Preview>, flags: &RenderFlags) -> Result<Printed, Failure> {
    let (all, mut left, mut stopped) = (previews.len(), 0, 0);
    let mut printed = Printed::default();
    let text = &mut printed.clusters;
    for preview in previews {
        match preview {
            Preview::Cluster { source, cluster } => {
                let cluster = if flags.show_credentials { cluster } else { preview::masked(cluster) };
                let _ = write!(text, "---\n# from {source}\n{}", yaml(&cluster)?);
                if !text.ends_with('\n') {
                    text.push('\n');
                }
            }
            Preview::Nothing { source, name, reason, message } => {
                stopped += 1;
                let name = name.map(|name| format!(" as {name}")).unwrap_or_default();
                printed.told.push(format!("{source} is not imported{name}: {reason}: {message}"));
            }
            Preview::Left { source, why } => {
                left += 1;
                // Of all Secrets, most are left.
                if flags.source.is_some() {
                    printed.told.push(format!("{source} is left: {why}"));
                }
            }
        }
    }
    let (selected, made) = (all - left, all - left - stopped);
    printed.told.push(format!(
        "{policy}: {all} source objects, {selected} selected, {made} PediaClusters, {stopped} not imported yet"
    ));
    printed.complete = stopped == 0;
    Ok(printed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flags(source: Option<&str>, show_credentials: bool) -> RenderFlags {
        RenderFlags { filename: "policy.yaml".into(), source: source.map(str::to_owned), show_credentials }
    }

    fn cluster() -> Preview {
        let fields = ["kubeconfig", "caData", "tokenData", "certData", "keyData"];
        let mut cluster = json!({ "kind": "PediaCluster", "spec": { "apiserver": "https://a" } });
        for field in fields {
            cluster["spec"][field] = json!("aHVudGVyMg==");
        }
        Preview::Cluster { source: String::from("clusters.x.io ns/a"), cluster }
    }

    fn left() -> Preview {
        Preview::Left { source: String::from("secrets ns/b"), why: String::from("it is not for policies") }
    }

    #[test]
    fn credentials_are_printed_only_to_who_asks_for_them() {
        let of = |show| printed("p", vec![cluster()], &flags(None, show)).unwrap().clusters;
        let masked = of(false);
        assert!(
            masked.starts_with("---\n# from clusters.x.io ns/a\n") && masked.contains("https://a"),
            "{masked}"
        );
        assert!(!masked.contains("aHVudGVyMg") && !masked.contains("hunter2"), "{masked}");
        assert_eq!(masked.matches("bytes; --show-credentials prints them").count(), 5, "{masked}");
        assert_eq!(of(true).matches("aHVudGVyMg==").count(), 5);
    }

    #[test]
    fn what_stands_in_the_way_is_told_and_is_no_success() {
        let stopped = Preview::Nothing {
            source: String::from("clusters.x.io ns/c"),
            name: Some(String::from("x-c")),
            reason: "WaitCreationCondition",
            message: String::from("it renders to nothing"),
        };
        let printed = printed("p", vec![cluster(), left(), stopped], &flags(None, false)).unwrap();
        assert!(!printed.complete);
        assert_eq!(
            printed.told,
            [
                "clusters.x.io ns/c is not imported as x-c: WaitCreationCondition: it renders to nothing",
                "p: 3 source objects, 2 selected, 1 PediaClusters, 1 not imported yet",
            ]
        );
    }

    #[test]
    fn who_asks_for_one_object_is_told_why_it_is_left() {
        let all = printed("p", vec![left()], &flags(None, false)).unwrap();
        let one = printed("p", vec![left()], &flags(Some("ns/b"), false)).unwrap();
        assert!(all.complete && one.complete && all.clusters.is_empty());
        assert_eq!((all.told.len(), one.told.len()), (1, 2));
        assert_eq!(one.told[0], "secrets ns/b is left: it is not for policies");
    }

    #[test]
    fn policies_are_picked_out_of_a_file_with_other_things() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let spec = "{ source: { group: '', resource: secrets }, nameTemplate: a, template: b, creationCondition: 'true' }";
        let policy = format!("kind: ClusterImportPolicy\nmetadata: {{ name: p }}\nspec: {spec}\n");
        std::fs::write(file.path(), format!("kind: ClusterRole\n---\napiVersion: v1\n{policy}")).unwrap();
        let policies = read(file.path()).unwrap();
        assert_eq!(policies.len(), 1);
        assert_eq!(policies[0].metadata.name.as_deref(), Some("p"));
        std::fs::write(file.path(), "kind: ClusterRole\n").unwrap();
        assert!(read(file.path()).is_err());
    }
}
