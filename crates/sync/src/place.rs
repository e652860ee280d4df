//! What a stored checkpoint says: how far, of what, and made from what.

use kubeio::is_before;
use sha2::{Digest as _, Sha256};

use crate::rules::Target;

/// Raised whenever objects are stored in another form than before, so that all are stored again.
const FORM: u8 = 1;

/// What the objects of a resource are stored from. If it is another than that of the stored checkpoint, there is no
/// place to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Basis {
    /// The form in which objects are stored. A stored object of another form must go: in its version it would never be
    /// written again.
    form: String,
    /// From which cluster, and which objects.
    selection: String,
}

/// What a stored checkpoint is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Everything is stored up to this resource version.
    From(String),
    /// What is stored may stay, and has to be compared with a new list.
    Compare,
    /// What is stored has the wrong form.
    Discard,
}

impl Basis {
    /// `origin` says which cluster the resource versions are of.
    pub(crate) fn new(origin: &str, target: &Target) -> Self {
        let keep = target.is_secrets() && target.keep_secret_data;
        Self {
            form: format!("{FORM}{}", if keep { "k" } else { "" }),
            selection: digest(&format!("{origin}\n{:?}", target.parts)),
        }
    }

    /// The checkpoint at `version`.
    pub(crate) fn write(&self, version: &str) -> String {
        format!("{version}@{}.{}", self.form, self.selection)
    }

    /// The checkpoint while there is no version to go on from: in which form the objects are that a list brings.
    pub(crate) fn begin(&self) -> String {
        self.write("")
    }

    /// Whether there was ever a version in `checkpoint`, or only a list that did not come to its end.
    pub(crate) fn is_initial(checkpoint: Option<&str>) -> bool {
        checkpoint.is_none_or(|checkpoint| checkpoint.starts_with('@'))
    }

    /// What `checkpoint` is good for.
    pub(crate) fn read(&self, checkpoint: Option<&str>, target: &Target) -> Resume {
        let Some(checkpoint) = checkpoint else {
            return if target.is_secrets() { Resume::Discard } else { Resume::Compare };
        };
        let parts =
            checkpoint.split_once('@').and_then(|(version, rest)| Some((version, rest.split_once('.')?)));
        match parts {
            Some((version, (form, selection))) if form == self.form => {
                let same = selection == self.selection && !target.overlaps() && !version.is_empty();
                if same { Resume::From(version.to_owned()) } else { Resume::Compare }
            }
            _ => Resume::Discard,
        }
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The older of two resource versions; nothing if they cannot be compared.
pub(crate) fn older<'a>(one: &'a str, other: &'a str) -> Option<&'a str> {
    if one == other || is_before(one, other) {
        return Some(one);
    }
    is_before(other, one).then_some(other)
}

#[cfg(test)]
mod tests {
    use store::Resource;

    use super::*;
    use crate::rules::Part;

    fn target(resource: &str, namespaces: &[&str], keep: bool) -> Target {
        let part = |name: &&str| Part { namespace: Some((*name).into()), ..Part::default() };
        Target {
            resource: Resource::new("", "v1", resource),
            kind: String::new(),
            namespaced: true,
            parts: namespaces.iter().map(part).collect(),
            keep_secret_data: keep,
        }
    }

    #[test]
    fn a_place_is_gone_on_from_if_nothing_has_changed() {
        let pods = target("pods", &["a"], false);
        let basis = Basis::new("one", &pods);
        assert_eq!(basis.read(Some(&basis.write("42")), &pods), Resume::From("42".into()));
    }

    #[test]
    fn another_cluster_or_other_objects_need_a_new_list() {
        let pods = target("pods", &["a"], false);
        let stored = Basis::new("one", &pods).write("42");
        assert_eq!(Basis::new("two", &pods).read(Some(&stored), &pods), Resume::Compare);
        let more = target("pods", &["a", "b"], false);
        assert_eq!(Basis::new("one", &more).read(Some(&stored), &more), Resume::Compare);
    }

    #[test]
    fn secrets_that_were_stored_in_another_form_are_discarded() {
        let (keep, drop) = (target("secrets", &[], true), target("secrets", &[], false));
        let stored = Basis::new("one", &keep).write("42");
        assert_eq!(Basis::new("one", &drop).read(Some(&stored), &drop), Resume::Discard);
        assert_eq!(Basis::new("one", &drop).read(None, &drop), Resume::Discard);
        assert_eq!(Basis::new("one", &drop).read(Some("42"), &drop), Resume::Discard);
    }

    #[test]
    fn what_a_list_without_an_end_has_brought_is_compared_if_its_form_is_known() {
        let (keep, drop) = (target("secrets", &[], true), target("secrets", &[], false));
        let begun = Basis::new("one", &drop).begin();
        assert!(
            Basis::is_initial(Some(&begun)) && Basis::is_initial(None) && !Basis::is_initial(Some("4@1.x"))
        );
        assert_eq!(Basis::new("one", &drop).read(Some(&begun), &drop), Resume::Compare);
        assert_eq!(Basis::new("one", &keep).read(Some(&begun), &keep), Resume::Discard);
    }

    #[test]
    fn resource_versions_are_compared_as_numbers_or_not_at_all() {
        assert_eq!(older("9", "10"), Some("9"));
        assert_eq!(older("x", "x"), Some("x"));
        assert_eq!(older("x", "10"), None);
    }
}
