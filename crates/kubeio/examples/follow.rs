//! What happens to the objects of a resource: `follow KUBECONFIG [GROUP/]VERSION/RESOURCE KIND [RESOURCE_VERSION]`.
//!
//! Every step but the objects' own is printed, with how many objects are there by then.

#![allow(clippy::print_stdout)]

use std::{collections::BTreeSet, path::Path, sync::Arc};

use anyhow::Context as _;
use kubeio::{ClusterAccess, Direct, FileReferences, FollowRequest, Follower, Resource, Selection, Step};
use runtime::Tasks;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::tls::install_crypto_provider();
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what| arguments.next().with_context(|| format!("name a {what}"));
    let kubeconfig = argument("kubeconfig")?;
    let resource = argument("resource")?;
    let kind = argument("kind")?;
    let resume = arguments.next();

    let directory = Path::new(&kubeconfig).parent().unwrap_or_else(|| Path::new(".")).to_owned();
    let text = std::fs::read_to_string(&kubeconfig)?;
    let access = ClusterAccess::from_kubeconfig(&text, None, &FileReferences::RelativeTo(directory))?;
    let transport = Arc::new(Direct::new(access, &Tasks::new())?);

    let resource = match resource.split('/').collect::<Vec<_>>()[..] {
        [version, plural] => Resource::new("", version, plural),
        [group, version, plural] => Resource::new(group, version, plural),
        _ => anyhow::bail!("{resource} is not [GROUP/]VERSION/RESOURCE"),
    };
    let request = FollowRequest { resume, ..FollowRequest::new(Selection::all(resource), kind) };
    let mut follower = Follower::new(transport, request);
    let (mut there, mut listed, mut events) = (BTreeSet::new(), BTreeSet::new(), 0_u64);
    loop {
        match follower.next().await {
            Step::ListBegan => {
                listed.clear();
                print!("list began");
            }
            Step::Listed(object) => {
                listed.insert((object.key.namespace, object.key.name));
                continue;
            }
            Step::ListDone { resource_version } => {
                there = std::mem::take(&mut listed);
                print!("list done at {resource_version}");
            }
            Step::Changed(object) => {
                events += 1;
                there.insert((object.key.namespace, object.key.name));
                continue;
            }
            Step::Deleted(object) => {
                events += 1;
                there.remove(&(object.key.namespace, object.key.name));
                continue;
            }
            Step::Bookmark { resource_version } => print!("bookmark {resource_version}"),
            Step::Unreadable(error) => print!("unreadable: {error}"),
            Step::Failed { error, retry_in } => print!("failed: {error}; again in {retry_in:?}"),
        }
        println!(" ({} objects, {events} events)", there.len());
    }
}
