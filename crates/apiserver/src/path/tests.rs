use proptest::prelude::*;

use super::*;

fn parse(method: &str, target: &str) -> Result<RequestInfo, PathError> {
    RequestInfo::parse(&method.parse().unwrap(), &target.parse().unwrap())
}

/// verb, group, version, namespace, resource, name, subresource, tail
type Row = (&'static str, &'static str, [&'static str; 8]);

#[test]
fn resource_paths_are_read_as_kubernetes_reads_them() {
    let rows: &[Row] = &[
        ("GET", "/api/v1/pods", ["list", "", "v1", "", "pods", "", "", ""]),
        ("GET", "/api/v1/pods?watch=true", ["watch", "", "v1", "", "pods", "", "", ""]),
        ("GET", "/api/v1/pods?watch", ["watch", "", "v1", "", "pods", "", "", ""]),
        ("GET", "/api/v1/pods?watch=0", ["list", "", "v1", "", "pods", "", "", ""]),
        ("GET", "/api/v1/pods?w%61tch=1&limit=1", ["watch", "", "v1", "", "pods", "", "", ""]),
        ("GET", "/api/v1/namespaces/x/pods/p", ["get", "", "v1", "x", "pods", "p", "", ""]),
        ("HEAD", "/api/v1/namespaces/x/pods/p", ["get", "", "v1", "x", "pods", "p", "", ""]),
        ("GET", "/api/v1/namespaces/x/pods/p/log", ["get", "", "v1", "x", "pods", "p", "log", ""]),
        ("GET", "/api/v1/namespaces", ["list", "", "v1", "", "namespaces", "", "", ""]),
        ("GET", "/api/v1/namespaces/x", ["get", "", "v1", "x", "namespaces", "x", "", ""]),
        (
            "PUT",
            "/api/v1/namespaces/x/finalize",
            ["update", "", "v1", "x", "namespaces", "x", "finalize", ""],
        ),
        (
            "DELETE",
            "/apis/g/v1/namespaces/x/things",
            ["deletecollection", "g", "v1", "x", "things", "", "", ""],
        ),
        ("DELETE", "/apis/g/v1/namespaces/x/things/t", ["delete", "g", "v1", "x", "things", "t", "", ""]),
        ("POST", "/apis/g/v1/things", ["create", "g", "v1", "", "things", "", "", ""]),
        ("PATCH", "/apis/g/v1/things/t/status", ["patch", "g", "v1", "", "things", "t", "status", ""]),
        ("OPTIONS", "/apis/g/v1/things/t", ["", "g", "v1", "", "things", "t", "", ""]),
        (
            "GET",
            "/apis/g/v1/things?fieldSelector=metadata.name%3Dt",
            ["list", "g", "v1", "", "things", "t", "", ""],
        ),
        ("GET", "/apis/g/v1/things/", ["list", "g", "v1", "", "things", "", "", ""]),
        ("GET", "/apis/g/v1/sockets/c/proxy", ["get", "g", "v1", "", "sockets", "c", "proxy", ""]),
        ("GET", "/apis/g/v1/sockets/c/proxy/", ["get", "g", "v1", "", "sockets", "c", "proxy", "/"]),
        (
            "POST",
            "/apis/g/v1/sockets/c/proxy/direct/api/v1/pods?x=/y",
            ["create", "g", "v1", "", "sockets", "c", "proxy", "/direct/api/v1/pods"],
        ),
    ];
    for (method, target, expected) in rows {
        let info = parse(method, target).unwrap();
        let found = [
            info.verb.as_str(),
            &info.group,
            &info.version,
            info.namespace.as_deref().unwrap_or_default(),
            &info.resource,
            info.name.as_deref().unwrap_or_default(),
            info.subresource.as_deref().unwrap_or_default(),
            &info.tail,
        ];
        assert!(info.is_resource, "{method} {target}");
        assert_eq!(&found, expected, "{method} {target}");
    }
}

#[test]
fn other_paths_are_no_resources_and_keep_their_method_as_verb() {
    for target in
        ["/", "/api", "/api/v1", "/apis", "/apis/g", "/apis/g/v1", "/apis/g/v1/", "/version", "/healthz/ping"]
    {
        let info = parse("GET", target).unwrap();
        assert!(!info.is_resource, "{target}");
        assert_eq!(info.verb, "get", "{target}");
        assert_eq!(info.path, target);
    }
}

#[test]
fn the_tail_stays_raw() {
    let info = parse("GET", "/apis/g/v1/sockets/c/proxy/http/host:80/a%2Fb//%20c/").unwrap();
    assert_eq!(info.tail, "/http/host:80/a%2Fb//%20c/");
}

#[test]
fn a_name_that_two_servers_could_read_differently_is_refused() {
    for target in [
        "/apis/g/v1/sockets/a%2Fproxy",
        "/apis/g/v1/sockets/a%5Cproxy",
        "/apis/g/v1/sockets//proxy",
        "/apis//v1/sockets/a",
        "//apis/g/v1/sockets/a",
        "/apis/g/v1/sockets/a%00b/proxy",
        "/apis/g/v1/sockets/a%0Ab",
        "/apis/g/v1/sockets/%2561",
    ] {
        assert_eq!(parse("GET", target), Err(PathError::Segment), "{target}");
    }
}

#[test]
fn dot_segments_are_refused_in_every_spelling_and_place() {
    for target in [
        "/apis/g/v1/sockets/../secrets",
        "/apis/g/v1/sockets/%2e%2e/secrets",
        "/apis/g/v1/sockets/c/proxy/../attach",
        "/apis/g/v1/sockets/c/proxy/direct/%2E%2e/x",
        "/apis/g/v1/sockets/c/proxy/direct/.%2e/x",
        "/apis/g/v1/sockets/c/proxy/direct/a%2f..%2fb",
        "/apis/g/v1/sockets/c/proxy/direct/..%5cb",
        "/apis/g/v1/sockets/c/proxy/direct/./x",
        "/healthz/../metrics",
    ] {
        assert_eq!(parse("GET", target), Err(PathError::DotSegment), "{target}");
    }
}

#[test]
fn broken_escapes_are_refused_even_in_the_tail() {
    for target in ["/apis/g/v1/sockets/c/proxy/%zz", "/apis/g/v1/sockets/c/proxy/%2", "/apis/g/v1/things/%ff"]
    {
        assert_eq!(parse("GET", target), Err(PathError::Encoding), "{target}");
    }
}

#[test]
fn legacy_prefixes_are_refused() {
    for target in ["/api/v1/watch/pods", "/apis/g/v1/proxy/sockets/c"] {
        assert_eq!(parse("GET", target), Err(PathError::LegacyPrefix), "{target}");
    }
}

#[test]
fn what_is_not_a_path_is_refused() {
    assert_eq!(RequestInfo::parse(&Method::OPTIONS, &"*".parse().unwrap()), Err(PathError::NotAPath));
    assert_eq!(RequestInfo::parse(&Method::CONNECT, &"host:443".parse().unwrap()), Err(PathError::NotAPath));
}

proptest! {
    #[test]
    fn no_path_makes_the_parser_panic_and_no_decoded_part_holds_a_slash(path in "/(apis?/)?[a-z%0-9./\\\\A-F?=&]{0,60}") {
        let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
        if let Ok(info) = RequestInfo::parse(&Method::GET, &uri) {
            let parts = [Some(&info.group), Some(&info.version), info.namespace.as_ref(), Some(&info.resource),
                info.name.as_ref(), info.subresource.as_ref()];
            for part in parts.into_iter().flatten() {
                prop_assert!(!part.contains(['/', '\\', '%']) && part != "..", "{part} in {path}");
            }
            prop_assert!(uri.path().ends_with(&info.tail));
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(name in "[a-z0-9][a-z0-9-]{0,20}", sub in "[a-z]{1,8}", tail in "(/[a-z0-9~%]{0,0}[a-z]{1,5}){0,4}") {
        let info = parse("GET", &format!("/apis/g/v1/sockets/{name}/{sub}{tail}")).unwrap();
        prop_assert_eq!(info.name.unwrap(), name);
        prop_assert_eq!(info.subresource.unwrap(), sub);
        prop_assert_eq!(info.tail, tail);
    }
}
