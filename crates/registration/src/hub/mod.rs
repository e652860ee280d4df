//! The parent's side: answers registration requests, judges whether clusters report, and cleans up after those that
//! leave.
//!
//! Three kinds of files: what should be, given what is (`decision`, `naming`, `labels`, `objects`, `cluster`, `answer`,
//! `pulse`: pure functions, tested as tables); the thin I/O that makes it so (`approver`, `reseal`, `lifecycle`,
//! `deregister`, `fence`, `token`, `io`); and what wakes them (`run`, `related`).
//!
//! Every step can be repeated: after a crash anywhere the next round finds what is there by name or label and goes on.
//! Deliberately absent: any right on Secrets, and any access to a child.

mod answer;
mod approver;
mod cluster;
mod context;
mod counters;
mod decision;
mod deregister;
mod fence;
mod io;
mod labels;
mod lifecycle;
mod naming;
mod objects;
mod pulse;
mod related;
mod reseal;
mod run;
mod survey;
mod token;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod scenarios;

use std::time::Duration;

use api::names;
pub use run::start;

/// How the hub registers clusters.
#[derive(Debug, Clone)]
pub struct Options {
    /// The hub's own namespace.
    pub namespace: String,
    /// How long a child's token shall live. The parent may give less, and is obeyed. At least ten minutes.
    pub token_lifetime: Duration,
    /// Approve requests without a public key, with a token in clear in their status. Whoever may read requests then
    /// reads credentials.
    pub allow_clear_tokens: bool,
    /// Take all labels an agent asks for at any time, not only those under its own prefixes. Labels place workloads and
    /// secrets.
    pub trust_agent_labels: bool,
    /// How many clusters are worked on at once.
    pub concurrency: u16,
    /// How often everything is looked at although nothing seemed to change.
    pub resync: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: names::SYSTEM_NAMESPACE.to_owned(),
            token_lifetime: Duration::from_hours(24),
            allow_clear_tokens: false,
            trust_agent_labels: false,
            concurrency: 16,
            resync: Duration::from_mins(30),
        }
    }
}
