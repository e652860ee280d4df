//! A template may come from anybody: whatever it tries, it ends within its steps and its memory, with an error that names
//! the limit and no value.

#![cfg(test)]

use gotemplate::{Environment, Error, ErrorKind, Limit, Limits, Template};
use serde_json::{Value, json};

fn render_with(template: &str, data: &Value, limits: &Limits) -> Result<String, Error> {
    let random = |bytes: &mut [u8]| bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
    let environment = Environment { random: Some(&random), ..Environment::default() };
    Template::parse("t", template)?.render(data, limits, &environment)
}

/// The limit a template runs into.
fn limit(template: &str) -> Limit {
    limit_of(template, &Limits::default())
}

fn limit_of(template: &str, limits: &Limits) -> Limit {
    let data = json!({ "long": "ab ".repeat(100_000), "list": vec!["x"; 10_000] });
    let Err(error) = render_with(template, &data, limits) else { panic!("{template} renders") };
    let ErrorKind::Limit(limit) = error.kind else { panic!("{template}: {error}") };
    limit
}

#[test]
fn texts_cannot_be_made_arbitrarily_long() {
    for template in [
        r#"{{ repeat 2000000000 "x" }}"#,
        r#"{{ repeat 9223372036854775807 "xx" }}"#,
        r"{{ .long | indent 1000000000 }}",
        r#"{{ .long | replace " " "\n" | nindent 2000 }}"#,
        r#"{{ .long | replace " " .long }}"#,
        r#"{{ .long | replace "" .long }}"#,
        r"{{ .list | join .long }}",
        r#"{{ regexReplaceAll " " .long .long }}"#,
        r#"{{ regexReplaceAllLiteral "" .long .long }}"#,
        r"{{ wrapWith 1 .long .long }}",
        r#"{{ printf "%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d" 1 1 1 1 1 1 1 1 1 | repeat 9 }}"#,
        r"{{ randBytes 2000000000 }}",
        r"{{ randAlpha 2000000000 }}",
        r#"{{ $x := "x" }}{{ range 100 }}{{ $x = printf "%s%s" $x $x }}{{ end }}"#,
        r#"{{ $x := "<" }}{{ range 100 }}{{ $x = html $x $x }}{{ end }}"#,
        r#"{{ $x := "a" }}{{ range 100 }}{{ $x = toJson (list $x $x) }}{{ end }}"#,
    ] {
        assert!(matches!(limit(template), Limit::Memory | Limit::Steps), "{template}");
    }
}

