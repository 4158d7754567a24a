use super::*;
use crate::moving::settings::Given;

fn plan_of(templates: &[(&str, &str)]) -> (Plan, Vec<Note>) {
    let template = |(text, destination): &(&str, &str)| {
        let at = ("t".to_owned(), 1);
        let source = Some(Given { text: (*text).to_owned(), at: at.clone() });
        let destination = Some((*destination).to_owned());
        Template { at, source, destination, ..Template::default() }
    };
    let settings =
        Settings { templates: templates.iter().map(template).collect(), ..Settings::default() };
    let mut notes = Vec::new();
    let made = plan(&settings, &|text: &str| Ok(text.to_owned()), &mut notes);
    (made, notes)
}

fn sources(plan: &Plan) -> Vec<(&str, &str)> {
    plan.sources.iter().map(|(name, prefix)| (name.as_str(), prefix.as_str())).collect()
}

#[test]
fn a_prefix_is_one_source_and_has_the_keys_below_it() {
    let (plan, _) = plan_of(&[
        ("{{ key \"apps/web/db/host\" }}", "out/host"),
        ("{{ tree \"apps/web\" | explode | toJSON }}", "out/a.json"),
        ("{{ tree \"apps/web/\" | explode | toYAML }}", "out/a.yaml"),
        ("{{ key \"other/a/b\" }}", "out/b"),
        ("{{ key \"other/c\" }}", "out/c"),
    ]);
    assert_eq!(sources(&plan), [("web", "apps/web"), ("other", "other")]);
    let values = plan.outputs.iter().filter_map(|output| match &output.content {
        Content::Value(key, _) => Some((output.layers[0], key.as_str())),
        _ => None,
    });
    assert_eq!(values.collect::<Vec<_>>(), [(0, "db/host"), (1, "a/b"), (1, "c")]);
}

#[test]
fn names_of_sources_and_files_are_one_of_each() {
    let (plan, _) = plan_of(&[
        ("{{ tree \"a/Web_1\" | explode | toJSON }}", "x/a.json"),
        ("{{ tree \"b/web-1\" | explode | toJSON }}", "y/a.json"),
        ("{{ tree \"c/éé\" | explode | toJSON }}", "..data"),
    ]);
    assert_eq!(sources(&plan), [("web-1", "a/Web_1"), ("web-1-2", "b/web-1"), ("source", "c/éé")]);
    let paths: Vec<_> = plan.outputs.iter().map(|output| output.path.as_str()).collect();
    assert_eq!(paths, ["a.json", "2-a.json", "output"]);
}

#[test]
fn a_later_prefix_wins_where_it_is_read_twice() {
    let range = |prefix: &str| {
        format!("{{{{ range ls \"{prefix}\" }}}}{{{{ .Key }}}}={{{{ .Value }}}}\n{{{{ end }}}}")
    };
    let text = [range("a/x"), range("a/y"), range("a/x")].concat();
    let (plan, _) = plan_of(&[(&text, "x.env")]);
    assert_eq!(plan.outputs[0].layers, [1, 0]);
}

#[test]
fn other_datacenters_are_said_and_left_out() {
    let (plan, notes) = plan_of(&[("{{ key \"a/b@x\" }}", "x"), ("{{ key \"a/c\" }}", "y")]);
    assert_eq!((plan.datacenter.as_deref(), plan.outputs.len()), (Some("x"), 1));
    assert!(notes[0].text.contains("another datacenter"), "{notes:?}");
}
