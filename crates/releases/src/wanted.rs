//! What a HelmRelease wants. Pure.

use api::apps::HelmRelease;
use helm::Release;
use kube::ResourceExt as _;
use serde_json::{Map, Value};

use crate::trouble::Trouble;

/// What a HelmRelease wants, read.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) release: HelmRelease,
    pub(crate) values: Map<String, Value>,
    pub(crate) place: Place,
}

/// Where a release is in the child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Place {
    /// Where a HelmRelease wants its release.
    pub(crate) fn of(release: &HelmRelease) -> Self {
        let name = release.spec.release_name.clone().filter(|name| !name.is_empty());
        Self {
            namespace: release.spec.options.target_namespace.clone(),
            name: name.unwrap_or_else(|| release.name_any()),
        }
    }

    /// Where something may have been installed for a HelmRelease.
    pub(crate) fn installed(release: &HelmRelease) -> Option<Self> {
        let recorded = release.annotations().get(api::names::helm::annotations::INSTALLED_AS);
        if let Some((namespace, name)) = recorded.and_then(|text| text.split_once('/')) {
            return Some(Self { namespace: namespace.to_owned(), name: name.to_owned() });
        }
        // By another program, which keeps no such record.
        let status = release.status.as_ref()?;
        status.version.map(|_| Self::of(release))
    }

    /// As it is recorded.
    pub(crate) fn record(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Wanted {
    pub(crate) fn of(release: &HelmRelease) -> Result<Self, Trouble> {
        let bytes = release.spec.overrides.as_ref().map(|bytes| bytes.0.as_slice()).unwrap_or_default();
        let values = if bytes.iter().all(u8::is_ascii_whitespace) {
            Map::new()
        } else {
            // What stands there may be secret, and is not repeated.
            serde_json::from_slice(bytes).map_err(|_| Trouble::values())?
        };
        Ok(Self { place: Place::of(release), release: release.clone(), values })
    }

    /// The version, if one is set.
    pub(crate) fn version(&self) -> Option<&str> {
        self.release.spec.options.version.as_deref().map(str::trim).filter(|version| !version.is_empty())
    }

    /// The name of the chart without the path to it.
    pub(crate) fn chart(&self) -> &str {
        let chart = self.release.spec.options.chart.as_str();
        chart.rsplit('/').next().unwrap_or(chart)
    }

    /// Whether a release is of this chart with these values, whatever its version.
    pub(crate) fn same_but_version(&self, release: &Release) -> bool {
        release.chart == self.chart()
            && same(&Value::Object(self.values.clone()), &Value::Object(release.values.clone()))
    }

    /// Whether the version is one, and not a range of them.
    pub(crate) fn is_exact(&self) -> bool {
        self.version().is_some_and(|version| {
            let core = version.trim_start_matches('v');
            let core = core.split(['-', '+']).next().unwrap_or_default();
            core.split('.').count() == 3
                && core.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
        })
    }
}

/// Whether two versions are the same: a leading `v` makes no difference.
pub(crate) fn same_version(one: &str, other: &str) -> bool {
    one.trim_start_matches('v') == other.trim_start_matches('v')
}

/// Whether two values are the same to Helm: `null` is nothing, and a number is a number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let there =
                |fields: &Map<String, Value>| fields.values().filter(|value| !value.is_null()).count();
            there(one) == there(other)
                && one
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use api::apps::{HelmOptions, HelmReleaseSpec};
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    fn release(version: Option<&str>, overrides: &str) -> HelmRelease {
        let options = HelmOptions {
            chart: String::from("web"),
            version: version.map(str::to_owned),
            target_namespace: String::from("qux"),
            ..HelmOptions::default()
        };
        let overrides = Some(ByteString(overrides.as_bytes().to_vec()));
        HelmRelease::new(
            "base-helm-default-web",
            HelmReleaseSpec { options, overrides, ..HelmReleaseSpec::default() },
        )
    }

    #[test]
    fn blank_values_are_none_and_odd_ones_are_told_without_repeating_them() {
        assert!(Wanted::of(&release(None, " ")).unwrap().values.is_empty());
        let Err(trouble) = Wanted::of(&release(None, "[\"hunter2\"]")) else { panic!("a list is no values") };
        assert!(!trouble.message.contains("hunter2"));
    }

    #[test]
    fn null_is_nothing_and_a_number_is_a_number() {
        assert!(same(&json!({ "a": 1, "b": null }), &json!({ "a": 1.0 })));
        assert!(same(&json!({ "a": { "b": null } }), &json!({ "a": {} })));
        assert!(!same(&json!({ "a": "1" }), &json!({ "a": 1 })));
        assert!(!same(&json!({ "a": 1 }), &json!({ "a": 1, "b": 2 })));
        assert!(!same(&json!([1, 2]), &json!([2, 1])));
    }

    #[test]
    fn a_version_is_exact_or_a_range() {
        let is_exact = |version| Wanted::of(&release(version, "")).unwrap().is_exact();
        assert!([Some("1.2.3"), Some("v1.2.3"), Some("1.2.3-rc.1+build")].into_iter().all(is_exact));
        assert!(
            ![None, Some(""), Some("1.2"), Some("^1.2.3"), Some("1.x.x"), Some(">=1")]
                .into_iter()
                .any(is_exact)
        );
    }

    #[test]
    fn a_release_is_where_it_was_recorded_and_not_where_it_is_wanted_now() {
        let mut release = release(None, "");
        assert_eq!(Place::of(&release).record(), "qux/base-helm-default-web");
        assert_eq!(Place::installed(&release), None);
        release
            .annotations_mut()
            .insert(api::names::helm::annotations::INSTALLED_AS.into(), "old/name".into());
        assert_eq!(Place::installed(&release).unwrap().record(), "old/name");
    }
}
