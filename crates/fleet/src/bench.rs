//! Benchmarks: each figure with its reference from the same run, and whether it keeps its budget.

mod cost;
mod echo;
mod fanout;
mod loader;
mod policies;
mod rest;
mod search;
mod shapes;
mod sync;
mod tunnel;

use futures_util::future::LocalBoxFuture;
use serde::Serialize;

use crate::fleet::Fleet;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// The benchmark it belongs to.
    pub bench: String,
    /// Its name.
    pub figure: String,
    /// The measured value; `None` if it could not be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Of value and reference.
    pub unit: String,
    /// The same measured on what it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<f64>,
    /// Value by reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// What is demanded, such as `ratio <= 2.5`.
    pub budget: String,
    /// Whether it is kept.
    pub ok: bool,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A demand on a figure.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// The value is at most this.
    AtMost(f64),
    /// The ratio to the reference is at most this.
    RatioAtMost(f64),
    /// The ratio to the reference is at least this.
    RatioAtLeast(f64),
    /// Nothing: the figure is there to judge others by.
    None,
}

impl Figure {
    /// A figure that was taken.
    pub fn new(
        bench: &str,
        figure: &str,
        unit: &str,
        value: f64,
        reference: Option<f64>,
        budget: Budget,
    ) -> Self {
        let ratio = reference.filter(|reference| *reference > 0.0).map(|reference| value / reference);
        let (text, ok) = match budget {
            Budget::AtMost(most) => (format!("value <= {most}"), value <= most),
            Budget::RatioAtMost(most) => {
                (format!("ratio <= {most}"), ratio.is_some_and(|ratio| ratio <= most))
            }
            Budget::RatioAtLeast(least) => {
                (format!("ratio >= {least}"), ratio.is_some_and(|ratio| ratio >= least))
            }
            Budget::None => (String::from("for comparison"), true),
        };
        Self {
            bench: bench.to_owned(),
            figure: figure.to_owned(),
            value: Some(rounded(value)),
            unit: unit.to_owned(),
            reference: reference.map(rounded),
            ratio: ratio.map(rounded),
            budget: text,
            ok,
            error: None,
        }
    }

    /// A figure that could not be taken.
    pub fn failed(bench: &str, cause: &anyhow::Error) -> Self {
        Self {
            bench: bench.to_owned(),
            figure: String::from("all"),
            value: None,
            unit: String::new(),
            reference: None,
            ratio: None,
            budget: String::new(),
            ok: false,
            error: Some(format!("{cause:#}")),
        }
    }

    /// The figure as a line of a table.
    pub fn row(&self) -> String {
        if let Some(error) = &self.error {
            return format!("{:<12} {}", self.bench, error);
        }
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
        format!(
            "{:<12} {:<36} {:>12} {:<6} {:>12} {:>8}  {:<16} {}",
            self.bench,
            self.figure,
            number(self.value),
            self.unit,
            number(self.reference),
            number(self.ratio),
            self.budget,
            if self.ok { "ok" } else { "MISSED" }
        )
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// What can be chosen.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many pods the benchmark `search` has in its store.
    pub pods: u32,
    /// How many clusters the benchmark `fanout` simulates, and how many a Subscription of it reaches at most.
    pub clusters: usize,
    /// How often the benchmark `fanout` is repeated at most.
    pub rounds: usize,
    /// The cargo profile of the load generator of `fanout`: what is not `release` is for working on it.
    pub profile: String,
}

/// A benchmark by name. It runs on a fleet with a release build installed.
pub struct Bench {
    /// Its name.
    pub name: &'static str,
    /// Takes its figures.
    pub run: for<'a> fn(&'a Fleet, &'a Options) -> LocalBoxFuture<'a, anyhow::Result<Vec<Figure>>>,
}

/// Every benchmark, in the order they run.
pub fn all() -> Vec<Bench> {
    vec![
        Bench { name: "tunnel", run: |fleet, _| Box::pin(tunnel::small(fleet)) },
        Bench { name: "bulk", run: |fleet, _| Box::pin(tunnel::bulk(fleet)) },
        Bench { name: "writes", run: |fleet, _| Box::pin(rest::writes(fleet)) },
        Bench { name: "size", run: |fleet, _| Box::pin(std::future::ready(cost::size(fleet))) },
        Bench { name: "tunnels", run: |fleet, _| Box::pin(cost::tunnels(fleet)) },
        Bench { name: "search", run: |fleet, options| Box::pin(search::on_sqlite(fleet, options)) },
        Bench {
            name: "search-postgres",
            run: |fleet, options| Box::pin(search::on_postgres(fleet, options)),
        },
        Bench { name: "policies", run: |fleet, _| Box::pin(policies::policies(fleet)) },
        // Last: they leave many pods in a child.
        Bench { name: "idle", run: |fleet, _| Box::pin(rest::idle(fleet)) },
        Bench { name: "sync", run: |fleet, _| Box::pin(sync::sync(fleet)) },
        // It leaves many clusters in the parent that are not there any more.
        Bench { name: "fanout", run: |fleet, options| Box::pin(fanout::fanout(fleet, options)) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_tells_its_ratio_and_whether_the_budget_is_kept() {
        let figure = Figure::new("tunnel", "get_p50", "ms", 2.1, Some(0.9), Budget::RatioAtMost(2.5));
        assert_eq!(
            serde_json::to_string(&figure).unwrap(),
            r#"{"bench":"tunnel","figure":"get_p50","value":2.1,"unit":"ms","reference":0.9,"ratio":2.333,"budget":"ratio <= 2.5","ok":true}"#
        );
    }

    #[test]
    fn a_figure_that_could_not_be_taken_is_not_ok() {
        let figure = Figure::failed("tunnel", &anyhow::anyhow!("no fleet"));
        assert!(!figure.ok && figure.row().contains("no fleet"));
    }
}