#[test]
fn widths_and_precisions_are_bounded() {
    let limits = Limits { memory_bytes: 10_000, ..Limits::default() };
    for template in [
        r#"{{ printf "%1000000d" 1 }}"#,
        r#"{{ printf "%.1000000f" 1.5 }}"#,
        r#"{{ printf "%.999999e" 1.5 }}"#,
        r#"{{ printf "%*d" 1000000 1 }}"#,
        r#"{{ printf "%0999999x" "a" }}"#,
    ] {
        let error = render_with(template, &json!({}), &limits).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Limit(Limit::Memory | Limit::Steps)), "{template}: {error}");
    }
    // Beyond a million Go itself declines.
    assert_eq!(render_with(r#"{{ printf "%*d" 1000001 1 }}"#, &json!({}), &limits).unwrap(), "%!(BADWIDTH)1");
}

#[test]
fn lists_and_dictionaries_cannot_be_made_arbitrarily_large() {
    for template in [
        r"{{ until 2000000000 }}",
        r"{{ until 9223372036854775807 }}",
        r"{{ untilStep -9223372036854775808 9223372036854775807 1 }}",
        r"{{ seq 2000000000 }}",
        r"{{ seq 0 1 9223372036854775807 }}",
        r"{{ $l := list 1 }}{{ range 100 }}{{ $l = concat $l $l }}{{ end }}",
        r"{{ $l := list 1 }}{{ range 1000000 }}{{ $l = append $l 1 }}{{ end }}",
        r"{{ $l := list 1 }}{{ range 100 }}{{ $l = list $l $l }}{{ end }}{{ deepCopy $l }}",
        r"{{ $d := dict }}{{ range $i := 10000000 }}{{ $_ := set $d (toString $i) $i }}{{ end }}",
        r#"{{ splitList "" .long | join " " | splitList "" | toStrings | join "," | repeat 1000 }}"#,
    ] {
        assert!(matches!(limit(template), Limit::Memory | Limit::Steps | Limit::Depth), "{template}");
    }
}

#[test]
fn loops_end() {
    for template in [
        r"{{ range 9223372036854775807 }}{{ end }}",
        r"{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}",
        r"{{ range .list }}{{ range $.list }}{{ range $.list }}{{ end }}{{ end }}{{ end }}",
        r"{{ range .list }}{{ $_ := $.long | upper }}{{ end }}",
        r#"{{ range .list }}{{ if contains "zzz" $.long }}{{ end }}{{ end }}"#,
        r"{{ range .list }}{{ $_ := uniq $.list }}{{ end }}",
        r"{{ range .list }}{{ $_ := sortAlpha $.list }}{{ end }}",
    ] {
        assert!(matches!(limit(template), Limit::Steps | Limit::Memory), "{template}");
    }
}

#[test]
fn work_that_leaves_nothing_behind_counts_too() {
    for template in [
        r"{{ $d := dict }}{{ range $i := 5000 }}{{ $_ := set $d (toString $i) $i }}{{ end }}{{ range 100000 }}{{ range $d }}{{ break }}{{ end }}{{ end }}",
        r#"{{ printf (repeat 100000 "%[1]x") .long }}"#,
        r"{{ range .list }}{{ $_ := trimAll $.long $.long }}{{ end }}",
    ] {
        assert!(matches!(limit(template), Limit::Steps | Limit::Memory), "{template}");
    }
    let variables: Vec<String> = (0..2_000).map(|at| format!("{{{{ $v{at} := 1 }}}}")).collect();
    let variables = variables.concat();
    assert_eq!(Template::parse("t", &variables).unwrap_err().kind, ErrorKind::Syntax);
}

#[test]
fn shared_parts_are_not_printed_or_compared_forever() {
    // Sixty levels of two references each: small in memory, endless on paper.
    let build =
        r"{{ $l := list }}{{ $m := list }}{{ range 60 }}{{ $l = list $l $l }}{{ $m = list $m $m }}{{ end }}";
    for end in [
        "{{ $l }}",
        "{{ toJson $l }}",
        "{{ toPrettyJson $l }}",
        "{{ deepEqual $l $m }}",
        "{{ deepCopy $l }}",
        "{{ has $l (list $m) }}",
        r#"{{ printf "%d" $l }}"#,
        "{{ toString $l | len }}",
    ] {
        let template = format!("{build}{end}");
        let limits = Limits { memory_bytes: 1 << 20, steps: 100_000, ..Limits::default() };
        assert!(matches!(limit_of(&template, &limits), Limit::Memory | Limit::Steps), "{end}");
    }
}

#[test]
fn recursion_ends_before_the_stack_does() {
    for template in [
        r#"{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}"#,
        r#"{{ define "a" }}{{ template "b" . }}{{ end }}{{ define "b" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#,
        r#"{{ define "r" }}{{ if true }}{{ with 1 }}{{ range 1 }}{{ template "r" (print (print .)) }}{{ end }}{{ end }}{{ end }}{{ end }}{{ template "r" . }}"#,
        r#"{{ template "t" . }}x"#,
        r"{{ $l := list }}{{ range 1000 }}{{ $l = list $l }}{{ end }}{{ $l }}",
        r"{{ $l := list }}{{ range 1000 }}{{ $l = list $l }}{{ end }}{{ toJson $l }}",
        r"{{ $l := list }}{{ range 1000 }}{{ $l = list $l }}{{ end }}{{ deepCopy $l }}",
        r"{{ $l := list }}{{ range 1000 }}{{ $l = list $l }}{{ end }}{{ deepEqual $l (list $l) }}{{ deepEqual $l $l }}",
        r#"{{ $d := dict }}{{ $e := dict }}{{ range 1000 }}{{ $d = dict "a" $d }}{{ $e = dict "a" $e }}{{ end }}{{ merge $d $e }}"#,
    ] {
        assert_eq!(limit(template), Limit::Depth, "{template}");
    }
}

#[test]
fn very_deep_values_are_dropped_without_the_stack() {
    let limits = Limits { steps: 100_000_000, memory_bytes: 1 << 30, ..Limits::default() };
    let template = r#"{{ $l := list }}{{ range 200000 }}{{ $l = list (dict "a" $l) }}{{ end }}done"#;
    assert_eq!(render_with(template, &json!({}), &limits).unwrap(), "done");
    // From the outside in.
    let template = r#"{{ $d := dict }}{{ $last := $d }}{{ range 1000 }}{{ $next := dict }}{{ $_ := set $last "a" $next }}{{ $last = $next }}{{ end }}done"#;
    assert_eq!(render_with(template, &json!({}), &limits).unwrap(), "done");
}

#[test]
fn a_dictionary_cannot_hold_itself() {
    for template in [
        r#"{{ $d := dict }}{{ $_ := set $d "a" $d }}"#,
        r#"{{ $d := dict }}{{ $_ := set $d "a" (list 1 (dict "b" $d)) }}"#,
        r#"{{ $a := dict }}{{ $b := dict "a" $a }}{{ $_ := set $a "b" $b }}"#,
        r#"{{ $d := dict "x" 1 }}{{ $_ := merge $d (dict "a" $d) }}"#,
        r#"{{ $_ := set . "self" . }}"#,
    ] {
        let error = render_with(template, &json!({ "x": 1 }), &Limits::default()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Function, "{template}");
        assert!(error.message.contains("hold itself"), "{error}");
    }
}

#[test]
fn regular_expressions_are_bounded_in_size_and_in_work() {
    for template in [
        r#"{{ regexMatch "((a{100}){100}){100}" "a" }}"#,
        r#"{{ regexMatch (repeat 5000 "a") "a" }}"#,
        r#"{{ regexMatch (repeat 1000 "(") "a" }}{{ regexMatch (repeat 3000 "(a") "a" }}"#,
        r#"{{ regexMatch "(\\pL{100}){50}" "a" }}"#,
    ] {
        assert_eq!(limit(template), Limit::Regex, "{template}");
    }
    // The classic: exponential for backtracking engines.
    assert_eq!(
        render_with(
            r#"{{ regexMatch "^(a+)+$" (print (repeat 5000 "a") "b") }}"#,
            &json!({}),
            &Limits::default()
        )
        .unwrap(),
        "false"
    );
    for template in [
        r#"{{ range .list }}{{ $_ := regexMatch "(a|b| ){1,100}z" $.long }}{{ end }}"#,
        r#"{{ range $i := 1000000 }}{{ $_ := regexMatch (printf "%d(a|b){200}" $i) "x" }}{{ end }}"#,
    ] {
        assert!(matches!(limit(template), Limit::Steps | Limit::Memory), "{template}");
    }
}

#[test]
fn the_result_is_bounded() {
    let limits = Limits { output_bytes: 10, ..Limits::default() };
    assert_eq!(render_with("{{ .a }}{{ .a }}", &json!({ "a": "12345" }), &limits).unwrap(), "1234512345");
    let error = render_with("{{ .a }}\n{{ .a }}", &json!({ "a": "12345" }), &limits).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit(Limit::Output));
    assert_eq!((error.line, error.column), (2, 4));
    let error = render_with("{{ 1 }}\na text without actions", &json!({}), &limits).unwrap_err();
    assert_eq!((error.line, error.column), (1, 8));
}

