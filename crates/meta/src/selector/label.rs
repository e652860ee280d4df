//! Label selectors: as text, as `matchLabels` and `matchExpressions`, and whether they match.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Deserialize;

use super::{
    LabelRequirement, LabelSelector, Operator,
    grammar::{self, ParseSelectorError},
    name::{LABEL_VALUE, QUALIFIED_NAME, is_label_value, is_qualified_name},
};

impl LabelSelector {
    /// Reads a selector in Kubernetes' text form: `app=web,tier!=back,env in (a,b),owner,!legacy,size>3`. An empty text
    /// demands nothing.
    ///
    /// ```
    /// let selector = meta::LabelSelector::parse("app=web, tier notin (back)")?;
    /// assert!(selector.matches(&[("app".to_owned(), "web".to_owned())].into()));
    /// assert_eq!(selector.to_string(), "app=web,tier!=back");
    /// # Ok::<(), meta::ParseSelectorError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ParseSelectorError> {
        let requirements = grammar::requirements(text, is_label_value, LABEL_VALUE)?
            .into_iter()
            .map(|(key, operator)| {
                if !is_qualified_name(key.text) {
                    return Err(key.expected(QUALIFIED_NAME));
                }
                Ok(LabelRequirement { key: key.text.to_owned(), operator })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { requirements })
    }

    /// Whether an object with these labels is wanted.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

impl LabelRequirement {
    /// Whether an object with these labels is wanted.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            Operator::In(set) => value.is_some_and(|value| set.contains(value)),
            Operator::NotIn(set) => !value.is_some_and(|value| set.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::NotExists => value.is_none(),
            Operator::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
            Operator::LessThan(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        grammar::write(f, &self.key, &self.operator)
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        grammar::write_all(f, &self.requirements)
    }
}

/// A label selector in the form objects hold it (`metav1.LabelSelector`). Empty, it demands nothing.
///
/// ```
/// use meta::{LabelSelector, StructuredLabelSelector};
/// let json = r#"{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"env","operator":"Exists"}]}"#;
/// let structured: StructuredLabelSelector = serde_json::from_str(json).unwrap();
/// assert_eq!(LabelSelector::try_from(structured)?.to_string(), "app=web,env");
/// # Ok::<(), meta::InvalidSelectorError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StructuredLabelSelector {
    /// Keys and the values they have.
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements.
    pub match_expressions: Option<Vec<LabelExpression>>,
}

/// One of the requirements of a [`StructuredLabelSelector`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct LabelExpression {
    /// The label's key.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// For `In` and `NotIn` at least one, for the others none.
    #[serde(default)]
    pub values: Option<Vec<String>>,
}

/// The fields are no label selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct InvalidSelectorError {
    /// The field that is wrong, such as `matchExpressions[0].operator`.
    pub field: String,
    /// What should stand there.
    pub expected: &'static str,
}

impl TryFrom<StructuredLabelSelector> for LabelSelector {
    type Error = InvalidSelectorError;

    fn try_from(structured: StructuredLabelSelector) -> Result<Self, Self::Error> {
        let mut requirements = Vec::new();
        for (key, value) in structured.match_labels.unwrap_or_default() {
            let wrong = |expected| InvalidSelectorError { field: format!("matchLabels[{key}]"), expected };
            check(is_qualified_name(&key), || wrong(QUALIFIED_NAME))?;
            check(is_label_value(&value), || wrong(LABEL_VALUE))?;
            requirements.push(LabelRequirement { key, operator: Operator::In([value].into()) });
        }
        for (at, expression) in structured.match_expressions.unwrap_or_default().into_iter().enumerate() {
            let wrong = |field, expected| InvalidSelectorError {
                field: format!("matchExpressions[{at}].{field}"),
                expected,
            };
            check(is_qualified_name(&expression.key), || wrong("key", QUALIFIED_NAME))?;
            let values: BTreeSet<String> = expression.values.unwrap_or_default().into_iter().collect();
            check(values.iter().all(|value| is_label_value(value)), || wrong("values", LABEL_VALUE))?;
            let (operator, takes_values) = match expression.operator.as_str() {
                "In" => (Operator::In(values.clone()), true),
                "NotIn" => (Operator::NotIn(values.clone()), true),
                "Exists" => (Operator::Exists, false),
                "DoesNotExist" => (Operator::NotExists, false),
                _ => return Err(wrong("operator", "one of In, NotIn, Exists, DoesNotExist")),
            };
            check(!takes_values || !values.is_empty(), || wrong("values", "at least one value"))?;
            check(takes_values || values.is_empty(), || wrong("values", "no values"))?;
            requirements.push(LabelRequirement { key: expression.key, operator });
        }
        Ok(Self { requirements })
    }
}

