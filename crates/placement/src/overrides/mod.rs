//! How a feed differs from cluster to cluster (contract section 5.7).
//!
//! A [`Rule`] is a Globalization or Localization. [`in_order`] finds those for a feed in a cluster and puts them in order:
//! Globalizations by ascending priority, then Localizations by ascending priority, the older first where priorities are
//! equal. [`object`] applies them to an ordinary object, [`chart`] to a HelmChart and its values. Later wins.
//!
//! What is applied to what:
//!
//! | type | object | values of a chart | chart, with `overrideChart` |
//! |---|---|---|---|
//! | `Helm` | – | merged | merged into the HelmChart |
//! | `JSONPatch` | RFC 6902 | RFC 6902 | – |
//! | `MergePatch` | RFC 7386 | RFC 7386 | – |
//! | `FieldJSONPatch`, `FieldMergePatch` | to the document in the text at `fieldPath` | – | – |
//!
//! An override without `feed` and `feedSelector` is for every feed of the cluster. Such an override, and one with a
//! `feedSelector`, is for the sort of feed its type is made for: `Helm` for charts, the others for objects, so that one that
//! labels everything puts no `metadata` into the values of charts. An override that names its feed and is of a type that is
//! not for it (a dash above) does nothing, and is told of.
//!
//! An override with a selector that is none may be for a feed or not. Whatever of it can be read still tells what it is not
//! for; what it may be for is not rendered, so that a slip of the pen does not take from what runs what the override gave it.
//!
//! Nothing is silent. An override either is applied, or is in [`Skipped`] (the path of a JSON patch is missing, and the value
//! is skipped as a whole; the feed is deployed without it), or is an [`OverrideError`] (the feed cannot be deployed to this
//! cluster). Both name override, cluster and path. What changed is in [`Provenance`].
//!
//! Deliberately different from the contract's reference: a HelmChart's values keep a key `status`; `fieldFormat` is YAML
//! when it is not set; a slash in a key of `fieldPath` can be written `~1`; no override can make another object of the one
//! it changes, by kind, name or namespace.

mod apply;
mod bounds;
mod chart;
mod error;
mod field;
mod json_patch;
mod provenance;
mod rule;
mod value;

pub use apply::{Rendered, object};
pub use bounds::{LARGEST_DESCRIPTION, Limits};
pub use chart::{RenderedChart, chart};
pub use error::{OverrideError, OverrideRef, Problem, Skipped};
pub use provenance::{Changed, Provenance};
pub use rule::{FeedFacts, InvalidRuleError, Rule, in_order};
