//! `dev`: the proxy in front of an embedded deployment, with somebody signed in to try it as.

use std::{path::PathBuf, process::ExitCode};

use super::{WRONG, bind, complain, load, print, stop, until_told_to_stop, welcome, with_runtime};
use crate::{
    config::{Config, ListenAddress, Mode},
    launch::{Embedded, EmbeddedProblem, LaunchProblem, Running, Sockets},
    server::Bound,
    telemetry,
};

/// `dev` cannot be started.
#[derive(Debug, thiserror::Error)]
enum DevProblem {
    #[error(transparent)]
    Embedded(#[from] EmbeddedProblem),
    #[error(transparent)]
    Launch(#[from] LaunchProblem),
}

pub(super) fn run(file: Option<PathBuf>) -> ExitCode {
    let Some(config) = load(Mode::Dev, file) else { return ExitCode::from(WRONG) };
    telemetry::log_to_standard_error(&config.log);
    // Every busy port is told, not the first alone.
    let deployment =
        Bound::new("dev.listen", &ListenAddress::Tcp(config.dev.listen)).inspect_err(|problem| _ = complain(problem));
    let (Some(sockets), Ok(deployment)) = (bind(&config), deployment) else { return ExitCode::FAILURE };
    with_runtime(async {
        match serve(config, sockets, deployment).await {
            Ok(code) => code,
            Err(problem) => complain(&problem),
        }
    })
}

async fn serve(config: Config, sockets: Sockets, deployment: Bound) -> Result<ExitCode, DevProblem> {
    let embedded = Embedded::start(config, sockets.public(), deployment).await?;
    let text = welcome::text(embedded.config(), &sockets, embedded.address(), embedded.visitors());
    let running = Running::start(embedded.config().clone(), sockets)?;
    print(&text);
    until_told_to_stop().await;
    let code = stop(running).await;
    embedded.stop().await;
    Ok(code)
}
