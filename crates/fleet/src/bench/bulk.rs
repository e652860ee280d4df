//! A big answer of a static source in the child, beside the same bytes over plain TLS relays with as many legs.

use std::time::Duration;

use anyhow::Context as _;

use crate::{
    bench::{
        Budget, Figure,
        generator::{Generator, Question, Server, admit, number},
    },
    fleet::Fleet,
};

const BYTES: u64 = 1 << 30;
/// Parent, hub, parent again (the tunnel comes through it), agent.
const RELAYS: usize = 4;

pub(super) async fn run(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    admit(fleet).await?;
    let generator = Generator::build().await?;
    let child = fleet.cluster("child1")?;
    let source = generator.serve(&[String::from("serve"), format!("--listen={}:0", child.address())]).await?;

    let name = Fleet::agent_name(&child);
    let before = fleet.process(&name).context("no agent runs")?.spec;
    let mut allowing = before.clone();
    allowing.args.push(format!("--allow-target=http://{}", source.address));
    fleet.stop(&name).await?;
    fleet.start(allowing)?;
    let figures = async {
        fleet.until_visitable(&child, Duration::from_secs(90)).await?;
        measure(fleet, &generator, &source).await
    }
    .await;
    fleet.stop(&name).await?;
    fleet.start(before)?;
    fleet.until_visitable(&child, Duration::from_secs(90)).await?;
    figures
}

async fn measure(fleet: &Fleet, generator: &Generator, source: &Server) -> anyhow::Result<Vec<Figure>> {
    let child = fleet.cluster("child1")?;
    let bulk = format!("/http/{}/bulk?bytes={BYTES}", source.address);
    let through = Question::through(fleet, &child, &bulk).await?;
    let relays = relays(fleet, generator, source).await?;
    let last = relays.last().context("no relay")?;
    let certificate = fleet.directory().join(format!("relay-{}.crt", RELAYS - 1));
    let reference = Question::of(&format!("https://{}/bulk?bytes={BYTES}", last.address), &certificate);

    let relayed = number(&generator.measure(&reference.args("bulk", &[])).await?, "mib_per_second")?;
    let tunnelled = number(&generator.measure(&through.args("bulk", &[])).await?, "mib_per_second")?;

    let small = Question::through(fleet, &child, "/direct/api/v1/namespaces/demo/configmaps/kube-root-ca.crt").await?;
    let few = small.args("get", &["--workers=1", "--requests=500", "--warmup=50"]);
    let alone = number(&generator.measure(&few).await?, "p99_ms")?;
    let big_args = through.args("bulk", &[]);
    let beside = tokio::select! {
        small = generator.measure(&few) => number(&small?, "p99_ms")?,
        // One big answer may be over first: then there is another.
        never = async {
            loop {
                if let Err(cause) = generator.measure(&big_args).await {
                    return cause;
                }
            }
        } => return Err(never),
    };
    Ok(vec![
        Figure::new("bulk", "through_parent", "MiB/s", tunnelled, Some(relayed), Budget::RatioAtLeast(0.8)),
        Figure::new("bulk", "small_p99_beside", "ms", beside, Some(alone), Budget::RatioAtMost(2.0)),
    ])
}

/// A chain of TLS relays; the last one is where a client connects.
async fn relays(fleet: &Fleet, generator: &Generator, source: &Server) -> anyhow::Result<Vec<Server>> {
    let mut chain: Vec<Server> = Vec::new();
    for number in 0..RELAYS {
        let certificate = |number: usize| fleet.directory().join(format!("relay-{number}.crt"));
        let to = chain.last().map_or(&source.address, |relay| &relay.address);
        let mut args =
            vec![String::from("relay"), format!("--to={to}"), format!("--certificate={}", certificate(number).display())];
        if number > 0 {
            args.push(format!("--to-certificate={}", certificate(number - 1).display()));
        }
        chain.push(generator.serve(&args).await?);
    }
    Ok(chain)
}
