//! Each test is named after the check of the contract's section 12 that it shows.

use std::num::NonZeroU64;

use store::{OrderBy, OrderField, Resource};

use super::*;

#[test]
fn c45_clusters_by_label_set_label_value_and_parameter_are_the_same() {
    let wanted = Some(clusters(["c1"]));
    for search in [
        by_label("search.clusterpedia.io/clusters in (c1)"),
        by_label("search.clusterpedia.io/clusters=c1"),
        found(&[("clusters", "c1")]),
    ] {
        assert_eq!(search.query.clusters, wanted);
    }
}

#[test]
fn c46_namespaces_of_the_label_are_wanted_and_the_path_beats_them() {
    let labels = "search.clusterpedia.io/namespaces in (kube-system, default)";
    assert_eq!(by_label(labels).query.namespaces, texts(["default", "kube-system"]));
    let place = Place { namespace: Some("default".to_owned()), ..place() };
    let search =
        Search::parse(place, &parameters(&[("labelSelector", labels), ("namespaces", "a")])).unwrap();
    assert_eq!(search.query.namespaces, texts(["default"]));
}

#[test]
fn c47_names_are_exact_and_a_list() {
    assert_eq!(by_label("search.clusterpedia.io/names=web").query.names, texts(["web"]));
    assert_eq!(found(&[("names", "web,other")]).query.names, texts(["other", "web"]));
    assert_eq!(found(&[("names", "web, other")]).query.names, texts([" other", "web"]));
    assert_eq!(found(&[("names", "")]).query.names, texts([]));
}

#[test]
fn c48_the_cluster_of_the_path_beats_parameter_and_label() {
    for condition in [
        ("labelSelector", "search.clusterpedia.io/clusters=c2"),
        ("labelSelector", "search.clusterpedia.io/clusters!=c1"),
        ("clusters", "c2"),
    ] {
        let place = Place { cluster: Some(ClusterName::new("c1")), ..place() };
        let search = Search::parse(place, &parameters(&[condition])).unwrap();
        assert_eq!(search.query.clusters, Some(clusters(["c1"])));
        assert!(search.excluded_clusters.is_empty());
    }
}

#[test]
fn c49_a_parameter_beats_the_label() {
    for (parameter, label) in [
        (("names", "a"), "search.clusterpedia.io/names=b"),
        (("names", "a"), "search.clusterpedia.io/names!=a"),
        (("since", "2022-03-04"), "search.clusterpedia.io/since=2023-01-01"),
        (("orderby", "name"), "search.clusterpedia.io/orderby=cluster"),
        (("limit", "3"), "search.clusterpedia.io/limit=4"),
        (("continue", "3"), "search.clusterpedia.io/offset=4"),
        (("withContinue", "false"), "search.clusterpedia.io/with-continue=true"),
    ] {
        assert_eq!(found(&[parameter, ("labelSelector", label)]), found(&[parameter]), "{label}");
    }
}

#[test]
fn c50_fuzzy_names_all_have_to_occur() {
    for (labels, wanted) in [
        ("internalstorage.clusterpedia.io/fuzzy-name=we", &["we"][..]),
        ("internalstorage.clusterpedia.io/fuzzy-name in (we,eb)", &["eb", "we"]),
        (
            "internalstorage.clusterpedia.io/fuzzy-name=we,internalstorage.clusterpedia.io/fuzzy-name=eb",
            &["we", "eb"],
        ),
    ] {
        assert_eq!(by_label(labels).query.fuzzy_names, wanted, "{labels}");
    }
}

#[test]
fn c51_and_c52_other_labels_are_those_of_objects_and_search_labels_are_not() {
    let search =
        by_label("app!=web,search.clusterpedia.io/names=web,!x,tier in (a,b),foo.clusterpedia.io/x=1");
    assert_eq!(search.query.labels.to_string(), "app!=web,!x,tier in (a,b),foo.clusterpedia.io/x=1");
    assert_eq!(search.query.names, texts(["web"]));
}

#[test]
fn c53_to_c56_fields_are_selected_by_any_path() {
    assert_eq!(
        found(&[("fieldSelector", ".status.phase=Running")]),
        found(&[("fieldSelector", "status.phase=Running")])
    );
    let text = "!spec.nodeName,spec.containers[].name in (a,b),metadata.annotations['x.io/y']!=z";
    assert_eq!(found(&[("fieldSelector", text)]).query.fields.to_string(), text);
    for wrong in ["metadata.annotations[team.io]=x", "spec.containers[]=x"] {
        assert_eq!(fault(ask(&[("fieldSelector", wrong)])), "fieldSelector");
    }
}

