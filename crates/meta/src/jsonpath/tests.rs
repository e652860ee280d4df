use proptest::prelude::*;
use serde_json::json;

use super::*;

fn object() -> Value {
    json!({
        "kind": "Thing",
        "metadata": {"name": "one", "labels": {"app.x/y": "lab", "a": "b"}},
        "spec": {
            "str": "text", "int": 3, "float": 1.5, "large": 1_234_567.5, "yes": true, "null": null, "empty": "",
            "obj": {"b": 1, "a": [1, "x"]}, "arr": [1, "two", true, null], "none": [], "nested": [[1, 2], [3]],
            "names": [{"name": "a", "v": 1}, {"name": "b", "v": 2}], "strs": ["x", "y z"], "html": "a<b>"
        }
    })
}

fn text(template: &str) -> String {
    JsonPath::parse(template).unwrap_or_else(|error| panic!("{template}: {error}")).to_text(&object())
}

/// Recorded from kubectl 1.37.
#[test]
fn a_template_prints_what_kubectl_prints() {
    for (template, expected) in [
        ("", ""),
        ("{.spec.str}", "text"),
        (".spec.str", ".spec.str"),
        ("{.spec.int} and {.spec.float}", "3 and 1.5"),
        ("{.spec.large}", "1.2345675e+06"),
        ("{.spec.yes}|{.spec.missing}|{.spec.none}|{.spec.arr}", r#"true||[]|[1,"two",true,null]"#),
        ("{.spec.obj}", r#"{"a":[1,"x"],"b":1}"#),
        ("{.spec.names[*].name}", "a b"),
        ("{.spec.names..name}", "a b"),
        ("{..name}", "one a b"),
        ("{$.spec.str}{@.spec.str}", "texttext"),
        ("x{.metadata.labels}y", r#"x{"a":"b","app.x/y":"lab"}y"#),
        ("{.}", ""),
        (r#"{"literal"}{'single'}"#, "literalsingle"),
        (r#"{"a\tb\n"}{'q\'q'}{"q\"q"}{"\u00e9}"}"#, "a\tb\nq'qq\"qé}"),
        (r"a\nb", r"a\nb"),
        ("{range .spec.names[*]}{.name}={.v};{end}", "a=1;b=2;"),
        ("{range .spec.names[*]}{.name}{range $.spec.strs[*]}<{@}>{end}{\"\\n\"}{end}", "a\nb\n"),
        ("{range .spec.names}{.name}{end}", ""),
        ("{range .spec.missing[*]}x{end}y", "y"),
        ("{range .spec.none[*]}x{end}y", "y"),
        ("{range .spec.nested[*]}{range @[*]}{@},{end};{end}", "1,2,;3,;"),
        ("{range .spec.str}{@}{end}", "text"),
        ("{range .spec.obj.*}{@}{end}", r#"[1,"x"]1"#),
        ("{range .spec.names[*]}{.name}", "ab"),
        ("{.spec.names[0].name}{.spec.names[-1].name}{.spec.names[1].name}", "abb"),
        ("{.spec.arr[0:2]}", "1 two"),
        ("{.spec.arr[1:]}", "two true null"),
        ("{.spec.arr[:2]}", "1 two"),
        ("{.spec.arr[::2]}", "1 true"),
        ("{.spec.arr[-2:]}", "true null"),
        ("{.spec.arr[:-1]}", "1 two true"),
        ("{.spec.arr[0,1]}", "1 two"),
        ("{.spec.arr[0:1,2]}", "1 true"),
        ("{.spec.arr[-1]}", "null"),
        ("{.spec['str']}", "text"),
        ("{.spec['str','int']}", "text 3"),
        ("{['spec']['str']}{['spec'].str}", "texttext"),
        ("{.['spec'].str}", ""),
        ("{.spec.strs[*]}", "x y z"),
        ("{.spec.names.*}", r#"{"name":"a","v":1} {"name":"b","v":2}"#),
        (r"{.metadata.labels.app\.x/y}{.metadata.labels['app\.x/y']}", "lablab"),
        ("{.metadata.labels.app.x/y}", ""),
        (r#"{.spec.names[?(@.name=="b")].v}"#, "2"),
        ("{.spec.names[?(@.name=='b')].v}", "2"),
        (r#"{.spec.names[?( @.name == "b" )]}"#, r#"{"name":"b","v":2}"#),
        ("{.spec.names[?(@.v==2)].name}", "b"),
        ("{.spec.names[?(@.v>1)].name}", "b"),
        ("{.spec.names[?(@.v>=1)].name}", "a b"),
        ("{.spec.names[?(@.v<2)].name}", "a"),
        ("{.spec.names[?(@.v<=2)].name}", "a b"),
        ("{.spec.names[?(@.v!=2)].name}", "a"),
        ("{.spec.names[?(@.v)].name}", "a b"),
        ("{.spec.names[?(@.x)].name}", ""),
        (r#"{.spec.names[?(@.x=="1")].name}{.spec.names[?(@.x!="1")].name}"#, ""),
        (r#"{.spec.names[?(@.name>"a")].name}"#, "b"),
        ("{.spec.names[?(@.name==@.name)].name}", "a b"),
        ("{.spec.arr[?(@)]}", "1 two true null"),
        (r#"{.spec.strs[?(@!="x")]}"#, "y z"),
        ("{ .spec.str }{.spec .str}", "texttext"),
        ("{.spec.names [0]}", r#"{"name":"a","v":1}"#),
        ("{.spec.html}", "a<b>"),
        ("{.spec['html','str']}", "a<b> text"),
        ("{.spec.obj.a[1]}", "x"),
        ("{.spec.nested[*][*]}", "1 2 3"),
        ("{.spec.int.x}{.spec.str.x}{.spec.arr.name}", ""),
        ("{.spec.names[*]['name','v']}", "a b 1 2"),
        ("{.spec.names[]}", r#"{"name":"a","v":1}"#),
        ("}", "}"),
        ("{3}{-3.5}{true}", "3-3.5true"),
        ("{.spec.names[0].name .spec.names[1].name}", ""),
    ] {
        assert_eq!(text(template), expected, "{template}");
    }
}

#[test]
fn where_kubectl_gives_up_nothing_is_found() {
    for template in [
        "{.spec.names[5].name}",
        "{.spec.names[-5].name}",
        "{.spec.arr[3:1]}",
        "{.spec.arr[9:]}",
        "{.spec.str[0]}",
        "{.spec[*]}",
        r#"{.spec.names[?(@.v=="2")].name}"#,
        "{.spec.obj[?(@)]}",
    ] {
        assert_eq!(text(template), "", "{template}");
    }
    assert_eq!(text("{.spec.arr[1:9]}"), "two true null");
    assert_eq!(text("{.spec.names[?(@.v==2.0)].name}{.spec.names[?(@.v>1.5)].name}"), "bb");
    assert_eq!(text(r#"{.spec.arr[?(@=="two")]}"#), "two");
}

#[test]
fn dots_within_quotes_belong_to_the_name() {
    assert_eq!(text(r#"{.metadata.labels['app.x/y']}{.metadata.labels["app.x/y"]}"#), "lablab");
}

#[test]
fn objects_are_printed_safe_within_html() {
    let path = JsonPath::parse("{@}").unwrap();
    assert_eq!(path.to_text(&json!(["<&>"])), r#"["\u003c\u0026\u003e"]"#);
}

#[test]
fn descending_finds_outer_before_inner() {
    let path = JsonPath::parse("{..}").unwrap();
    let object = json!({"a": [1, {"b": 2}], "c": 3});
    assert_eq!(
        path.find(&object),
        [&object, &object["a"], &json!(1), &json!({"b": 2}), &json!(2), &json!(3)]
    );
}

#[test]
fn a_relaxed_path_needs_no_braces_and_no_first_dot() {
    for path in [".spec.str", "spec.str", "{.spec.str}", "$.spec.str", "['spec'].str"] {
        assert_eq!(JsonPath::parse_relaxed(path).unwrap().to_text(&object()), "text", "{path}");
    }
    for bad in [".spec.str}", "{.spec.str", ".a b", ".a[", "a{b}"] {
        assert!(JsonPath::parse_relaxed(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_template_is_refused_where_it_is_wrong() {
    for (template, position) in [
        ("{.spec.str", 10),
        ("{end}", 4),
        ("{spec.str}", 1),
        ("{{.spec.str}}", 1),
        ("{..*}", 3),
        ("{.a[}", 4),
        ("{.a[str]}", 4),
        ("{.a[0:b]}", 6),
        ("{.a[+1]}", 4),
        ("{.a[1.5]}", 5),
        ("{.a[1-2]}", 4),
        ("{.a[0:1:2:3]}", 9),
        ("{.a[::0]}", 6),
        ("{.a[::-1]}", 6),
        ("{.a['x}", 7),
        (r#"{"x}"#, 4),
        (r#"{"\q"}"#, 3),
        (r#"{"\u12"}"#, 3),
        (r#"{.a[?(@.b=="c"].d}"#, 14),
        ("{.a[?(@.b==)]}", 11),
        ("{.a[?(b)]}", 6),
        (r#"{.a[?(@.b=="c" && @.d)]}"#, 15),
        ("{.a[?@.b]}", 4),
        ("{.a, .b}", 3),
        ("{1.2.3}", 1),
    ] {
        let error = JsonPath::parse(template).unwrap_err();
        assert_eq!(error.position, position, "{template}: {error}");
    }
    let deep = |n: usize| format!("{{{}@{}}}", "[?(".repeat(n), ")]".repeat(n));
    assert!(JsonPath::parse(&deep(8)).is_ok());
    assert!(JsonPath::parse(&deep(9)).is_err());
    assert!(JsonPath::parse(&"{range .a}".repeat(8)).is_ok());
    assert!(JsonPath::parse(&"{range .a}".repeat(9)).is_err());
}

#[test]
fn no_path_comes_by_more_values_than_its_budget() {
    let list = json!(vec![json!(vec![json!({"a": 1}); 100]); 100]);
    for path in ["{@[0,0][0,0]", "{@.*..", "{@[*][?(@..[?(@)])]..", "{..", "{"] {
        let path = JsonPath::parse(&format!("{path}{}}}", "['a','a']..".repeat(20))).unwrap();
        assert!(path.find(&list).len() <= 100_000);
    }
    let ranges = JsonPath::parse(&"{range ..}{..}".repeat(8)).unwrap();
    assert!(ranges.find(&list).len() <= 100_000);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_evaluated(template in "([{}.\\[\\]?()'\"$@*,:=<>\\\\ ]|spec|names|name|range |end|[0-3]|-){0,24}") {
        match JsonPath::parse(&template) {
            Ok(path) => { path.to_text(&object()); path.find(&object()); }
            Err(error) => prop_assert!(template.is_char_boundary(error.position)),
        }
        let _ = JsonPath::parse_relaxed(&template);
    }

    #[test]
    fn slices_agree_with_counting(length in 0..6_i64, start in -7..8_i64, end in -7..8_i64, step in 1..4_i64) {
        let list: Value = (0..length).collect::<Vec<_>>().into();
        let path = JsonPath::parse(&format!("{{[{start}:{end}:{step}]}}")).unwrap();
        let found: Vec<i64> = path.find(&list).into_iter().filter_map(Value::as_i64).collect();
        let from_end = |index: i64| if index < 0 { index + length } else { index }.max(0);
        let expected: Vec<i64> = (0..length)
            .filter(|at| *at >= from_end(start) && *at < from_end(end) && (at - from_end(start)) % step == 0)
            .collect();
        prop_assert_eq!(found, expected);
    }
}
