//! Who a caller is.

use std::collections::BTreeMap;

use api::names::extras;

/// The user name of callers nobody could name.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group of callers nobody could name.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group of everybody who could be named.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group that is allowed everything without asking.
pub const MASTERS: &str = "system:masters";

/// A caller's identity, as the authenticator found it.
///
/// Extras whose key begins with `clusternet-` hold credentials for a child: they are here for the handler that needs
/// them and nowhere else. [`User::public_extra`] leaves them out; `Debug` hides their values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The user name.
    pub name: String,
    /// A unique id of the user; empty when unknown.
    pub uid: String,
    /// The groups, in the order they were given.
    pub groups: Vec<String>,
    /// Further facts; keys are percent-decoded and lower case.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user with a name and groups only.
    pub fn new(name: impl Into<String>, groups: &[&str]) -> Self {
        Self {
            name: name.into(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The caller nobody could name.
    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS, &[UNAUTHENTICATED])
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member == group)
    }

    /// The extras that may appear in a review, a cache key or a log.
    pub fn public_extra(&self) -> impl Iterator<Item = (&str, &[String])> {
        let public = |key: &str| !key.to_ascii_lowercase().starts_with(extras::PREFIX);
        self.extra
            .iter()
            .filter(move |(key, _)| public(key))
            .map(|(key, values)| (key.as_str(), values.as_slice()))
    }

    /// Everybody with a name is authenticated, unless their authenticator already said what they are.
    pub(crate) fn with_authenticated_group(mut self) -> Self {
        if self.name != ANONYMOUS && !self.is_in(AUTHENTICATED) && !self.is_in(UNAUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hidden =
            self.extra.keys().filter(|key| key.to_ascii_lowercase().starts_with(extras::PREFIX)).count();
        f.debug_struct("User")
            .field("name", &self.name)
            .field("uid", &self.uid)
            .field("groups", &self.groups)
            .field("extra", &self.public_extra().collect::<BTreeMap<_, _>>())
            .field("hidden_extras", &hidden)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_never_prints_a_credential_for_a_child() {
        let mut user = User::new("jane", &["dev"]);
        user.extra.insert("clusternet-token".into(), vec!["very-secret".into()]);
        user.extra.insert("scopes".into(), vec!["view".into()]);
        let text = format!("{user:?}");
        assert!(!text.contains("very-secret") && !text.contains("clusternet-token"), "{text}");
        assert!(text.contains("view"), "{text}");
    }

    #[test]
    fn everybody_with_a_name_is_authenticated_but_the_anonymous_are_not() {
        assert!(User::new("jane", &[]).with_authenticated_group().is_in(AUTHENTICATED));
        assert!(!User::anonymous().with_authenticated_group().is_in(AUTHENTICATED));
    }
}