#[test]
fn c57_malformed_selectors_are_refused() {
    for wrong in ["a=b=c", "a in b", ",a=b"] {
        assert_eq!(fault(ask(&[("fieldSelector", wrong)])), "fieldSelector");
        assert_eq!(fault(kubectl(wrong)), "labelSelector");
    }
}

#[test]
fn c58_every_form_of_one_moment_means_that_moment() {
    let moment = 1_646_352_000;
    for text in [
        "2022-03-04T00:00:00Z",
        "2022-03-04T08:00:00+08:00",
        "2022-03-03T19:30:00-04:30",
        "2022-03-04 00:00:00",
        "2022-03-04",
        "1646352000",
        "1646352000000",
    ] {
        let search = found(&[("since", text), ("before", text)]);
        assert_eq!((search.query.since, search.query.before), (Some(moment), Some(moment)), "{text}");
    }
}

#[test]
fn c59_what_is_no_time_and_what_ends_before_it_begins_is_refused() {
    for text in [
        "20220304",
        "2022-13-01",
        "2022-3-4",
        "2022-03-04T05:06:07",
        "2022-03-04T05:06:07 08:00",
        "2022-03-04T05:06:07.Z",
        "2022-03-04T05:06:07Z[UTC]",
        "2022-03-04T25:06:07Z",
        "2022-03-04  05:06:07",
        "-1646352000",
        "now",
        "T",
        " ",
    ] {
        assert_eq!(fault(ask(&[("since", text)])), "since", "{text}");
        assert_eq!(fault(ask(&[("before", text)])), "before", "{text}");
    }
    assert_eq!(fault(ask(&[("since", "2022-03-05"), ("before", "2022-03-04")])), "before");
}

#[test]
fn c60_labels_carry_times_without_colons() {
    let search = by_label("search.clusterpedia.io/since=2022-03-04,search.clusterpedia.io/before=4102444800");
    assert_eq!((search.query.since, search.query.before), (Some(1_646_352_000), Some(4_102_444_800)));
}

#[test]
fn c61_and_c62_owners_are_found_by_name_uid_and_kind() {
    let of = |conditions: &[(&str, &str)]| {
        found(&[&[("clusters", "c1")], conditions].concat()).query.owner.unwrap()
    };
    let named = |group_resource: Option<(&str, &str)>| Ancestor::Named {
        name: "web".to_owned(),
        group_resource: group_resource.map(|(group, resource)| (group.to_owned(), resource.to_owned())),
    };
    assert_eq!(of(&[("ownerName", "web")]), OwnedBy { ancestor: named(None), seniority: 0 });
    assert_eq!(
        of(&[("ownerName", "web"), ("ownerGR", "deployments.apps"), ("ownerSeniority", "1")]),
        OwnedBy { ancestor: named(Some(("apps", "deployments"))), seniority: 1 }
    );
    assert_eq!(of(&[("ownerName", "web"), ("ownerGR", "pods")]).ancestor, named(Some(("", "pods"))));
    // The UID wins, and says of what kind it is.
    let uid = OwnedBy { ancestor: Ancestor::Uid("u".to_owned()), seniority: 0 };
    assert_eq!(of(&[("ownerUID", "u"), ("ownerName", "web"), ("ownerGR", "daemonsets.apps")]), uid);
    let labels = "search.clusterpedia.io/owner-name=web,search.clusterpedia.io/owner-gr=deployments.apps,\
                  search.clusterpedia.io/owner-seniority=1";
    let parameters = [("ownerName", "web"), ("ownerGR", "deployments.apps"), ("ownerSeniority", "1")];
    assert_eq!(of(&[("labelSelector", labels)]), of(&parameters));
    assert_eq!(of(&[("labelSelector", "search.clusterpedia.io/owner-uid=u")]), uid);
}

#[test]
fn c63_an_owner_is_searched_for_in_exactly_one_cluster() {
    let label = "search.clusterpedia.io/owner-name=web";
    assert_eq!(fault(kubectl(label)), "clusters");
    assert_eq!(fault(ask(&[("labelSelector", label), ("clusters", "c1,c2")])), "clusters");
    let place = Place { cluster: Some(ClusterName::new("c1")), ..place() };
    assert!(Search::parse(place, &parameters(&[("labelSelector", label), ("clusters", "c1,c2")])).is_ok());
}

