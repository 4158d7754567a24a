use super::*;
use crate::model::output::MODE;
use proptest::prelude::*;

fn single(format: Format, shape: Shape, types: Types) -> Single {
    Single { path: "f".into(), format, shape, types, mode: MODE, max_bytes: 1 << 20 }
}

fn made(file: &Single, keys: &[(&str, &str)]) -> Made {
    let keys: Vec<_> = keys.iter().map(|(path, value)| (*path, value.as_bytes())).collect();
    make(file, &keys).unwrap()
}

fn text(format: Format, keys: &[(&str, &str)]) -> String {
    let made = made(&single(format, Shape::Nested, Types::Text), keys);
    assert!(made.left_out.is_empty(), "{:?}", made.left_out);
    String::from_utf8(made.bytes).unwrap()
}

const KEYS: &[(&str, &str)] =
    &[("db/host", "h.example"), ("db/max-size", "3"), ("greeting", "it's \"so\"\nand so")];

#[test]
fn each_format_as_a_person_would_write_it() {
    assert_eq!(
        text(Format::Json, KEYS),
        "{\n  \"db\": {\n    \"host\": \"h.example\",\n    \"max-size\": \"3\"\n  },\n  \"greeting\": \"it's \\\"so\\\"\\nand so\"\n}\n"
    );
    assert_eq!(
        text(Format::Yaml, KEYS),
        "db:\n  host: h.example\n  max-size: \"3\"\ngreeting: |-\n  it's \"so\"\n  and so\n"
    );
    assert_eq!(
        text(Format::Toml, KEYS),
        "greeting = \"\"\"\nit's \"so\"\nand so\"\"\"\n\n[db]\nhost = \"h.example\"\nmax-size = \"3\"\n"
    );
    assert_eq!(
        text(Format::Properties, KEYS),
        "db.host=h.example\ndb.max-size=3\ngreeting=it's \"so\"\\nand so\n"
    );
    let without = [KEYS[0], KEYS[1], ("greeting", "it's so\nand so")];
    assert_eq!(
        text(Format::Env, &without),
        "DB_HOST=h.example\nDB_MAX_SIZE=3\nGREETING=\"it's so\\nand so\"\n"
    );
    assert_eq!(
        text(Format::Shell, KEYS),
        "DB_HOST=h.example\nDB_MAX_SIZE=3\nGREETING='it'\\''s \"so\"\nand so'\n"
    );
}

#[test]
fn nothing_is_an_empty_file_of_its_format() {
    let files = Format::ALL.map(|format| text(format, &[]));
    assert_eq!(files, ["{}\n", "{}\n", "", "", "", ""]);
}

#[test]
fn flat_names_are_whole_paths() {
    let file = single(Format::Json, Shape::Flat, Types::Text);
    let made = made(&file, &[("a", "1"), ("a/b", "2")]);
    assert_eq!(String::from_utf8(made.bytes).unwrap(), "{\n  \"a\": \"1\",\n  \"a/b\": \"2\"\n}\n");
    assert!(made.left_out.is_empty(), "both have a name of their own");
}

#[test]
fn a_level_wins_over_a_value() {
    let file = single(Format::Json, Shape::Nested, Types::Text);
    let made = made(&file, &[("a", "1"), ("a-b", "2"), ("a/b/c", "3")]);
    let json: serde_json::Value = serde_json::from_slice(&made.bytes).unwrap();
    assert_eq!(json, serde_json::json!({"a": {"b": {"c": "3"}}, "a-b": "2"}));
    assert_eq!(made.left_out, [(0, Unsafe::Shadowed)]);
}

#[test]
fn of_names_that_become_one_the_first_stays() {
    let keys = &[("a-b", "1"), ("a.b", "2"), ("a/b", "3")];
    let env = made(&single(Format::Env, Shape::Flat, Types::Text), keys);
    assert_eq!(env.bytes, b"A_B=1\n");
    assert_eq!(env.left_out, [(1, Unsafe::SameName), (2, Unsafe::SameName)]);
    let properties = made(&single(Format::Properties, Shape::Flat, Types::Text), keys);
    assert_eq!(properties.bytes, b"a-b=1\na.b=2\n");
    assert_eq!(properties.left_out, [(2, Unsafe::SameName)]);
}

#[test]
fn what_a_format_cannot_hold_is_left_out_and_said() {
    for format in Format::ALL {
        let file = single(format, Shape::Nested, Types::Text);
        let made = make(&file, &[("a", b"\xff"), ("b", b"x\0y"), ("c", b"z")]).unwrap();
        let nul = matches!(format, Format::Env | Format::Shell);
        let expected: &[_] = &[(0, Unsafe::NotText), (1, Unsafe::NotText)];
        assert_eq!(made.left_out, &expected[..1 + usize::from(nul)], "{format:?}");
    }
}

