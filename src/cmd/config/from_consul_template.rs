//! `seedcar config from-consul-template`.

use std::fs::File;
use std::io::{self, Read, Write};

use crate::cli::FromConsulTemplate;
use crate::exit::Exit;
use crate::moving::settings::Template;
use crate::moving::{Input, Moved, from_consul_template};

/// The largest file that is read, in bytes: what people write is far below it.
const LARGEST: u64 = 1 << 20;

/// Prints our configuration to `out` and what is different to `err`. Exit 75 if something was not
/// carried over as it was, 78 if a configuration cannot be read; then nothing is printed.
pub(super) fn run(
    asked: &FromConsulTemplate,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    let inputs = match inputs(asked) {
        Ok(inputs) => inputs,
        Err(why) => return refuse(&why, err),
    };
    let source = |name: &str| text_of(name).map_err(|error| reason(&error));
    match from_consul_template(inputs, &source) {
        Ok(moved) => print(&moved, out, err),
        Err(error) => refuse(&error.to_string(), err),
    }
}

fn refuse(why: &str, err: &mut impl Write) -> io::Result<Exit> {
    writeln!(err, "problem: {}", why.escape_debug())?;
    Ok(Exit::Config)
}

fn print(moved: &Moved, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    out.write_all(moved.yaml.as_bytes())?;
    for note in &moved.notes {
        writeln!(err, "{note}")?;
    }
    let is_loss = moved.notes.iter().any(|note| note.weight.is_loss());
    Ok(if is_loss { Exit::NotMet } else { Exit::Ok })
}

fn inputs(asked: &FromConsulTemplate) -> Result<Vec<Input>, String> {
    let mut inputs = Vec::new();
    for name in &asked.files {
        inputs.push(match template_of(name) {
            Some(template) => Input::Template(Box::new(template)),
            None => {
                let text = text_of(name);
                let text = text.map_err(|e| format!("{name} cannot be read: {}", reason(&e)))?;
                Input::Configuration { name: name.clone(), text }
            }
        });
    }
    // As in consul-template, the command line comes last.
    for text in &asked.templates {
        let template = Template::of_flag(text, ("--template".to_owned(), 1));
        inputs.push(Input::Template(Box::new(template)));
    }
    Ok(inputs)
}

/// A template by itself, which makes the file of its name without the ending.
fn template_of(name: &str) -> Option<Template> {
    let endings = [".ctmpl", ".tpl", ".tmpl"];
    let destination = endings.into_iter().find_map(|ending| name.strip_suffix(ending))?;
    let template = Template::of_flag("", (name.to_owned(), 1));
    Some(template.with(name, destination))
}

fn text_of(name: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(name)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

/// What is wrong, in words that are the same on every machine.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::InvalidData => "it is no UTF-8 text".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory: name the files in it".to_owned(),
        _ => error.to_string(),
    }
}
