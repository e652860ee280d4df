//! What the contract leaves open, and properties of the whole language.

use proptest::prelude::*;
use store::Resource;

use super::*;

#[test]
fn nothing_asked_is_everything_whole_from_the_beginning() {
    let search = found(&[]);
    assert_eq!(search.query, Query::of(Resource::new("", "v1", "pods")));
    assert!(!search.with_continue && !search.with_remaining_count && !search.inject_events);
    assert!(search.excluded_clusters.is_empty());
}

#[test]
fn a_part_of_a_second_is_the_next_whole_one_on_both_sides() {
    for text in ["1646352000001", "2022-03-04T00:00:00.5Z", "2022-03-04T00:00:00.000000001Z"] {
        let search = found(&[("since", text), ("before", text)]);
        assert_eq!(
            (search.query.since, search.query.before),
            (Some(1_646_352_001), Some(1_646_352_001)),
            "{text}"
        );
    }
    assert_eq!(found(&[("since", "1969-12-31T23:59:58.5Z")]).query.since, Some(-1));
}

#[test]
fn parts_of_an_owner_without_the_owner_are_refused() {
    assert_eq!(fault(ask(&[("ownerGR", "deployments.apps")])), "ownerGR");
    assert_eq!(fault(ask(&[("ownerSeniority", "1")])), "ownerSeniority");
    assert!(found(&[("ownerSeniority", "0"), ("ownerGR", ""), ("ownerName", "")]).query.owner.is_none());
}

#[test]
fn names_and_namespaces_that_are_not_wanted_are_a_requirement_on_the_field() {
    let search = by_label("search.clusterpedia.io/names!=a,search.clusterpedia.io/namespaces notin (x,y)");
    assert_eq!(search.query.fields.to_string(), "metadata.name!=a,metadata.namespace notin (x,y)");
    assert!(search.query.names.is_empty() && search.query.namespaces.is_empty());
    let search = by_label("search.clusterpedia.io/names in (a,b),search.clusterpedia.io/names!=a");
    assert_eq!(search.query.names, texts(["b"]));
    assert!(search.query.fields.requirements.is_empty());
}

#[test]
fn clusters_that_are_not_wanted_are_taken_from_those_the_caller_may_see() {
    let search = || by_label("search.clusterpedia.io/clusters!=c1");
    assert_eq!(search().query.clusters, None);
    let known = clusters(["c1", "c2", "c3"]);
    let all = |names: &[&str]| names.iter().map(|name| (ClusterName::new(*name), Visible::All)).collect();
    assert_eq!(search().allow(None, &known).allowed, Some(all(&["c2", "c3"])));
    assert_eq!(search().allow(Some(all(&["c1", "c3"])), &known).allowed, Some(all(&["c3"])));
    assert_eq!(found(&[]).allow(None, &known).allowed, None);
    let search = by_label("search.clusterpedia.io/clusters in (c1,c2),search.clusterpedia.io/clusters!=c1");
    assert_eq!((search.query.clusters, search.excluded_clusters), (Some(clusters(["c2"])), clusters([])));
}

#[test]
fn conditions_that_leave_nothing_find_nothing() {
    for labels in [
        "search.clusterpedia.io/names=a,search.clusterpedia.io/names=b",
        "search.clusterpedia.io/namespaces=a,search.clusterpedia.io/namespaces!=a",
    ] {
        assert!(by_label(labels).query.resources.is_empty(), "{labels}");
    }
    assert!(found(&[("names", "a"), ("fieldSelector", "metadata.name=b")]).query.resources.is_empty());
    let labels = "search.clusterpedia.io/clusters=a,search.clusterpedia.io/clusters=b";
    assert_eq!(by_label(labels).query.clusters, Some(clusters([])));
}

#[test]
fn a_field_selector_of_name_or_namespace_is_a_condition_on_it() {
    let search = found(&[("fieldSelector", "metadata.name in (a,b),metadata.namespace=x,spec.y=z")]);
    assert_eq!((search.query.names, search.query.namespaces), (texts(["a", "b"]), texts(["x"])));
    assert_eq!(search.query.fields.to_string(), "spec.y=z");
    // An absent namespace is not the empty text, as a field.
    let text = "metadata.namespace=";
    assert_eq!(found(&[("fieldSelector", text)]).query.fields.to_string(), text);
}

#[test]
fn what_an_operator_cannot_mean_is_refused() {
    for labels in [
        "search.clusterpedia.io/names",
        "!search.clusterpedia.io/clusters",
        "search.clusterpedia.io/namespaces>3",
        "search.clusterpedia.io/limit!=3",
        "search.clusterpedia.io/limit in (3,4)",
        "search.clusterpedia.io/limit=",
        "search.clusterpedia.io/since notin (2022-03-04)",
        "search.clusterpedia.io/since>1646352000",
        "search.clusterpedia.io/orderby!=name",
        "search.clusterpedia.io/with-continue!=true",
        "search.clusterpedia.io/with-continue in (true,false)",
        "internalstorage.clusterpedia.io/fuzzy-name notin (a)",
        "search.clusterpedia.io/owner-name in (a,b)",
        "search.clusterpedia.io/offset=1,search.clusterpedia.io/offset=2",
        "search.clusterpedia.io/nmaes=a",
    ] {
        assert!(fault(kubectl(labels)).contains(".clusterpedia.io/"), "{labels}");
    }
    assert_eq!(
        fault(kubectl("search.clusterpedia.io/limit=1,search.clusterpedia.io/size=2")),
        "search.clusterpedia.io/size"
    );
}