#[test]
fn a_line_for_dotenv_is_what_all_libraries_read_alike() {
    let lines: &[(&str, Option<&str>)] = &[
        ("x", Some("x")),
        ("", Some("''")),
        ("a b", Some("'a b'")),
        ("^\\d+$", Some("'^\\d+$'")),
        ("{\"a\": 1}\n", Some("'{\"a\": 1}\n'")),
        ("it's", Some("it's")),
        ("it's \"so\" \\d", Some("it's \"so\" \\d")),
        ("C:\\", Some("C:\\")),
        ("it's\nso", Some("\"it's\\nso\"")),
        (" it's", Some("\" it's\"")),
        ("it's\n\"so\"", None),
        ("it's\n$x", None),
        ("it's $x", None),
        ("x\ny\\", None),
        ("x\ry", None),
    ];
    for (value, expected) in lines {
        let line = expected.map(|expected| format!("A={expected}\n"));
        assert_eq!(assignments::dotenv("A", value), line, "{value:?}");
    }
}

#[test]
fn no_variable_of_the_shells_own_is_in_a_file_for_it() {
    let file = single(Format::Shell, Shape::Flat, Types::Text);
    let keys = [("db/path", "1"), ("ld/preload", "x"), ("path", "/api"), ("uid", "7")];
    let shell = made(&file, &keys);
    assert_eq!(shell.bytes, b"DB_PATH=1\n");
    assert_eq!(shell.left_out, [1, 2, 3].map(|at| (at, Unsafe::ShellVariable)));
    let env = made(&single(Format::Env, Shape::Flat, Types::Text), &keys);
    assert!(env.left_out.is_empty(), "a library sets what is not set");
}

#[test]
fn a_file_that_would_be_too_large_is_refused_before_it_is_made() {
    let nul = "\0".repeat(1000);
    let deep = format!("{}k", "d/".repeat(60));
    let lines = "x\n".repeat(1000);
    for (format, path, value) in [
        (Format::Json, "a", &nul),
        (Format::Yaml, &*deep, &lines),
        (Format::Properties, "a", &nul),
        (Format::Shell, "a", &"'".repeat(2000)),
    ] {
        let file = Single { max_bytes: 5000, ..single(format, Shape::Nested, Types::Text) };
        let refused = make(&file, &[(path, value.as_bytes())]).unwrap_err();
        assert_eq!(refused, TooLarge { path: "f".into(), max: 5000 }, "{format:?}");
    }
}

#[test]
fn numbers_and_switches_lose_their_quotes_if_that_loses_nothing_else() {
    let file = single(Format::Json, Shape::Flat, Types::Auto);
    let typed = ["true", "false", "0", "-7", "9007199254740991", "1.5", "-0.25", "10.0"];
    for value in typed {
        let made = String::from_utf8(made(&file, &[("a", value)]).bytes).unwrap();
        assert_eq!(made, format!("{{\n  \"a\": {value}\n}}\n"));
    }
    let texts = [
        "",
        "True",
        "yes",
        "null",
        "007",
        "+1",
        "1.10",
        "1e3",
        "1.",
        ".5",
        "0x1f",
        "1_000",
        "NaN",
        "inf",
        "9007199254740992",
        "-9007199254740992",
        "9223372036854775808",
        "1.0.0",
        " 1",
        "-0",
    ];
    for value in texts {
        let made = String::from_utf8(made(&file, &[("a", value)]).bytes).unwrap();
        assert_eq!(made, format!("{{\n  \"a\": \"{value}\"\n}}\n"));
    }
}

#[test]
fn names_of_variables_are_what_a_shell_allows() {
    for (path, name) in
        [("a", "A"), ("9/é-x", "_9___X"), ("db/max.size", "DB_MAX_SIZE"), ("_", "_")]
    {
        assert_eq!(assignments::name(path), name);
    }
}

proptest! {
    #[test]
    fn the_same_keys_make_the_same_bytes_and_none_panics(
        // Repeated, so that one wrong byte of a sort becomes many.
        keys in proptest::collection::btree_map(
            "[a-c0=:# é./-]{1,6}",
            ("(?s).{0,4}", 0..60_usize).prop_map(|(text, times)| text.repeat(times)),
            0..8,
        ),
    ) {
        let keys: Vec<_> = keys.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
        for format in Format::ALL {
            for (shape, types) in [(Shape::Nested, Types::Auto), (Shape::Flat, Types::Text)] {
                let file = single(format, shape, types);
                let made = make(&file, &keys).unwrap().bytes;
                prop_assert_eq!(&make(&file, &keys).unwrap().bytes, &made);
                // No larger than was reckoned: it is refused where it would be.
                let tight = Single { max_bytes: (made.len() as u64).saturating_sub(1), ..file };
                prop_assert!(made.is_empty() || make(&tight, &keys).is_err());
            }
        }
    }
}
