use super::*;

fn one(text: &str) -> Value {
    let mut entries = parse(text).unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0).value
}

fn texts(entries: &[Entry]) -> Vec<(&str, usize, &str)> {
    let text = |value: &Value| match value {
        Value::Text(text) => text.text.clone(),
        other => format!("{other:?}"),
    };
    let each = entries.iter().map(|e| (e.key.as_str(), e.line, text(&e.value).leak() as &str));
    each.collect()
}

fn block(value: Value) -> Vec<Entry> {
    let Value::Block(entries) = value else { panic!("{value:?}") };
    entries
}

#[test]
fn blocks_hold_settings_on_one_line_or_many_with_or_without_commas() {
    for text in [
        "consul { address = \"a:1\" token = \"b\" }",
        "consul {\n  address = \"a:1\" # where\n  /* two\n lines */ token = \"b\"\n}\n",
        "consul = { address = \"a:1\", token = \"b\", }",
        "\"consul\" {\n// it\n\"address\" = \"a:1\"\r\ntoken=\"b\"}",
        "{\"consul\": {\"address\": \"a:1\",\n \"token\": \"b\"}}",
    ] {
        let entries = block(one(text));
        let pairs: Vec<_> = texts(&entries).iter().map(|(k, _, v)| (*k, *v)).collect();
        assert_eq!(pairs, [("address", "a:1"), ("token", "b")], "{text}");
    }
}

#[test]
fn repeated_blocks_and_json_lists_are_all_there_with_their_lines() {
    let entries = parse("template {\n a = 1\n}\n\ntemplate {\n b = 2\n}\n").unwrap();
    assert_eq!(entries.iter().map(|e| e.line).collect::<Vec<_>>(), [1, 5]);
    let Value::List(items) = one("{\"template\": [{\"a\": 1}, {\"b\":\n null}]}") else { panic!() };
    assert_eq!(items.len(), 2);
    let second = block(items[1].clone());
    assert_eq!((second[0].line, &second[0].value), (1, &Value::Nothing));
}

#[test]
fn numbers_stay_as_typed() {
    assert_eq!(one("perms = 0600"), Value::Number("0600".to_owned()));
    assert_eq!(one("{\"perms\": 384}"), Value::Number("384".to_owned()));
    assert_eq!(one("a = true"), Value::Switch(true));
}

#[test]
fn texts_lose_their_escapes() {
    let text = |hcl: &str| match one(hcl) {
        Value::Text(text) => text.text,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        text(r#"a = "{{ key \"x\" }}\n\t\\ \u00e9 \x41 \101""#),
        "{{ key \"x\" }}\n\t\\ é A A"
    );
    assert_eq!(text(r#"a = "x ${ f("y\n") } {z}""#), r#"x ${ f("y\n") } {z}"#);
    assert_eq!(text(r#"{"a": "\"\u00e9\ud83d\ude00\/"}"#), "\"é😀/");
}

#[test]
fn a_heredoc_is_what_hcl_1_makes_of_it() {
    let text = |hcl: &str| match one(hcl) {
        Value::Text(text) => (text.text, text.line),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        text("a = <<EOF\n x ${y} %{z}\n\"\n  EOF\n"),
        (" x ${y} %{z}\n\"\n  ".to_owned(), 2)
    );
    assert_eq!(text("\na = <<-EOT\n  x\n    y\n  EOT\n"), ("x\n  y\n".to_owned(), 3));
    assert_eq!(text("a = <<-EOT\n x\n    y\n  EOT\n"), (" x\n    y\n".to_owned(), 2));
    assert_eq!(text("a = <<EOF\nEOF"), (String::new(), 2));
    let entries = parse("a = <<EOF\n1\n2\nEOF\nb = 1\n").unwrap();
    assert_eq!(entries[1].line, 5);
}

#[test]
fn mistakes_have_their_line() {
    for (text, line) in [
        ("a = \"x\n\"", 1),
        ("\na {\n b = 1\n", 4),
        ("a = <<EOF\nx\n", 1),
        ("a\nb", 2),
        ("= 1", 1),
        ("a = [1", 1),
        ("/* x", 1),
        ("{\"a\": 1,}", 1),
        ("{\"a\"\n 1}", 2),
        ("a = \"\\q\"", 1),
        ("a = what", 1),
    ] {
        assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
    }
}

#[test]
fn no_depth_takes_the_stack() {
    for text in
        ["a = [".to_owned() + &"[".repeat(100_000), "a {".repeat(100_000), "\"a\"".repeat(99_999)]
    {
        assert!(parse(&text).unwrap_err().what.contains("nested"), "{}", &text[..9]);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[ab=:{}\\[\\]\",<E#/*\\\\$\\n0-]{0,60}|.{0,60}") {
        drop(parse(&text));
    }
}
