//! Arguments → command → exit code.
//!
//! Exit codes: 0 done; 1 it could not start or did not end in order; 2 the arguments or the configuration are wrong, and nothing was
//! started.

mod bench;
mod dev;
mod welcome;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{self, Config, Mode, Sources},
    keys::{Algorithm, SigningKey, keygen},
    launch::{Running, Sockets},
    telemetry,
};

/// One binary in front of a Convex deployment, for apps that sign in with Auth.js.
#[derive(Debug, Parser)]
#[command(name = "convex-auth-proxy", version, disable_help_subcommand = true, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct Source {
    /// Configuration file; without it ./config.toml is read when it is there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve in front of a deployment (the default).
    Serve(Source),
    /// Serve in front of an embedded in-memory deployment, with fresh keys, and say what to try.
    Dev(Source),
    /// Make a key pair and print it.
    Keygen(KeygenArguments),
    /// Measure what this machine can do: signatures, tokens and answers by the second, and the codec.
    Bench(bench::BenchArguments),
}

#[derive(Debug, Args)]
struct KeygenArguments {
    /// RS256, EdDSA or ES256.
    #[arg(long, value_name = "ALG", default_value = "RS256", value_parser = algorithm)]
    alg: Algorithm,
    /// Name of the key in the set; without it the key's RFC 7638 thumbprint.
    #[arg(long, value_name = "ID")]
    kid: Option<String>,
    /// env (for .env.local and the deployment), pem (the private key), or jwks (the public set).
    #[arg(long, value_name = "FORMAT", default_value = "env", value_parser = format)]
    format: keygen::Format,
}

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(WRONG) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        None => serve(arguments.source),
        Some(Command::Serve(source)) => serve(source),
        Some(Command::Dev(source)) => dev::run(source.config),
        Some(Command::Keygen(arguments)) => make_keys(&arguments),
        Some(Command::Bench(arguments)) => bench::run(&arguments),
    }
}

const WRONG: u8 = 2;

fn serve(source: Source) -> ExitCode {
    let Some(config) = load(Mode::Serve, source.config) else { return ExitCode::from(WRONG) };
    telemetry::log_to_standard_error(&config.log);
    let Some(sockets) = bind(&config) else { return ExitCode::FAILURE };
    with_runtime(async {
        let named = sockets.display();
        let running = match Running::start(config, sockets) {
            Ok(running) => running,
            Err(problem) => return complain(&problem),
        };
        for (listener, address) in named {
            tracing::info!(target: "listen", listener, %address, "listening");
        }
        until_told_to_stop().await;
        stop(running).await
    })
}

fn make_keys(arguments: &KeygenArguments) -> ExitCode {
    let rendered = SigningKey::generate(arguments.alg)
        .and_then(|key| keygen::render(&key, arguments.kid.as_deref(), arguments.format));
    match rendered {
        Ok(text) => print(text.expose()),
        Err(problem) => complain(&problem),
    }
}

fn load(mode: Mode, file: Option<PathBuf>) -> Option<Config> {
    config::load(&Sources::of_process(mode, file)).inspect_err(|problems| _ = complain(problems)).ok()
}

fn bind(config: &Config) -> Option<Sockets> {
    // As many connections as the system lets us have; where it does not, the limits still hold.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(0);
    let listeners = 1 + usize::from(config.listen.adapter.is_some());
    // A connection may become a sync socket, which has two; and something for calls, logs and the runtime.
    let wanted = u64::try_from(config.limits.connections * listeners * 2 + 256).unwrap_or(u64::MAX);
    if files < wanted {
        tracing::warn!(
            target: "listen",
            files,
            wanted,
            "the limit on open files is below what limits.connections may take: raise it, or lower limits.connections"
        );
    }
    Sockets::bind(config).inspect_err(|problems| problems.iter().for_each(|problem| _ = complain(problem))).ok()
}

fn with_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    // For libraries that take the process's provider; our own TLS names it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // What goes on beside the requests, which have threads of their own.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(problem) => complain(&problem),
    }
}

async fn until_told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn stop(running: Running) -> ExitCode {
    tracing::info!(target: "listen", "stopping: what is in flight is finished");
    if running.stop().await {
        return ExitCode::SUCCESS;
    }
    tracing::warn!(target: "listen", "stopped: some requests did not end within timeouts.shutdown and were cut");
    ExitCode::FAILURE
}

fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    // A reader that has gone wants no more.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(problem: &impl Display) -> ExitCode {
    let _ = writeln!(io::stderr().lock(), "{problem}");
    ExitCode::FAILURE
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    text.parse().map_err(|_| "give RS256, EdDSA or ES256".to_owned())
}

fn format(text: &str) -> Result<keygen::Format, String> {
    text.parse().map_err(|_| "give env, pem or jwks".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_help_text_names_every_command() {
        Arguments::command().debug_assert();
        insta::assert_snapshot!(Arguments::command().render_help(), @r"
        One binary in front of a Convex deployment, for apps that sign in with Auth.js

        Usage: convex-auth-proxy [OPTIONS]
               convex-auth-proxy <COMMAND>

        Commands:
          serve   Serve in front of a deployment (the default)
          dev     Serve in front of an embedded in-memory deployment, with fresh keys, and say what to try
          keygen  Make a key pair and print it
          bench   Measure what this machine can do: signatures, tokens and answers by the second, and the codec

        Options:
              --config <FILE>  Configuration file; without it ./config.toml is read when it is there
          -h, --help           Print help
          -V, --version        Print version
        ");
    }
}
