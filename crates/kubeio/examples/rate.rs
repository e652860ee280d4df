//! How fast a list is read, and what a watch says: `rate KUBECONFIG [GROUP/]VERSION/RESOURCE [SECONDS]`.
//!
//! Lists three times, in pages of several sizes and in one; then watches for so many seconds.

#![allow(clippy::print_stdout)]

use std::{
    num::NonZeroU32,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use kubeio::{
    ClusterAccess, Direct, FileReferences, List, ListRequest, Resource, Selection, Transport, Watch,
    WatchRequest, discover,
};
use runtime::Tasks;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    runtime::tls::install_crypto_provider();
    let mut arguments = std::env::args().skip(1);
    let kubeconfig = arguments.next().context("name a kubeconfig")?;
    let resource = arguments.next().unwrap_or_else(|| String::from("v1/pods"));
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;

    let directory = Path::new(&kubeconfig).parent().unwrap_or_else(|| Path::new(".")).to_owned();
    let text = std::fs::read_to_string(&kubeconfig)?;
    let access = ClusterAccess::from_kubeconfig(&text, None, &FileReferences::RelativeTo(directory))?;
    let transport: Arc<dyn Transport> = Arc::new(Direct::new(access, &Tasks::new())?);

    let began = Instant::now();
    let discovered = discover(&*transport).await?;
    println!(
        "{} resources, {} group versions unavailable, in {:?}",
        discovered.resources.len(),
        discovered.unavailable.len(),
        began.elapsed()
    );

    let selection = Selection::all(parse(&resource)?);
    let mut version = String::new();
    for page_size in [500, 2_000, 10_000, 0].map(NonZeroU32::new).repeat(3) {
        let mut list = List::new(
            Arc::clone(&transport),
            ListRequest { page_size, ..ListRequest::new(selection.clone()) },
        );
        let began = Instant::now();
        let (mut objects, mut bytes) = (0_u64, 0_usize);
        while let Some(object) = list.next().await? {
            objects += 1;
            bytes += object.len();
        }
        let took = began.elapsed();
        println!(
            "{objects} objects, {bytes} bytes in {took:?}: {:.0} objects/s, {:.1} MB/s, pages of {page_size:?}",
            objects as f64 / took.as_secs_f64(),
            bytes as f64 / took.as_secs_f64() / 1e6
        );
        version = list.resource_version().to_owned();
    }

    let request = WatchRequest { selection, resource_version: version, bookmarks: true };
    let mut watch = Watch::begin(&*transport, &request).await?;
    let end = tokio::time::sleep(Duration::from_secs(seconds));
    tokio::pin!(end);
    let mut events = 0_u64;
    loop {
        tokio::select! {
            () = &mut end => break,
            event = watch.next() => match event? {
                Some(_) => events += 1,
                None => break,
            },
        }
    }
    println!("{events} events in {seconds} s");
    Ok(())
}

fn parse(text: &str) -> anyhow::Result<Resource> {
    match text.split('/').collect::<Vec<_>>()[..] {
        [version, plural] => Ok(Resource::new("", version, plural)),
        [group, version, plural] => Ok(Resource::new(group, version, plural)),
        _ => anyhow::bail!("{text} is not [GROUP/]VERSION/RESOURCE"),
    }
}