#[test]
fn c64_a_seniority_is_a_small_number() {
    for wrong in ["x", "-1", "9", "99999999999", "99999999999999999999", "1.5"] {
        let owner = [("clusters", "c1"), ("ownerName", "web"), ("ownerSeniority", wrong)];
        assert_eq!(fault(ask(&owner)), "ownerSeniority", "{wrong}");
    }
    assert_eq!(
        fault(kubectl("search.clusterpedia.io/owner-seniority=x")),
        "search.clusterpedia.io/owner-seniority"
    );
}

#[test]
fn c65_orders_are_hierarchical_and_as_written() {
    for (text, expected) in [
        ("name", &["Name"][..]),
        ("name desc", &["Name desc"]),
        ("namespace,name desc", &["Namespace", "Name desc"]),
        ("cluster,created_at,sequence", &["Cluster", "CreatedAt", "Sequence"]),
    ] {
        assert_eq!(order(&found(&[("orderby", text)])), expected, "{text}");
    }
    let key = "search.clusterpedia.io/orderby";
    for (label, expected) in [
        (format!("{key}=name_desc"), &["Name desc"][..]),
        (format!("{key}=created_at"), &["CreatedAt"]),
        (format!("{key} in (resource_version_desc)"), &["ResourceVersion desc"]),
        (
            format!("{key} in (namespace, created_at_desc, cluster)"),
            &["Namespace", "CreatedAt desc", "Cluster"],
        ),
        (
            format!("x=name,{key}=namespace,app in (a),{key} in (name,cluster)"),
            &["Namespace", "Name", "Cluster"],
        ),
    ] {
        assert_eq!(order(&by_label(&label)), expected, "{label}");
    }
}

#[test]
fn c66_and_c73_an_order_is_of_known_fields_in_the_one_form() {
    for wrong in [
        "name asc",
        "a b",
        "name  desc",
        "name DESC",
        " name",
        "name,",
        "uid",
        "name;drop",
        "Name",
        "name,,cluster",
    ] {
        assert_eq!(fault(ask(&[("orderby", wrong)])), "orderby", "{wrong}");
    }
    for wrong in ["name_asc", "id", "_desc"] {
        let label = format!("search.clusterpedia.io/orderby in (name,{wrong})");
        let refused = if wrong == "_desc" { "labelSelector" } else { "search.clusterpedia.io/orderby" };
        assert_eq!(fault(kubectl(&label)), refused, "{wrong}");
    }
}

#[test]
fn c67_resource_versions_order_by_number() {
    let search = found(&[("orderby", "resource_version")]);
    assert_eq!(search.query.order, [OrderBy::ascending(OrderField::ResourceVersion)]);
}

#[test]
fn c68_pages_go_on_at_an_offset_or_behind_a_token() {
    let search = found(&[("limit", "1"), ("withContinue", "true"), ("continue", "99999")]);
    assert_eq!((search.query.limit, search.query.start), (NonZeroU64::new(1), Start::Offset(99_999)));
    assert!(search.with_continue);
    for beginning in ["0", "-3", ""] {
        assert_eq!(found(&[("continue", beginning)]).query.start, Start::Beginning, "{beginning:?}");
    }
    let position = store::Position {
        cluster: ClusterName::new("c1"),
        resource: Resource::new("", "v1", "pods"),
        namespace: "default".to_owned(),
        name: "web".to_owned(),
        created: 0,
        version: store::Version::Number(1),
        sequence: 1,
    };
    let token = store::Token::new(&found(&[("limit", "1")]).query, &position);
    // The page behind it may be of another size, but not of another query.
    assert_eq!(
        found(&[("limit", "2"), ("continue", token.as_str())]).query.start,
        Start::After(token.clone())
    );
    assert_eq!(fault(ask(&[("names", "web"), ("continue", token.as_str())])), "continue");
    for wrong in ["abc", "-", "1x", "99999999999999999999", "+1"] {
        assert_eq!(fault(ask(&[("continue", wrong)])), "continue", "{wrong}");
    }
}

