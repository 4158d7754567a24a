use std::time::{Duration, Instant};

use super::*;

fn moved(text: &str) -> Moved {
    let input = Input::Configuration { name: "ct.hcl".to_owned(), text: text.to_owned() };
    let source = |_: &str| Err("there is no such file".to_owned());
    from_consul_template(vec![input], &source).unwrap()
}

fn notes(text: &str) -> Vec<String> {
    moved(text).notes.iter().map(ToString::to_string).collect()
}

#[test]
fn notes_come_file_by_file_and_line_by_line() {
    let notes = notes(
        "template {\n contents = \"{{ if x }}\"\n destination = \"a\"\n}\nmax_stale = \"1s\"\n\nexec {\n command = \"a\"\n}\nwait = \"1s\"\n",
    );
    let lines: Vec<&str> = notes.iter().filter_map(|note| note.split(": ").next()).collect();
    assert_eq!(lines, ["ct.hcl:2", "ct.hcl:5", "ct.hcl:7", "ct.hcl:10"]);
}

#[test]
fn the_last_block_of_a_file_counts_and_every_template_does() {
    let moved = moved(
        "consul { address = \"a:1\" }\nconsul { token_file = \"/t\" }\ntemplate { contents = \"{{ key `a/b` }}\" destination = \"x\" }\ntemplate { contents = \"{{ key `a/c` }}\" destination = \"y\" }\n",
    );
    assert!(!moved.yaml.contains("a:1") && moved.yaml.contains("tokenFile: /t"), "{}", moved.yaml);
    assert_eq!(moved.yaml.matches("- file:").count(), 2);
}

#[test]
fn no_note_shows_what_a_terminal_obeys() {
    let notes =
        notes("\"a\\u001b[1m\" = 1\ntemplate { source = \"\\u001b]0;x\\n\" destination = \"x\" }");
    assert_eq!(notes.len(), 2);
    assert!(notes.iter().all(|note| !note.contains(char::is_control)), "{notes:?}");
}

/// Each is as large as a file may be.
#[test]
fn a_large_file_takes_no_long_time() {
    let template = "template { contents = \"{{ key `a/b` }}\" destination = \"x\" }\n";
    let lines = "A={{ key \"a/b/c\" }}\n";
    let of = |contents: String| {
        format!("template {{\n destination = \"a.env\"\n contents = <<E\n{contents}\nE\n}}\n")
    };
    let inputs = [
        template.repeat((1 << 20) / template.len()),
        "consul { address = \"a:1\" }\n".repeat((1 << 20) / 30),
        of(lines.repeat((1 << 20) / lines.len())),
        of((0..40_000).map(|n| format!("A_B{n}={{{{ key \"a/b{n}\" }}}}\n")).collect()),
        of(format!("{{{{ key \"{}\" }}}}", "a/".repeat(1 << 19))),
        of(format!("{{{{ key \"{}x\" }}}}\n", "a/".repeat(2000)).repeat(240)),
        of("{{ /* x */ }}".repeat((1 << 20) / 14)),
        of("{{ range ls \"a/b\" }}{{ .Key }}={{ .Value }}\n{{ end }}".repeat((1 << 20) / 50)),
        of(format!("{{{{ f {} }}}}", "\"\\n\" ".repeat(200_000))),
        of("{".repeat(1 << 20)),
        format!("a = {}", "<<E\n".repeat(1 << 18)),
    ];
    for (n, input) in inputs.iter().enumerate() {
        let begun = Instant::now();
        let name = "ct.hcl".to_owned();
        let input = Input::Configuration { name, text: input.clone() };
        drop(from_consul_template(vec![input], &|_: &str| Err(String::new())));
        assert!(begun.elapsed() < Duration::from_secs(60), "{n}: {:?}", begun.elapsed());
    }
}
