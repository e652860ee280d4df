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
        let name = policy.metadata.name.unwrap_or_default();
        let previews = preview::preview(&transport, &policy.spec, only, SYSTEM_NAMESPACE).await;
        let previews = previews.map_err(|failure| explained(&name, failure))?;
        complete &= print(&name, previews, flags)?;
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

/// PediaClusters go to stdout, the rest to stderr; whether nothing stands in the way.
fn print(policy: &str, previews: Vec<Preview>, flags: &RenderFlags) -> Result<bool, Failure> {
    let (all, mut left, mut stopped) = (previews.len(), 0, 0);
    let mut text = String::new();
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
                say(&format!("{source} is not imported{name}: {reason}: {message}"));
            }
            Preview::Left { source } => {
                left += 1;
                // Of all Secrets, most are not selected.
                if flags.source.is_some() {
                    say(&format!("{source} is not selected"));
                }
            }
        }
    }
    data(&text)?;
    let made = all - left - stopped;
    say(&format!(
        "{policy}: {all} source objects, {} selected, {made} PediaClusters, {stopped} not imported yet",
        all - left
    ));
    Ok(stopped == 0)
}
