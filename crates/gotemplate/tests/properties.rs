//! Arbitrary texts and data: an answer or an error, never a panic, and never more than the limits.

#![cfg(test)]

use gotemplate::{Environment, Limits, Template};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Pieces that make it likely that a text is almost a template.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{",
        "}}",
        "{{- ",
        " -}}",
        "if ",
        "else",
        "end",
        "range ",
        "with ",
        "define ",
        "template ",
        "block ",
        "break",
        "continue",
        "nil",
        "true",
        "$",
        "$x",
        ":=",
        "=",
        ",",
        ".",
        ".a",
        ".b.c",
        "(",
        ")",
        "|",
        "\"a\"",
        "`r`",
        "'c'",
        "1",
        "-1.5e3",
        "0x1f",
        "1_0",
        " ",
        "\n",
        "é",
        "print ",
        "printf ",
        "\"%5.2f %[1]q %*d\"",
        "index ",
        "len ",
        "eq ",
        "list ",
        "dict ",
        "set ",
        "merge ",
        "toJson ",
        "regexReplaceAll ",
        "\"(a*)+\"",
        "semverCompare ",
        "until ",
        "{",
        "}",
        "/*",
        "*/",
        "\\",
        "\u{0}",
        "trunc ",
        "substr ",
        "wrap ",
        "date ",
        "toDate ",
        "urlParse ",
        "slice ",
        "round ",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// An action out of words, which mostly parses.
fn action() -> impl Strategy<Value = String> {
    let function = prop::sample::select(vec![
        "print",
        "printf",
        "println",
        "len",
        "index",
        "eq",
        "ne",
        "lt",
        "and",
        "or",
        "not",
        "html",
        "js",
        "urlquery",
        "upper",
        "title",
        "trim",
        "trunc",
        "substr",
        "abbrev",
        "abbrevboth",
        "wrap",
        "wrapWith",
        "repeat",
        "replace",
        "snakecase",
        "camelcase",
        "kebabcase",
        "swapcase",
        "initials",
        "indent",
        "nindent",
        "quote",
        "squote",
        "cat",
        "splitList",
        "split",
        "splitn",
        "join",
        "sortAlpha",
        "toStrings",
        "list",
        "dict",
        "get",
        "set",
        "unset",
        "hasKey",
        "pluck",
        "keys",
        "values",
        "pick",
        "omit",
        "merge",
        "mergeOverwrite",
        "dig",
        "deepCopy",
        "deepEqual",
        "first",
        "last",
        "rest",
        "initial",
        "append",
        "prepend",
        "reverse",
        "uniq",
        "without",
        "has",
        "compact",
        "slice",
        "concat",
        "chunk",
        "default",
        "empty",
        "coalesce",
        "ternary",
        "add",
        "sub",
        "div",
        "mod",
        "mul",
        "max",
        "min",
        "addf",
        "divf",
        "mulf",
        "floor",
        "ceil",
        "round",
        "until",
        "untilStep",
        "seq",
        "int",
        "int64",
        "float64",
        "atoi",
        "toDecimal",
        "toString",
        "toJson",
        "toPrettyJson",
        "fromJson",
        "b64enc",
        "b64dec",
        "b32enc",
        "b32dec",
        "regexMatch",
        "regexFind",
        "regexFindAll",
        "regexReplaceAll",
        "regexSplit",
        "regexQuoteMeta",
        "semver",
        "semverCompare",
        "typeOf",
        "kindOf",
        "base",
        "dir",
        "clean",
        "ext",
        "urlParse",
        "urlJoin",
        "date",
        "toDate",
        "dateModify",
        "duration",
        "durationRound",
        "sha256sum",
        "adler32sum",
        "plural",
        "nospace",
    ]);
    let argument = prop::sample::select(vec![
        "1",
        "-3",
        "0",
        "9223372036854775807",
        "1.5",
        "-1e300",
        "1e-300",
        "\"\"",
        "\"a b-c_D9é\"",
        "\"1.2.3\"",
        "\"\\xff\"",
        "\"[a-c]+|(é)\"",
        "\"%05.3v|%x|%q|%[2]*d\"",
        "\"2006-01-02 .000 MST\"",
        "\"https://u@h:1/p?q#f\"",
        "nil",
        "true",
        ".",
        ".s",
        ".n",
        ".f",
        ".l",
        ".m",
        ".z",
        ".missing",
        "(list 1 \"x\" nil)",
        "(dict \"a\" 1)",
        "(until 3)",
    ]);
    (function, prop::collection::vec(argument, 0..5))
        .prop_map(|(function, arguments)| format!("{{{{ {function} {} }}}}", arguments.join(" ")))
}

fn data() -> Value {
    json!({
        "s": "text é", "n": 3, "f": 2.5, "l": [1, "a", null, [2], { "k": "v" }], "m": { "a": { "b": 1 }, "c": "x" },
        "z": null, "a": "x", "b": { "c": [1, 2] }
    })
}

fn small() -> Limits {
    Limits { output_bytes: 10_000, steps: 20_000, depth: 50, memory_bytes: 200_000, regex_size: 200 }
}

fn render(text: &str) {
    if let Ok(template) = Template::parse("t", text) {
        let random = |bytes: &mut [u8]| bytes.fill(7);
        let environment = Environment {
            now: Some("2024-02-29T12:00:00Z".parse().unwrap()),
            random: Some(&random),
            ..Environment::default()
        };
        if let Ok(output) = template.render(&data(), &small(), &environment) {
            // An invalid byte becomes a character of three.
            assert!(output.len() <= 30_000);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_template_or_an_error(text in any::<String>()) {
        render(&text);
    }

    #[test]
    fn any_action_is_a_template_or_an_error_in_the_text(text in ".{0,40}") {
        let template = format!("{{{{{text}}}}}");
        if let Err(error) = Template::parse("t", &template) {
            let lines: Vec<&str> = template.split('\n').collect();
            prop_assert!(error.line >= 1 && error.line as usize <= lines.len());
            let line = lines[error.line as usize - 1].chars().count();
            prop_assert!(error.column >= 1 && error.column as usize <= line + 1);
        }
        render(&template);
    }

    #[test]
    fn almost_templates_render_or_fail(text in pieces()) {
        render(&text);
    }

    #[test]
    fn functions_take_any_arguments(text in prop::collection::vec(action(), 1..4)) {
        render(&text.concat());
    }

    #[test]
    fn text_without_actions_is_itself(text in "[^{]*") {
        let template = Template::parse("t", &text).unwrap();
        prop_assert_eq!(template.render(&json!({}), &Limits::default(), &Environment::default()).unwrap(), text);
    }

    #[test]
    fn whatever_is_encoded_is_decoded(text in any::<String>()) {
        let template = Template::parse("t", "{{ .s | b64enc | b64dec }}{{ .s | b32enc | b32dec }}{{ (list .s | toJson | fromJson | first) }}").unwrap();
        let rendered = template.render(&json!({ "s": text }), &Limits::default(), &Environment::default()).unwrap();
        prop_assert_eq!(rendered, text.repeat(3));
    }

    #[test]
    fn a_template_renders_the_same_every_time(text in prop::collection::vec(action(), 1..4)) {
        if let Ok(template) = Template::parse("t", &text.concat()) {
            let data = data();
            let once = template.render(&data, &small(), &Environment::default());
            prop_assert_eq!(template.render(&data, &small(), &Environment::default()), once);
        }
    }
}