#[test]
fn sql_is_refused() {
    for name in ["whereSQL", "whereSQLStatement", "whereSQLParam", "whereSQLJSONParams"] {
        assert_eq!(fault(ask(&[(name, "1=1")])), name);
    }
}

#[test]
fn of_a_repeated_parameter_the_first_counts_and_unknown_ones_do_not() {
    assert_eq!(
        found(&[("names", "a"), ("names", "b"), ("pretty", "x"), ("watch", "0")]),
        found(&[("names", "a")])
    );
}

#[test]
fn a_query_string_that_cannot_be_decoded_is_refused_by_its_parameter() {
    for (query, parameter) in
        [("names=%zz", "names"), ("a=b&names=%F0%28", "names"), ("a=%", "a"), ("%4=", "%4")]
    {
        assert_eq!(Parameters::parse(query).unwrap_err().parameter, parameter, "{query}");
    }
    let parameters = Parameters::parse("a&&b=1=2&c=x+y%2B").unwrap();
    assert_eq!(
        [parameters.get("a"), parameters.get("b"), parameters.get("c")],
        [Some(""), Some("1=2"), Some("x y+")]
    );
}

#[test]
fn the_forward_label_is_taken_out_of_what_the_cluster_is_asked() {
    let mark = "search.clusterpedia.io/forward";
    for label in [mark.to_owned(), format!("{mark}=true"), format!("!{mark}"), format!("{mark}!=x")] {
        assert_eq!(forwarded(&format!("app!=web,{label},x")), Ok(Some("app!=web,x".to_owned())), "{label}");
        assert!(by_label(&label).query.labels.requirements.is_empty(), "{label}");
    }
    assert_eq!(forwarded("app=web"), Ok(None));
    assert_eq!(forwarded("a b").unwrap_err().parameter, "labelSelector");
}

#[test]
fn an_error_becomes_a_bad_request_that_names_the_parameter() {
    let status: meta::Status = ask(&[("limit", "abc")]).unwrap_err().into();
    assert_eq!((status.code, status.reason.as_str()), (400, "BadRequest"));
    assert_eq!(status.message, "limit: \"abc\" is no integer of 64 bits");
}

#[test]
fn a_message_shows_the_beginning_of_a_long_value() {
    let error = ask(&[("limit", &"é".repeat(10_000))]).unwrap_err();
    assert_eq!(error.reason, format!("\"{}…\" is no integer of 64 bits", "é".repeat(80)));
}

/// Whether the query wants an object of this name, by the parts of it that speak of names.
fn wants(query: &Query, name: &str) -> bool {
    let fields = query.fields.requirements.iter().all(|requirement| match &requirement.operator {
        Operator::NotIn(values) => !values.contains(name),
        _ => false,
    });
    !query.resources.is_empty() && (query.names.is_empty() || query.names.contains(name)) && fields
}

proptest! {
    #[test]
    fn requirements_on_names_all_hold_as_on_any_label(
        requirements in prop::collection::vec((any::<bool>(), prop::collection::btree_set("[abc]", 1..3)), 0..4),
        name in "[abcd]",
    ) {
        let text = |(positive, values): &(bool, BTreeSet<String>)| {
            let operator = if *positive { "in" } else { "notin" };
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            format!("search.clusterpedia.io/names {operator} ({})", values.join(","))
        };
        let labels: Vec<_> = requirements.iter().map(text).collect();
        let expected = requirements.iter().all(|(positive, values)| values.contains(&name) == *positive);
        prop_assert_eq!(wants(&by_label(&labels.join(",")).query, &name), expected, "{:?}", labels);
    }

    #[test]
    fn parameters_and_labels_say_the_same(
        names in prop::collection::btree_set("[a-z]{1,3}", 1..4),
        since in 1_000_000_000..9_999_999_999_i64,
        limit in 1..499_i64,
        offset in 0..1000_i64,
        order in prop::sample::subsequence(vec!["cluster", "namespace", "name", "created_at"], 1..4).prop_shuffle(),
        descending in any::<bool>(),
    ) {
        let names = Vec::from_iter(names).join(",");
        let (with_space, with_underscore) = if descending { (" desc", "_desc") } else { ("", "") };
        let terms = |suffix: &str| order.iter().map(|field| format!("{field}{suffix}")).collect::<Vec<_>>().join(",");
        let (since, limit, offset) = (since.to_string(), limit.to_string(), offset.to_string());
        let by_parameters = found(&[
            ("names", &names), ("clusters", &names), ("namespaces", &names), ("since", &since), ("limit", &limit),
            ("continue", &offset), ("orderby", &terms(with_space)),
        ]);
        let key = "search.clusterpedia.io";
        let labels = format!(
            "{key}/names in ({names}),{key}/clusters in ({names}),{key}/namespaces in ({names}),{key}/since={since},\
             {key}/limit={limit},{key}/offset={offset},{key}/orderby in ({})", terms(with_underscore)
        );
        prop_assert_eq!(by_label(&labels), by_parameters);
    }

    #[test]
    fn any_query_string_is_understood_or_refused(
        query in "(names|limit|since|before|orderby|continue|labelSelector|fieldSelector|ownerName|clusters|=|&|,|%2|%41|\\+|a|1|-|T|search\\.clusterpedia\\.io/|limit=|é| desc| in \\(|\\)){0,12}",
    ) {
        match Parameters::parse(&query).and_then(|parameters| Search::parse(place(), &parameters)) {
            Ok(search) => prop_assert!(search.query.validate().is_ok()),
            Err(error) => prop_assert!(!error.reason.is_empty()),
        }
    }
}
