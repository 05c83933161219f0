//! Tests of the log's settings, and of variables that are other programs' as well.

use super::*;

#[test]
fn the_louder_of_level_and_verbose_counts() {
    for (args, level) in [
        (&[][..], LevelFilter::INFO),
        (&["-v"], LevelFilter::DEBUG),
        (&["--log-level", "off"], LevelFilter::OFF),
        (&["--log-level", "error"], LevelFilter::ERROR),
        (&["--log-level", "WARN"], LevelFilter::WARN),
        (&["--log-level", "off", "-v"], LevelFilter::DEBUG),
        (&["--log-level", "debug", "-v"], LevelFilter::DEBUG),
        (&["--log-level", "trace", "-v"], LevelFilter::TRACE),
    ] {
        assert_eq!(load(args, &[]).unwrap().log.level, level, "{args:?}");
    }
}

#[test]
fn a_variable_of_other_programs_says_what_it_can_and_refuses_nothing() {
    const OWN: &str = "ROOMCAST_LOG_LEVEL";
    for (args, env, level, warning) in [
        (&[][..], &[("LOG_LEVEL", "warn")][..], LevelFilter::WARN, ""),
        (&[], &[("LOG_LEVEL", "")], LevelFilter::INFO, ""),
        // As `env_logger` takes it.
        (
            &[],
            &[("LOG_LEVEL", "debug,hyper=warn")],
            LevelFilter::DEBUG,
            "",
        ),
        (&[], &[("LOG_LEVEL", "error/GET")], LevelFilter::ERROR, ""),
        (
            &[],
            &[("LOG_LEVEL", "hyper=warn,debug")],
            LevelFilter::INFO,
            "LOG_LEVEL: `hyper=warn,debug` begins with no level; \
             --log-level is left at its default",
        ),
        (
            &[],
            &[("LOG_LEVEL", "30")],
            LevelFilter::INFO,
            "LOG_LEVEL: `30` begins with no level; --log-level is left at its default",
        ),
        (
            &[],
            &[("LOG_STYLE", "pretty")],
            LevelFilter::INFO,
            "LOG_STYLE: `pretty` is no style; there are: auto, always, never; \
             --log-style is left at its default",
        ),
        // What does not count is not looked at.
        (
            &[],
            &[(OWN, "error"), ("LOG_LEVEL", "30")],
            LevelFilter::ERROR,
            "",
        ),
        (
            &["--log-level", "trace"],
            &[("LOG_LEVEL", "30")],
            LevelFilter::TRACE,
            "",
        ),
    ] {
        let config = load(args, env).unwrap();
        assert_eq!(config.log.level, level, "{env:?}");
        assert_eq!(config.log.style, LogStyle::Auto, "{env:?}");
        assert_eq!(config.warnings.join("\n"), warning, "{env:?}");
    }
}

#[test]
fn what_is_ours_is_strict() {
    let file = file("log-style = \"pretty\"");
    for (args, env, message) in [
        (
            &["--log-level", "info,hyper=warn"][..],
            &[][..],
            "--log-level: `info,hyper=warn` is no level",
        ),
        (
            &["--log-level", "inof"],
            &[],
            "--log-level: `inof` is no level; did you mean `info`?",
        ),
        (
            &[],
            &[("ROOMCAST_LOG_LEVEL", "loud")],
            "ROOMCAST_LOG_LEVEL: `loud` is no level; there are: trace, debug,",
        ),
        (
            &["--config", &file.path],
            &[],
            "log-style: `pretty` is no style; there are: auto, always, never",
        ),
    ] {
        let (found, _) = fails(args, env);
        assert!(found.contains(message), "{found}\nnot {message}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn the_summary_says_how_the_log_is_written() {
    for (args, expected) in [
        (&[][..], "text on a terminal, JSON otherwise; level info"),
        (
            &["-v", "--log-format", "text", "--log-style", "always"],
            "text; level debug; always in colour",
        ),
        (
            &["--log-level=off", "--log-style=never", "--log-format=json"],
            "JSON; level off; never in colour",
        ),
    ] {
        let summary = load(args, &[]).unwrap().summary(&[]);
        let line = summary.lines().find(|line| line.starts_with("log "));
        assert!(line.unwrap().ends_with(&format!(" {expected}")), "{line:?}");
    }
}
