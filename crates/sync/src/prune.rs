//! Whether what is stored of a resource has to go, when nothing selects it (contract 3.9). Pure.
//!
//! A server that starts shows its custom resources late, and one whose aggregated API is down does not show them at
//! all: absence is believed only if it lasts.

use std::{collections::HashMap, time::Duration};

use kubeio::Discovered;
use store::Resource;
use tokio::time::Instant;

/// A resource that the cluster has not shown for so long is gone.
const BELIEVED: Duration = Duration::from_secs(60);

/// Since when resources are not shown.
#[derive(Debug, Default)]
pub(crate) struct Missing(HashMap<Resource, Instant>);

/// What to do with what is stored of a resource that nothing selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The cluster cannot say whether it has it.
    Keep,
    /// It seems gone. Look what the cluster has at this time or later.
    LookAgain(Instant),
    /// It is there and no rule wants it, or it is gone.
    Remove,
}

impl Missing {
    /// It is there, or nobody cares any more.
    pub(crate) fn is_back(&mut self, resource: &Resource) {
        self.0.remove(resource);
    }

    /// Judges a resource that nothing selects of `discovered`, which was asked for at `at`.
    pub(crate) fn judge(&mut self, resource: &Resource, discovered: &Discovered, at: Instant) -> Verdict {
        let shown = discovered.resources.iter().any(|api| {
            let kubeio::Resource { group, version, plural } = &api.resource;
            (group, version, plural) == (&resource.group, &resource.version, &resource.resource)
        });
        if shown {
            return Verdict::Remove;
        }
        if discovered.unavailable.iter().any(|part| part.group == resource.group) {
            return Verdict::Keep;
        }
        let since = *self.0.entry(resource.clone()).or_insert(at);
        let believed = since + BELIEVED;
        if at >= believed { Verdict::Remove } else { Verdict::LookAgain(believed) }
    }
}

#[cfg(test)]
mod tests {
    use kubeio::{ApiResource, Unavailable};

    use super::*;

    fn widgets() -> Resource {
        Resource::new("demo.io", "v1", "widgets")
    }

    #[test]
    fn what_the_cluster_has_and_no_rule_selects_goes_at_once() {
        let api = ApiResource {
            resource: kubeio::Resource::new("demo.io", "v1", "widgets"),
            priority: 0,
            kind: "Widget".into(),
            singular: "widget".into(),
            namespaced: true,
            verbs: Vec::new(),
            short_names: Vec::new(),
            categories: Vec::new(),
        };
        let discovered = Discovered { resources: vec![api], unavailable: Vec::new() };
        assert_eq!(Missing::default().judge(&widgets(), &discovered, Instant::now()), Verdict::Remove);
    }

    #[test]
    fn what_the_cluster_does_not_show_goes_when_it_has_not_shown_it_for_a_while() {
        let (mut missing, now, nothing) = (Missing::default(), Instant::now(), Discovered::default());
        let believed = now + BELIEVED;
        assert_eq!(missing.judge(&widgets(), &nothing, now), Verdict::LookAgain(believed));
        let almost = believed - Duration::from_secs(1);
        assert_eq!(missing.judge(&widgets(), &nothing, almost), Verdict::LookAgain(believed));
        assert_eq!(missing.judge(&widgets(), &nothing, believed), Verdict::Remove);
        missing.is_back(&widgets());
        assert_eq!(missing.judge(&widgets(), &nothing, believed), Verdict::LookAgain(believed + BELIEVED));
    }

    #[test]
    fn what_the_cluster_cannot_show_stays() {
        let down = Unavailable { group: "demo.io".into(), version: "v1".into(), why: "down".into() };
        let discovered = Discovered { resources: Vec::new(), unavailable: vec![down] };
        let (mut missing, now) = (Missing::default(), Instant::now());
        assert_eq!(missing.judge(&widgets(), &discovered, now), Verdict::Keep);
        assert_eq!(missing.judge(&widgets(), &discovered, now + BELIEVED * 2), Verdict::Keep);
    }
}