#[test]
fn functions_that_need_a_clock_or_random_bytes_are_refused_without_them() {
    for template in [
        "{{ now }}",
        r#"{{ date "2006" "x" }}"#,
        "{{ ago 0 }}",
        "{{ uuidv4 }}",
        "{{ randInt 0 5 }}",
        "{{ randAlphaNum 3 }}",
        r#"{{ shuffle "abc" }}"#,
        "{{ randBytes 3 }}",
    ] {
        let template = Template::parse("t", template).unwrap();
        let error = template.render(&json!({}), &Limits::default(), &Environment::default()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Environment, "{error}");
    }
}

#[test]
fn random_functions_use_the_environments_bytes() {
    let text = render_with(
        r#"{{ uuidv4 }} {{ randBytes 3 }} {{ randInt 5 6 }} {{ randNumeric 4 | len }} {{ shuffle "" }}|"#,
        &json!({}),
        &Limits::default(),
    );
    assert_eq!(text.unwrap(), "00010203-0405-4607-8809-0a0b0c0d0e0f AAEC 5 4 |");
}

#[test]
fn errors_name_the_place_and_never_a_value() {
    let secret = "c2VjcmV0LXZhbHVl";
    let data = json!({ "s": secret, "n": 424_242, "l": [secret], "d": { "k": secret } });
    for template in [
        "{{ .s.x }}",
        "{{ eq .s 1 }}",
        "{{ eq .l .l }}",
        "{{ lt .n .s }}",
        "{{ index .l .s }}",
        "{{ index .l .n }}",
        "{{ index .d .n }}",
        "{{ range .s }}{{ end }}",
        "{{ fail .s }}",
        r#"{{ fail (printf "token %s" .s) }}"#,
        "{{ .s | fail }}",
        "{{ mustFromJson .s }}",
        "{{ semver .s }}",
        r#"{{ semverCompare .s "1" }}"#,
        "{{ regexFind (print .s `(`) .s }}",
        r#"{{ mustToDate "2006" .s }}"#,
        "{{ urlParse (print .s `%zz`) }}",
        "{{ dig .s .s .s }}",
        "{{ first .s }}",
        "{{ repeat .n .s }}",
        "{{ until .s }}",
        "{{ call .s }}",
        "{{ set .l .s .s }}",
        "{{ substr 1000 2000 .s }}",
    ] {
        let error = render_with(template, &data, &Limits::default()).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("c2Vj") && !text.contains("424242"), "{template}: {text}");
        assert_eq!(error.line, 1);
    }
    let error = render_with(r#"{{ if true }}{{ fail "set a region" }}{{ end }}"#, &data, &Limits::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "t:1:17: fail: set a region");
}
