//! `seedcar config check`, `print`, `sample` and `from-consul-template`.

mod from_consul_template;

use std::io::{self, Write};

use serde_json::json;

use crate::{
    cli::{ConfigAction, Form},
    config::{self, Effective, Env, Flags, Problem, SAMPLE, Scope, Warning},
    exit::Exit,
};

/// Does what `action` says. What was asked for goes to `out`, mistakes and warnings to `err`.
pub fn run(
    action: &ConfigAction,
    flags: &Flags,
    env: &Env,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Exit {
    let done = match action {
        ConfigAction::Check { output } => check(flags, env, output.form, out, err),
        ConfigAction::Print { output } => print(flags, env, output.form, out, err),
        ConfigAction::Sample => out.write_all(SAMPLE.as_bytes()).map(|()| Exit::Ok),
        ConfigAction::FromConsulTemplate(asked) => from_consul_template::run(asked, out, err),
    };
    done.unwrap_or(Exit::Internal)
}

/// Reports every mistake. An unknown variable is one here, because here somebody is looking.
fn check(
    flags: &Flags,
    env: &Env,
    form: Form,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    let outcome = config::load(flags, env, Scope::Full);
    let (strict, mild): (Vec<Warning>, _) = outcome.warnings.into_iter().partition(|w| w.strict);
    let mut problems = outcome.config.err().unwrap_or_default();
    problems.extend(strict.into_iter().map(|warning| warning.problem));
    complain(&problems, &mild, err)?;
    let valid = problems.is_empty();
    match form {
        Form::Json => {
            let warnings: Vec<&Problem> = mild.iter().map(|warning| &warning.problem).collect();
            let report = json!({"valid": valid, "problems": problems, "warnings": warnings});
            writeln!(out, "{report}")?;
        }
        Form::Table if valid => writeln!(out, "the configuration is valid")?,
        Form::Table => {}
    }
    Ok(verdict(&problems))
}

/// Shows each value in effect, also while some of them are mistakes: it helps to find them.
fn print(
    flags: &Flags,
    env: &Env,
    form: Form,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Exit> {
    let outcome = config::load(flags, env, Scope::Full);
    let lines = outcome.typed.effective();
    match form {
        Form::Json => writeln!(out, "{}", json!(lines))?,
        Form::Table => lines.iter().try_for_each(|line| show(line, out))?,
    }
    let problems = outcome.config.err().unwrap_or_default();
    complain(&problems, &outcome.warnings, err)?;
    Ok(verdict(&problems))
}

fn show(line: &Effective, out: &mut impl Write) -> io::Result<()> {
    let value = line.value.as_deref().unwrap_or("-").escape_debug();
    writeln!(out, "{:<19} {:<28} {}", line.setting, value.to_string(), line.origin)
}

fn complain(problems: &[Problem], warnings: &[Warning], err: &mut impl Write) -> io::Result<()> {
    for warning in warnings {
        writeln!(err, "warning: {warning}")?;
    }
    for problem in problems {
        writeln!(err, "problem: {problem}")?;
    }
    Ok(())
}

fn verdict(problems: &[Problem]) -> Exit {
    if problems.is_empty() { Exit::Ok } else { Exit::Config }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Output;
    use crate::config::Id;

    const CHECK: ConfigAction = ConfigAction::Check { output: Output { form: Form::Table } };
    const CHECK_JSON: ConfigAction = ConfigAction::Check { output: Output { form: Form::Json } };
    const PRINT: ConfigAction = ConfigAction::Print { output: Output { form: Form::Table } };
    const PRINT_JSON: ConfigAction = ConfigAction::Print { output: Output { form: Form::Json } };

    /// Exit, output and complaints of an action in an environment.
    fn outcome(action: &ConfigAction, env: &[(&str, &str)]) -> (Exit, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let env = env.iter().copied().collect();
        let exit = run(action, &Flags::new(), &env, &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (exit, text(out), text(err))
    }

    #[test]
    fn a_valid_configuration_is_said_to_be_valid() {
        let (exit, out, err) = outcome(&CHECK, &[("SEEDCAR_PREFIX", "a")]);
        assert_eq!(exit, Exit::Ok);
        assert_eq!((out.as_str(), err.as_str()), ("the configuration is valid\n", ""));
    }

    #[test]
    fn every_problem_is_one_line_on_stderr_and_the_exit_is_78() {
        let env = [("SEEDCAR_WAIT", "5"), ("SEEDCAR_HTTP", "x"), ("CONSUL_X", "x")];
        let (exit, out, err) = outcome(&CHECK, &env);
        assert_eq!((exit.code(), out.as_str()), (78, ""));
        assert_eq!(err.lines().count(), 4, "{err}");
        assert!(err.lines().all(|line| line.starts_with("problem: ")), "{err}");
    }

    #[test]
    fn an_unknown_variable_fails_the_check_and_nothing_else() {
        let env = [("SEEDCAR_PREFIX", "a"), ("SEEDCAR_WIAT", "5s")];
        let (exit, _, err) = outcome(&CHECK, &env);
        assert_eq!(exit, Exit::Config);
        assert!(err.starts_with("problem: SEEDCAR_WIAT"), "{err}");
        let (exit, _, err) = outcome(&PRINT, &env);
        assert_eq!(exit, Exit::Ok);
        assert!(err.starts_with("warning: SEEDCAR_WIAT"), "{err}");
    }

    #[test]
    fn a_doubt_does_not_fail_the_check() {
        let (exit, _, err) = outcome(&CHECK, &[("SEEDCAR_PREFIX", "a"), ("SEEDCAR_WAIT", "2m")]);
        assert_eq!(exit, Exit::Ok);
        assert!(err.starts_with("warning: wait"), "{err}");
    }

    #[test]
    fn json_has_the_same_in_parts() {
        let (exit, out, _) =
            outcome(&CHECK_JSON, &[("SEEDCAR_PREFIX", "a"), ("SEEDCAR_WAIT", "5")]);
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((exit, &report["valid"]), (Exit::Config, &json!(false)));
        let problem = json!({
            "kind": "malformed", "setting": "wait", "text": "5", "reason": "has no unit",
            "from": "SEEDCAR_WAIT",
            "hint": "write numbers with units, as in 30s, 15m, 1500ms or 1h30m",
        });
        assert_eq!(report["problems"], json!([problem]));
    }

    #[test]
    fn print_shows_values_with_their_origin_and_no_secret() {
        let env =
            [("SEEDCAR_PREFIX", "a"), ("CONSUL_HTTP_TOKEN", "c4n4ry"), ("SEEDCAR_WAIT", "9s")];
        let (exit, out, _) = outcome(&PRINT, &env);
        assert_eq!(exit, Exit::Ok);
        let line = |name: &str| {
            let found = out.lines().find(|line| line.starts_with(name)).unwrap();
            found.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("wait"), "wait 9s SEEDCAR_WAIT");
        assert_eq!(line("source"), "source default=a SEEDCAR_PREFIX");
        assert_eq!(line("token "), "token (not shown) CONSUL_HTTP_TOKEN");
        assert_eq!(line("heartbeat"), "heartbeat 15m default");
        assert_eq!(line("ca-file"), "ca-file - default");
        assert!(!out.contains("c4n4ry"));
        let (_, json, _) = outcome(&PRINT_JSON, &env);
        let lines: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        let wait = json!({"setting": "wait", "value": "9s", "from": "SEEDCAR_WAIT"});
        assert!(lines.contains(&wait) && !json.contains("c4n4ry"), "{json}");
    }

    #[test]
    fn the_printed_sample_passes_the_check() {
        let (exit, out, _) = outcome(&ConfigAction::Sample, &[]);
        assert_eq!(exit, Exit::Ok);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seedcar.yaml").display().to_string();
        std::fs::write(&path, out).unwrap();
        let mut flags = Flags::new();
        flags.push(Id::Config, path);
        let exit = run(&CHECK, &flags, &Env::default(), &mut Vec::new(), &mut Vec::new());
        assert_eq!(exit, Exit::Ok);
    }
}
