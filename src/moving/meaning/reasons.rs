//! Why a template is of no kind that can be carried over.

use super::Remark;
use crate::moving::note::Weight;
use crate::moving::template::{Action, Expr, Node};

/// What to do with what needs a template.
const STEP: &str = "keep it as a template step of the application's own that reads seedcar's files, run again on a change \
                    by `seedcar exec --on-change`";

/// Of a default that is not alone.
const DEFAULT: &str = "keyOrDefault: a default among other keys or text is in no file here: a file of that key alone has \
                       one (file: with key: and default:)";

/// The first thing in a template that is the reason, with its line.
pub(super) fn of(nodes: &[Node]) -> Remark {
    if !nodes.iter().any(|node| !matches!(node, Node::Text(_))) {
        let text = "template: nothing in it is read from Consul: put the file into the image or a ConfigMap";
        return Remark::new(1, Weight::ByHand, text);
    }
    let mut actions = Vec::new();
    collect(nodes, &mut actions);
    let named = actions.iter().find_map(|action| {
        let function =
            functions(&action.expr).into_iter().find_map(|name| Some((name, why(name)?)));
        function
            .map(|(name, why)| Remark::new(action.line, Weight::ByHand, format!("{name}: {why}")))
    });
    let logic = || {
        let (word, line) = branch(nodes)?;
        let text = format!("{word}: seedcar has no logic of templates: {STEP}");
        Some(Remark::new(line, Weight::ByHand, text))
    };
    let other = || {
        let function = actions.iter().find_map(|action| {
            let odd = |name: &&str| !KNOWN.contains(name);
            functions(&action.expr).into_iter().find(odd).map(|name| (name, action.line))
        });
        let (what, line) = match function {
            Some(("keyOrDefault", line)) => return Remark::new(line, Weight::ByHand, DEFAULT),
            Some((name, line)) => (name, line),
            None => ("template", actions.first().map_or(1, |action| action.line)),
        };
        let text = format!(
            "{what}: a text made of keys in this way is no format that seedcar writes: {STEP}"
        );
        Remark::new(line, Weight::ByHand, text)
    };
    named.or_else(logic).unwrap_or_else(other)
}

/// Functions that are carried over somewhere.
const KNOWN: [&str; 5] = ["key", "ls", "tree", "safeLs", "safeTree"];

/// What a function needs that seedcar has not.
fn why(function: &str) -> Option<&'static str> {
    Some(match function {
        "service" => {
            "instances are a source of their own here (sources: - {name: web, service: {name: web}}): their file \
             is JSON, or with line: \"server {};\" lines that another file can include"
        }
        "services" | "node" | "nodes" | "datacenters" | "connect" | "caRoots" | "caLeaf"
        | "peerings" | "partitions" | "exportedServices" | "importedServices" => {
            "not carried over: of Consul's catalog seedcar reads the instances of a service by its name; ask \
             Consul's DNS, or keep consul-template for this file"
        }
        "secret" | "secrets" | "pkiCert" => {
            "secrets of Vault are not carried over: mount them with Vault's agent, its CSI provider or \
             External Secrets"
        }
        "nomadServices" | "nomadService" | "nomadVar" | "nomadVarList" | "nomadVarListSafe"
        | "nomadVarExists" => "Nomad is not read: keep consul-template for this file",
        "env" | "mustEnv" | "envOrDefault" => {
            "variables of the environment are in no file here: let the application read them itself"
        }
        "file" => "files of the machine are in no file here: mount them beside the volume",
        "timestamp" => "the time of a change is in .seedcar/status.json (published), not in files",
        "keyExists" => {
            "there is no condition on a key: a file of it alone is there or not (file: with key:)"
        }
        "plugin" => "no program is run for a value: run it in the application",
        "writeToFile" => {
            "only `range tree` with `printf \"DIR/%s\" .Key` and no flags is a tree here: name the key in \
             an output of its own (file: with key:)"
        }
        _ => return None,
    })
}

fn collect<'n>(nodes: &'n [Node], actions: &mut Vec<&'n Action>) {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Action(action) => actions.push(action),
            Node::Branch(branch) => {
                actions.push(&branch.head);
                collect(&branch.body, actions);
                collect(&branch.otherwise, actions);
            }
        }
    }
}

/// The functions of an expression, innermost first, which is the order of a pipeline.
fn functions(expr: &Expr) -> Vec<&str> {
    match expr {
        Expr::Call(name, arguments) => {
            let inner = arguments.iter().flat_map(functions);
            inner.chain([name.as_str()]).collect()
        }
        _ => vec![],
    }
}

/// The first word that decides something, a plain `range` over keys aside.
fn branch(nodes: &[Node]) -> Option<(&str, usize)> {
    nodes.iter().find_map(|node| match node {
        Node::Branch(inner) if inner.word == "range" => branch(&inner.body),
        Node::Branch(inner) => Some((inner.word.as_str(), inner.head.line)),
        _ => None,
    })
}
