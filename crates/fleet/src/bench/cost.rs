//! What things cost without any request: size on disk, and memory of tunnels that only stay open.

use anyhow::Context as _;

use super::{Budget, Figure, loader};
use crate::{cargo::cargo, fleet::Fleet};

const MEGABYTE: f64 = 1_000_000.0;
const TUNNELS: usize = 500;

/// Size of the installed programs.
pub(super) fn size(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    [("agent", 12.0), ("hub", 30.0)]
        .into_iter()
        .map(|(program, most)| {
            let path = fleet.bin().join(format!("clusterway-{program}"));
            let bytes = std::fs::metadata(&path)
                .with_context(|| format!("{} is not installed", path.display()))?
                .len();
            Ok(Figure::new("size", program, "MB", bytes as f64 / MEGABYTE, None, Budget::AtMost(most)))
        })
        .collect()
}

/// Memory of an idle tunnel at the hub's end. Taken from a process that holds the tunnels and nothing else: in a hub
/// the caches of the clusters behind them would be counted too.
pub(super) async fn tunnels(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let step = fleet.progress().begin(format_args!("{TUNNELS} idle tunnels"));
    let output = cargo(&["run", "--quiet", "--release", "-p", "tunnel", "--example", "idle", "--target-dir"])
        .arg(loader::built())
        .arg("--")
        .arg(TUNNELS.to_string())
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout);
    let each = kilobytes_each(&text).with_context(|| format!("no figure in {text:?}"))?;
    step.done();
    Ok(vec![Figure::new("tunnels", "idle_memory", "KB", each, None, Budget::AtMost(60.0))])
}

/// The number of `500 idle tunnels: 41.3 KB each`.
fn kilobytes_each(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_suffix(" KB each"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_tunnel_is_found_in_what_the_example_prints() {
        let text = "500 idle tunnels: 41.3 KB each\nkeeping them alive: 0.20 % of a core\n";
        assert_eq!(kilobytes_each(text), Some(41.3));
        assert_eq!(kilobytes_each("no tunnels"), None);
    }
}
