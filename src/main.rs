//! The program `server`: arguments, logging, signals and the exit code.
//! Knows no room and no protocol: the library does what there is to do.

use std::env;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use futures_util::FutureExt;
use roomcast::config::{Action, Config, ConfigError, Report, Tls};
use roomcast::net::tls;
use roomcast::report::ReportError;
use roomcast::signals::Signals;
use roomcast::simulate::{self, News};
use roomcast::watchdog::Watchdog;
use roomcast::{Server, healthcheck, logging, metrics};
use tokio::runtime::Handle;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::mpsc::channel;
use tokio_util::sync::CancellationToken;
use tracing::{Level, enabled, error, info, warn};

/// How many tasks a busy worker runs before it polls the sockets (tokio's default is 61).
/// While a flood of messages keeps all workers busy, other clients wait for this many tasks.
const EVENT_INTERVAL: u32 = 16;

/// Something failed.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let config = match Config::load(env::args_os(), env::vars_os()) {
        Ok(config) => config,
        Err(error) => return refuse(error),
    };
    let done = match config.action {
        Action::Check => check(&config),
        Action::History(ref report) => history(&config, report),
        Action::Healthcheck => healthcheck(&config),
        Action::Simulate(options) => simulate(&options),
        Action::Serve => serve(config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// Says what failed, where it is seen: a log in JSON stays JSON to its last
/// line, and where there is no log, or `RUST_LOG` silences it, stderr is told.
fn complain(error: &anyhow::Error) {
    if enabled!(Level::ERROR) {
        error!("{error:#}");
    } else {
        tell(format_args!("{error:#}"));
    }
}

/// Writes a line to stderr. Ignores a failure: there is no other place to report it.
fn tell(line: impl Display) {
    let _ = writeln!(stderr(), "server: {line}");
}

/// Writes to stdout.
fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    printed(write!(out, "{text}").and_then(|()| out.flush()))
}

/// Turns the result of a write to stdout into an error. A closed pipe is none: its reader has read
/// enough.
fn printed(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("stdout can't be written"),
    }
}

fn refuse(error: ConfigError) -> ExitCode {
    let code = error.exit_code();
    match error {
        // The help and the version go to stdout, in colour where that is right.
        ConfigError::CommandLine(error) => match printed(error.print()) {
            Err(unwritten) if code == 0 => {
                complain(&unwritten);
                return ExitCode::from(FAILED);
            }
            Ok(()) | Err(_) => {}
        },
        ConfigError::Settings(problems) => problems.0.iter().for_each(tell),
    }
    ExitCode::from(code)
}

fn check(config: &Config) -> anyhow::Result<()> {
    config.warnings.iter().for_each(tell);
    print(roomcast::check(config)?)
}

fn history(config: &Config, report: &Report) -> anyhow::Result<()> {
    match roomcast::report::history(config, report, &mut stdout().lock()) {
        Err(ReportError::Write(error)) => printed(Err(error)),
        done => Ok(done?),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn healthcheck(config: &Config) -> anyhow::Result<()> {
    let https = config.tls != Tls::Off;
    let answer = healthcheck::ask(config.listen, https).await?;
    print(format_args!("{answer}\n"))
}

/// Runs the server, and leaves behind what still hangs when it has stopped: a
/// disk that does not answer would hold up the threads that read from it, and
/// they the end of the process.
fn serve(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build()?;
    let done = runtime.block_on(run(config));
    runtime.shutdown_background();
    done
}

async fn run(config: Config) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let _watchdog = Watchdog::start(&Handle::current())?;
    let (stop, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
    Signals::new()?.follow(stop.clone(), reload.clone())?;
    metrics::install();
    let server = tokio::select! {
        server = Server::bind(config) => server?,
        // A signal ends the wait for a port.
        () = stop.cancelled() => return Ok(()),
    };
    for (what, text) in server.summary() {
        info!("{what}: {text}");
    }
    let supervisor = server.supervisor();
    supervisor.restart("reload", {
        let (tls, stop) = (server.tls(), stop.clone());
        move || {
            let reloading = reload_certificate(reload.clone(), tls.clone());
            stop.clone().run_until_cancelled_owned(reloading).map(drop)
        }
    });
    supervisor.restart("metrics", {
        let stop = stop.clone();
        move || metrics::upkeep(stop.clone())
    });
    let stopped = server.serve(stop).await;
    info!(cut = stopped.cut, "stopped");
    ensure!(!stopped.failed, "a task of the server has failed");
    Ok(())
}

/// Reloads the certificate at each SIGHUP.
async fn reload_certificate(reload: Arc<Notify>, tls: Option<tls::Acceptor>) {
    loop {
        reload.notified().await;
        match &tls {
            Some(tls) => {
                info!("SIGHUP: reading the certificate again");
                tls.reload_and_log().await;
            }
            None => info!("SIGHUP: nothing to read again without HTTPS"),
        }
    }
}

/// Runs the simulation until it is over, a signal ends it, or stdout can't be written any more.
#[tokio::main(flavor = "current_thread")]
async fn simulate(options: &simulate::Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let seed = options.seed;
    tell(format_args!(
        "--seed {seed} plays the same again; Ctrl-C ends it"
    ));
    let (refused, mut unwritten) = channel(1);
    let told = move |news: News| match &news {
        News::OnAir(..) => {
            if let Err(error) = writeln!(stdout(), "{news}") {
                // The first error ends the simulation.
                let _ = refused.try_send(error);
            }
        }
        _ => tell(news),
    };
    tokio::select! {
        biased;
        Some(error) = unwritten.recv() => printed(Err(error))?,
        () = simulate::run(options, Arc::new(told)) => {}
        interrupted = ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
