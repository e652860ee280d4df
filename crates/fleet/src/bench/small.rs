//! A small GET through parent, hub, tunnel and agent, beside the same GET asked of the child directly.

use crate::{
    bench::{
        Budget, Figure,
        generator::{Generator, Question, admit, number},
    },
    fleet::Fleet,
};

const PATH: &str = "/api/v1/namespaces/demo/configmaps/kube-root-ca.crt";

pub(super) async fn run(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    admit(fleet).await?;
    let generator = Generator::build().await?;
    let child = fleet.cluster("child1")?;
    let direct = Question::direct(&child, PATH).await?;
    let through = Question::through(fleet, &child, &format!("/direct{PATH}")).await?;
    // Answered by the hub from memory: what the parent's aggregation costs by itself.
    let aggregated = Question::of_parent(fleet, "/apis/proxies.clusternet.io/v1alpha1")?;

    let one = ["--workers=1", "--requests=3000", "--warmup=300"];
    let (direct_one, through_one) =
        (generator.measure(&direct.args("get", &one)).await?, generator.measure(&through.args("get", &one)).await?);
    let many = ["--workers=16", "--requests=10000", "--warmup=1000"];
    let rate = async |question: &Question| number(&generator.measure(&question.args("get", &many)).await?, "rate");
    let (direct_rate, aggregated_rate, through_rate) =
        (rate(&direct).await?, rate(&aggregated).await?, rate(&through).await?);
    // Stricter than the budget's chain: the leg of the WebSocket through the parent is not taken off.
    let chain = 1.0 / (1.0 / direct_rate + 1.0 / aggregated_rate);
    Ok(vec![
        Figure::new(
            "tunnel",
            "get_p50",
            "ms",
            number(&through_one, "p50_ms")?,
            Some(number(&direct_one, "p50_ms")?),
            Budget::RatioAtMost(2.5),
        ),
        Figure::new("tunnel", "get_rate_16_workers", "1/s", through_rate, Some(chain), Budget::RatioAtLeast(0.8)),
    ])
}