#[test]
fn c69_flags_are_true_unless_they_say_no() {
    for (value, expected) in [
        ("", true),
        ("true", true),
        ("1", true),
        ("no", true),
        ("0", false),
        ("false", false),
        ("FALSE", false),
    ] {
        let search =
            found(&[("withRemainingCount", value), ("onlyMetadata", value), ("injectEvents", value)]);
        assert_eq!((search.with_remaining_count, search.inject_events), (expected, expected), "{value:?}");
        assert_eq!(search.query.content == Content::Metadata, expected, "{value:?}");
        let label = format!("search.clusterpedia.io/with-remaining-count={value}");
        assert_eq!(by_label(&label).with_remaining_count, expected, "{value:?}");
    }
    assert!(by_label("search.clusterpedia.io/inject-events").inject_events);
    assert!(!by_label("!search.clusterpedia.io/with-continue").with_continue);
}

#[test]
fn c71_the_limit_of_kubectl_loses_against_a_label_and_a_chosen_one_wins() {
    for (limit, label, expected) in [
        ("500", "search.clusterpedia.io/limit=20", Some(20)),
        ("500", "search.clusterpedia.io/size=20", Some(20)),
        ("500", "search.clusterpedia.io/size=1000", Some(1000)),
        ("500", "search.clusterpedia.io/limit=0", None),
        ("500", "app=web", Some(500)),
        ("2", "search.clusterpedia.io/limit=20", Some(2)),
        ("0", "search.clusterpedia.io/limit=20", Some(20)),
        ("", "search.clusterpedia.io/limit=20", Some(20)),
        ("-1", "app=web", None),
    ] {
        let search = found(&[("limit", limit), ("labelSelector", label)]);
        assert_eq!(search.query.limit.map(u64::from), expected, "{limit} {label}");
    }
    assert!(by_label("search.clusterpedia.io/with-continue=true").with_continue);
}

#[test]
fn c72_limits_and_offsets_are_integers() {
    for key in ["offset", "limit", "size"] {
        let key = format!("search.clusterpedia.io/{key}");
        assert_eq!(fault(kubectl(&format!("{key}=abc"))), key);
    }
    assert_eq!(fault(ask(&[("limit", "abc")])), "limit");
    assert_eq!(by_label("search.clusterpedia.io/offset=7").query.start, Start::Offset(7));
    assert_eq!(by_label("search.clusterpedia.io/offset=0").query.start, Start::Beginning);
}

#[test]
fn c76_a_collection_is_searched_like_a_resource() {
    let resources =
        ["daemonsets", "deployments"].map(|name| Resource::new("apps", "v1", name).into()).to_vec();
    let place = Place { resources: resources.clone(), ..Place::default() };
    let parameters =
        parameters(&[("clusters", "c1"), ("namespaces", "default"), ("labelSelector", "app=web")]);
    let query = Search::parse(place, &parameters).unwrap().query;
    assert_eq!((query.resources, query.namespaces), (resources, texts(["default"])));
}

#[test]
fn c77_any_names_groups_and_resources_and_unites_them() {
    let any = |pairs: &[(&str, &str)]| {
        let show = |part: Option<String>| part.unwrap_or_else(|| "?".to_owned());
        let all = resources_of_any(&parameters(pairs)).map_err(|error| error.parameter)?;
        let line = |it: ResourcePattern| [show(it.group), show(it.version), show(it.resource)].join("|");
        Ok::<_, String>(all.into_iter().map(line).collect::<Vec<_>>().join(" "))
    };
    for (name, text, expected) in [
        ("groups", "apps", Ok("apps|?|?")),
        ("groups", "apps/v1,batch", Ok("apps|v1|? batch|?|?")),
        ("groups", "", Ok("|?|?")),
        ("groups", "/", Ok("|?|?")),
        ("groups", "/v1", Ok("|v1|?")),
        ("groups", "apps,*", Ok("apps|?|? ?|?|?")),
        ("groups", "apps/v1/x", Err("groups")),
        ("resources", "apps/deployments", Ok("apps|?|deployments")),
        ("resources", "apps/v1/deployments, /pods", Ok("apps|v1|deployments |?|pods")),
        ("resources", "/v1/pods", Ok("|v1|pods")),
        ("resources", "apps//deployments", Ok("apps|?|deployments")),
        ("resources", "apps/", Err("resources")),
        ("resources", "", Err("resources")),
        ("resources", "/pods,", Err("resources")),
        ("resources", "pods", Err("resources")),
        ("resources", "a/b/c/d", Err("resources")),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(any(&[(name, text)]), expected, "{name}={text}");
    }
    assert_eq!(any(&[("resources", "/pods"), ("groups", "apps")]).as_deref(), Ok("apps|?|? |?|pods"));
    assert_eq!(any(&[]), Err("groups".to_owned()));
}
