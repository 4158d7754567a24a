use super::*;
use crate::moving::template::parse;

fn of(template: &str, destination: &str) -> Result<Reading, Remark> {
    read(&parse(template, "{{", "}}").unwrap(), destination)
}

fn weights(template: &str, destination: &str) -> Vec<Weight> {
    of(template, destination).unwrap().remarks.iter().map(|remark| remark.weight).collect()
}

fn layout(template: &str, destination: &str) -> Layout {
    match of(template, destination).unwrap().meaning {
        Meaning::Keys { layout, .. } => layout,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_alone_is_a_file_of_it() {
    for template in [
        "{{ key \"a/b\" }}",
        "{{key `/a/b`}}",
        "{{ (\"a/b\" | key) }}",
        "{{/* x */}}{{ key \"a/b\" }}",
    ] {
        let reading = of(template, "x").unwrap();
        let key = Place { path: "a/b".to_owned(), datacenter: None };
        assert_eq!(reading.meaning, Meaning::Value { key, default: None }, "{template}");
        assert!(reading.remarks.is_empty(), "{template}");
    }
    assert_eq!(weights("{{ key \"a/b\" }}\n", "x"), [Weight::Differs]);
    assert_eq!(weights("{{ keyOrDefault \"a/b\" \"\" }}", "x"), [Weight::Look]);
}

/// What is nearly one of the shapes is none.
#[test]
fn what_is_nearly_a_shape_is_refused() {
    for (template, destination) in [
        ("{{ key \"a/b\" | toUpper }}", "x"),
        ("{{ key \"a/b\" }}x", "x"),
        ("{{ $x := key \"a/b\" }}", "x"),
        ("{{ tree \"a\" | toJSON }}", "x.json"),
        ("{{ tree \"a\" | explode | toJSON }} # x", "x.json"),
        ("  {{ tree \"a\" | explode | toYAML }}", "x.yaml"),
        ("# {{ tree \"a\" | explode | toYAML }}", "x.yaml"),
        ("{{ tree \"a\" | explode | toYAML }}# x", "x.yaml"),
        ("# {{ range ls \"a\" }}{{ .Key }}={{ .Value }}\n{{ end }}", "x.env"),
        ("{{ range ls \"a\" }}\n{{ .Key }}={{ .Value }}{{ end }}# x", "x.env"),
        ("{{ range ls \"a\" }}{{ .Key }}={{ .Value }} \n{{ end }}", "x.properties"),
        ("a={{ key \"p/a\" }} \n", "x.properties"),
        ("{{ range ls \"a\" }}{{ .Key }}={{ .Value }} {{ end }}", "x.env"),
        ("{{ range ls \"a\" }}{{ .Key }}={{ .Value | toUpper }}\n{{ end }}", "x.env"),
        ("{{ range ls \"a\" }}{{ .Key | toLower }}={{ .Value }}\n{{ end }}", "x.env"),
        ("{{ range ls \"a\" }}{{ .Key }}={{ .Value }}\n{{ else }}none{{ end }}", "x.env"),
        ("{{ range ls \"a\" }}{{ .Value }}={{ .Key }}\n{{ end }}", "x.env"),
        ("{{ range ls \"a\" }}{{ .Key }}: {{ .Value }}\n{{ end }}", "x.txt"),
        ("{{ range ls \"a\" }}{{ .Key }}={{ .Value }}\n{{ end }}B=1\n", "x.env"),
        (
            "{{ range ls \"a\" }}{{ .Key }}={{ .Value }}\n{{ end }}{{ range tree \"b\" }}{{ .Key }}={{ .Value }}\n{{ end }}",
            "x.env",
        ),
        ("{ {{ range ls \"a\" }}\"{{ .Key }}\": \"{{ .Value }}\",{{ end }} }", "x.json"),
        (
            "{ {{ range $i, $p := ls \"a\" }}{{ if $p }},{{ end }}\"{{ .Key }}\": \"{{ .Value }}\"{{ end }} }",
            "x.json",
        ),
        (
            "[ {{ range $i, $p := ls \"a\" }}{{ if $i }},{{ end }}\"{{ .Key }}\": \"{{ .Value }}\"{{ end }} ]",
            "x.json",
        ),
        (
            "{{ range tree \"a\" }}{{ .Key | replaceAll \"/\" \" \" }}={{ .Value }}\n{{ end }}",
            "x.properties",
        ),
        (
            "{{ range tree \"a\" }}{{ .Value | writeToFile (printf \"o/%s\" .Path) \"\" \"\" \"0644\" }}{{ end }}",
            "",
        ),
        (
            "{{ range tree \"a\" }}{{ .Value | writeToFile (printf \"o/%s\" .Key) \"\" \"\" \"0644\" \"append\" }}{{ end }}",
            "",
        ),
        ("A={{ key \"a/a\" }}\nA={{ key \"b/a\" }}\n", "x.env"),
        ("HOST={{ key \"a/db/host\" }}x\n", "x.env"),
        ("B={{ key \"a/a\" }}\n", "x.env"),
        ("{\"a\": \"{{ key \"p/a\" }}x\"}", "x.json"),
        ("{\"a\": [\"{{ key \"p/a\" }}\"]}", "x.json"),
        ("{\"a\": \"{{ key \"p/a\" }}\", \"b\": \"1\"}", "x.json"),
    ] {
        let refused = of(template, destination);
        assert!(
            matches!(&refused, Err(remark) if remark.weight == Weight::ByHand),
            "{template}: {refused:?}"
        );
    }
}

#[test]
fn names_keep_their_separator_and_case() {
    let range = |name: &str| {
        format!("{{{{ range tree \"a\" }}}}{{{{ {name} }}}}={{{{ .Value }}}}\n{{{{ end }}}}")
    };
    let dots = layout(&range(".Key | replaceAll \"/\" \".\""), "x.properties");
    assert_eq!(dots, Layout::flat(Format::Properties));
    let upper = layout(&range("toUpper (replaceAll \"/\" \"__\" .Key)"), "x.properties");
    assert_eq!((upper.separator.as_deref(), upper.case), (Some("__"), Some("upper")));
    let env = layout(&range(".Key | toUpper | replaceAll \"/\" \"_\""), ".env.local");
    assert_eq!(env, Layout::flat(Format::Env));
    assert_eq!(weights(&range(".Key"), "x.env"), [Weight::Look]);
}

#[test]
fn the_reason_is_what_cannot_be_and_where() {
    let why = |template: &str| {
        let remark = of(template, "x").unwrap_err();
        (remark.line, remark.text.split(':').next().unwrap_or_default().to_owned())
    };
    assert_eq!(why("a\n{{ range service \"web\" }}{{ end }}"), (2, "service".to_owned()));
    assert_eq!(why("{{ key \"a/b\" }}\n\n{{ if in .X 1 }}{{ end }}"), (3, "if".to_owned()));
    assert_eq!(
        why("{{ key \"a/b\" | regexReplaceAll \"a\" \"b\" }}"),
        (1, "regexReplaceAll".to_owned())
    );
    assert_eq!(why("{{ with secret \"x\" }}\n{{ env \"Y\" }}{{ end }}"), (1, "secret".to_owned()));
    assert_eq!(why("x"), (1, "template".to_owned()));
    assert_eq!(why("\nA={{ keyOrDefault \"a/b\" \"x\" }}"), (2, "keyOrDefault".to_owned()));
    assert_eq!(why("{{ keyOrDefault `a/b` `x` }}\n{{ if .X }}{{ end }}"), (2, "if".to_owned()));
}

#[test]
fn keys_by_name_need_one_prefix_that_gives_their_names() {
    let reading =
        of("DB_HOST={{ key \"p/web/db/host\" }}\nNAME=\"{{ key \"p/web/name\" }}\"\n", "x.env");
    let Meaning::Keys { prefixes, include, .. } = reading.unwrap().meaning else { panic!() };
    assert_eq!(
        (prefixes[0].path.as_str(), include),
        ("p/web", vec!["db/host".to_owned(), "name".to_owned()])
    );
    let reading = of("{\"a*\": \"{{ key \"p/q/a*\" }}\"}", "x");
    let Meaning::Keys { include, .. } = reading.unwrap().meaning else { panic!() };
    assert_eq!(include, ["a[*]"]);
}
