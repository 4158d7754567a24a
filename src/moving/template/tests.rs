use super::*;

fn parsed(text: &str) -> Vec<Node> {
    parse(text, "{{", "}}").unwrap()
}

fn call(name: &str, arguments: &[Expr]) -> Expr {
    Expr::Call(name.to_owned(), arguments.to_vec())
}

fn text(text: &str) -> Expr {
    Expr::Text(text.to_owned())
}

fn only(template: &str) -> Expr {
    match parsed(template).as_slice() {
        [Node::Action(action)] => action.expr.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pipeline_is_a_call_of_calls() {
    let tree = call("tree", &[text("p")]);
    let exploded = call("explode", &[tree]);
    assert_eq!(
        only("{{ tree \"p\" | explode | toJSON }}"),
        call("toJSON", std::slice::from_ref(&exploded))
    );
    assert_eq!(only("{{toJSON (explode (tree `p`))}}"), call("toJSON", &[exploded]));
    let field = Expr::Field("Key".to_owned());
    assert_eq!(
        only("{{ .Key | replaceAll \"/\" \"_\" | toUpper }}"),
        call("toUpper", &[call("replaceAll", &[text("/"), text("_"), field])])
    );
    assert_eq!(only("{{ $p.Key }}"), Expr::Variable("p".into(), "Key".into()));
    assert_eq!(only("{{ .Key 1 }}"), Expr::Other);
    assert_eq!(only("{{ \"}} \\\"\" }}"), text("}} \""));
}

#[test]
fn texts_are_trimmed_where_it_is_said_and_comments_are_nothing() {
    let texts = |template: &str| -> Vec<String> {
        let text = |node: &Node| match node {
            Node::Text(text) => text.clone(),
            _ => "*".to_owned(),
        };
        parsed(template).iter().map(text).collect()
    };
    assert_eq!(texts("a {{ x }} b"), ["a ", "*", " b"]);
    assert_eq!(texts("a \n{{- x -}}\n b"), ["a", "*", "b"]);
    assert_eq!(texts("a {{- /* no */ -}} b{{/* x */}}c"), ["abc"]);
    assert_eq!(texts("{{-x}}"), ["*"]);
    assert_eq!(parse("a [[ x ]] {{ y }}", "[[", "]]").unwrap().len(), 3);
}

#[test]
fn branches_enclose_what_is_in_them() {
    let nodes = parsed(
        "{{ range $i, $p := ls \"a\" }}x\n{{ if $i }},{{ else if .X }}y{{ else }}z{{ end }}{{ end }}",
    );
    let [Node::Branch(range)] = nodes.as_slice() else { panic!("{nodes:?}") };
    assert_eq!(
        (range.word.as_str(), range.head.variables.as_slice()),
        ("range", &["i".into(), "p".into()][..])
    );
    let Node::Branch(inner) = &range.body[1] else { panic!("{range:?}") };
    assert_eq!((inner.word.as_str(), inner.head.line), ("if", 2));
    let [Node::Branch(other)] = inner.otherwise.as_slice() else { panic!("{inner:?}") };
    assert_eq!(other.otherwise, [Node::Text("z".into())]);
}

#[test]
fn mistakes_have_their_line() {
    for (template, line) in [
        ("a\n{{ x", 2),
        ("\n\n{{ end }}", 3),
        ("\n{{ if x }}", 2),
        ("{{ \"x }}", 1),
        ("{{ /* x }}", 1),
        ("{{ range x }}{{ else }}{{ else }}{{ end }}", 1),
    ] {
        assert_eq!(parse(template, "{{", "}}").unwrap_err().line, line, "{template}");
    }
    for deep in [
        "{{ if x }}".repeat(100_000),
        "{{ ".to_owned() + &"(".repeat(100_000) + "}}",
        "{{ if a }}{{ else if b }}".repeat(50_000),
    ] {
        assert_eq!(parse(&deep, "{{", "}}").unwrap_err().what, "is nested too deep");
    }
}

proptest::proptest! {
    #[test]
    fn no_template_panics(text in "(\\{\\{|\\}\\}|[-x.$|()\"`\\\\ \n/*=:,1]|if|end|else|range){0,40}|.{0,40}") {
        drop(parse(&text, "{{", "}}"));
    }
}