fn check<E>(holds: bool, error: impl FnOnce() -> E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(error()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn matches(selector: &str, pairs: &[(&str, &str)]) -> bool {
        LabelSelector::parse(selector).unwrap().matches(&labels(pairs))
    }

    #[test]
    fn each_operator_matches_as_kubernetes_says() {
        for (selector, yes, no) in [
            ("app=web", Some("web"), Some("api")),
            ("app==web", Some("web"), None),
            ("app!=web", Some("api"), Some("web")),
            ("app!=web", None, Some("web")),
            ("app in (web,api)", Some("api"), Some("db")),
            ("app in (web,api)", Some("web"), None),
            ("app notin (web,api)", Some("db"), Some("api")),
            ("app notin (web)", None, Some("web")),
            ("app", Some(""), None),
            ("!app", None, Some("")),
            ("app=", Some(""), None),
            ("app=", Some(""), Some("web")),
            ("app>3", Some("4"), Some("3")),
            ("app<3", Some("2"), Some("web")),
            ("app<3", Some("0"), None),
            ("", Some("web"), Some("unreachable")),
        ] {
            let with = |value: Option<&str>| {
                let pairs: Vec<_> = value.into_iter().map(|value| ("app", value)).collect();
                matches(selector, &pairs)
            };
            assert!(with(yes), "{selector:?} with {yes:?}");
            assert!(selector.is_empty() || !with(no), "{selector:?} with {no:?}");
        }
    }

    #[test]
    fn all_requirements_hold() {
        assert!(matches("a=1,b", &[("a", "1"), ("b", "")]));
        assert!(!matches("a=1,b", &[("a", "1")]));
        assert!(!matches("a=1,a=2", &[("a", "1")]));
    }

    #[test]
    fn one_selector_may_be_written_in_several_ways() {
        for (text, canonical) in [
            (" a = b ,\tc\n", "a=b,c"),
            ("a==b", "a=b"),
            ("a in (b)", "a=b"),
            ("a notin(b)", "a!=b"),
            ("a in (c,b,c)", "a in (b,c)"),
            ("a in ()", "a="),
            ("a in (,)", "a="),
            ("a notin (b,)", "a notin (,b)"),
            ("a=,b!=", "a=,b!="),
            ("in in (in,notin),!notin", "in in (in,notin),!notin"),
            ("in,notin=in", "in,notin=in"),
            ("! a", "!a"),
            ("a>007", "a>7"),
            ("example.com/a-b_c.D=1", "example.com/a-b_c.D=1"),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().to_string(), canonical, "{text:?}");
        }
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        for (text, position, expected, found) in [
            (",a", 0, "a key or '!'", ","),
            ("a=b,", 4, "a key or '!'", ""),
            ("a,,b", 2, "a key or '!'", ","),
            ("!", 1, "a key", ""),
            ("!=a", 0, "a key or '!'", "!="),
            ("!a=b", 2, "a comma or the end", "="),
            ("a b", 2, "an operator: one of = == != > < in notin", "b"),
            ("a!b", 1, "an operator: one of = == != > < in notin", "!"),
            ("a in b", 5, "'('", "b"),
            ("a in (b", 7, "a value, a comma or ')'", ""),
            ("a in (b c)", 8, "a value, a comma or ')'", "c"),
            ("a=b=c", 3, "a comma or the end", "="),
            ("a===b", 3, "a comma or the end", "="),
            ("a=(b)", 2, "a comma or the end", "("),
            ("a=b c", 4, "a comma or the end", "c"),
            ("a>=3", 2, "an integer of 64 bits", "="),
            ("a>x", 2, "an integer of 64 bits", "x"),
            ("a<1.5", 2, "an integer of 64 bits", "1.5"),
            ("a>", 2, "an integer of 64 bits", ""),
            ("a>-1", 2, LABEL_VALUE, "-1"),
            ("b,a=_", 4, LABEL_VALUE, "_"),
            ("a=x/y", 2, LABEL_VALUE, "x/y"),
            ("b,-a", 2, QUALIFIED_NAME, "-a"),
            ("a/b/c", 0, QUALIFIED_NAME, "a/b/c"),
            ("/a", 0, QUALIFIED_NAME, "/a"),
            ("a/", 0, QUALIFIED_NAME, "a/"),
            ("Example.com/a", 0, QUALIFIED_NAME, "Example.com/a"),
            ("é", 0, QUALIFIED_NAME, "é"),
        ] {
            let expected = ParseSelectorError { position, expected, found: found.to_owned() };
            assert_eq!(LabelSelector::parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn keys_and_values_have_a_longest_length() {
        let long = "x".repeat(63);
        let prefix = vec!["p".repeat(62); 4].join(".") + ".p";
        for (fits, text) in [
            (true, format!("{prefix}/{long}={long}")),
            (false, format!("x{long}")),
            (false, format!("a=x{long}")),
            (false, format!("{prefix}p/{long}")),
        ] {
            assert_eq!(LabelSelector::parse(&text).is_ok(), fits, "{text}");
        }
    }

    fn structured(json: &str) -> Result<String, InvalidSelectorError> {
        let structured: StructuredLabelSelector = serde_json::from_str(json).unwrap();
        LabelSelector::try_from(structured).map(|selector| selector.to_string())
    }

    #[test]
    fn the_structured_form_means_the_same() {
        for (json, text) in [
            ("{}", ""),
            (r#"{"matchLabels":null,"matchExpressions":null}"#, ""),
            (r#"{"matchLabels":{"b":"2","a":""}}"#, "a=,b=2"),
            (r#"{"matchExpressions":[{"key":"a","operator":"In","values":["y","x"]}]}"#, "a in (x,y)"),
            (r#"{"matchExpressions":[{"key":"a","operator":"NotIn","values":["x"]}]}"#, "a!=x"),
            (r#"{"matchExpressions":[{"key":"a","operator":"Exists","values":[]}]}"#, "a"),
            (r#"{"matchExpressions":[{"key":"a","operator":"DoesNotExist"}]}"#, "!a"),
        ] {
            assert_eq!(structured(json).as_deref(), Ok(text), "{json}");
        }
    }

    #[test]
    fn a_wrong_structured_form_names_its_field() {
        for (json, field) in [
            (r#"{"matchLabels":{"-":"2"}}"#, "matchLabels[-]"),
            (r#"{"matchLabels":{"a":"-"}}"#, "matchLabels[a]"),
            (r#"{"matchExpressions":[{"key":"","operator":"Exists"}]}"#, "matchExpressions[0].key"),
            (
                r#"{"matchExpressions":[{"key":"a","operator":"Gt","values":["1"]}]}"#,
                "matchExpressions[0].operator",
            ),
            (r#"{"matchExpressions":[{"key":"a","operator":"In"}]}"#, "matchExpressions[0].values"),
            (
                r#"{"matchExpressions":[{"key":"a","operator":"Exists","values":["x"]}]}"#,
                "matchExpressions[0].values",
            ),
            (
                r#"{"matchExpressions":[{"key":"a","operator":"In","values":["-"]}]}"#,
                "matchExpressions[0].values",
            ),
        ] {
            assert_eq!(structured(json).unwrap_err().field, field, "{json}");
        }
    }

    fn operator() -> impl Strategy<Value = Operator> {
        let set = || prop::collection::btree_set("[ab1-3]{0,2}", 1..4);
        prop_oneof![
            set().prop_map(Operator::In),
            set().prop_map(Operator::NotIn),
            Just(Operator::Exists),
            Just(Operator::NotExists),
            (0..30_i64).prop_map(Operator::GreaterThan),
            (0..30_i64).prop_map(Operator::LessThan),
        ]
    }

    fn selector() -> impl Strategy<Value = LabelSelector> {
        let requirement = ("(a|b|in|x\\.io/notin)", operator())
            .prop_map(|(key, operator)| LabelRequirement { key, operator });
        prop::collection::vec(requirement, 0..4).prop_map(|requirements| LabelSelector { requirements })
    }

    /// One requirement as the documentation of Kubernetes puts it, on labels as a list of pairs.
    fn wanted(requirement: &LabelRequirement, labels: &[(String, String)]) -> bool {
        let values: Vec<&String> =
            labels.iter().filter(|(key, _)| *key == requirement.key).map(|(_, value)| value).collect();
        let integers = || values.iter().filter_map(|value| value.parse::<i64>().ok());
        match &requirement.operator {
            Operator::In(set) => set.iter().any(|one| values.contains(&one)),
            Operator::NotIn(set) => set.iter().all(|one| !values.contains(&one)),
            Operator::Exists => values.len() == 1,
            Operator::NotExists => values.is_empty(),
            Operator::GreaterThan(bound) => integers().any(|number| number > *bound),
            Operator::LessThan(bound) => integers().any(|number| number < *bound),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(selector in selector()) {
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
        }

        #[test]
        fn matching_agrees_with_a_plain_reading(
            selector in selector(),
            labels in prop::collection::btree_map("(a|b|in|x\\.io/notin)", "[ab1-3]{0,2}", 0..4),
        ) {
            let pairs: Vec<_> = labels.clone().into_iter().collect();
            let expected = selector.requirements.iter().all(|requirement| wanted(requirement, &pairs));
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap().matches(&labels), expected);
        }

        #[test]
        fn any_text_is_read_or_refused_within_its_bounds(text in "[ab=!(),<>1é \\-]{0,20}|(in|notin|a|b|\\(|\\)|,| |=|!){0,12}") {
            match LabelSelector::parse(&text) {
                Ok(selector) => prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector)),
                Err(error) => prop_assert!(text[error.position..].starts_with(&error.found)),
            }
        }
    }
}
