//! Structured logs on stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One line a person can read.
    Text,
    /// One JSON object per line.
    Json,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("log format {other:?} is not one of text, json")),
        }
    }
}

/// Starts logging. `filter` is a comma-separated list of levels, for example `info,kube=warn`; an unreadable one is
/// an error that says so.
///
/// Bodies and credentials are never logged: no caller passes them, and the HTTP libraries stay at `warn`, because
/// some of them print headers at lower levels.
pub fn init(format: Format, filter: &str) -> anyhow::Result<()> {
    let quiet =
        "hyper=warn,h2=warn,rustls=warn,tower=warn,tungstenite=warn,kube_client=warn,kube_runtime=warn";
    let filter = EnvFilter::try_new(format!("{quiet},{filter}"))
        .map_err(|e| anyhow::anyhow!("log filter {filter:?} cannot be read: {e}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Format::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).try_init()
        }
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("logging cannot be started: {e}"))
}
