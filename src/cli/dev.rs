//! `dev`: the proxy in front of an embedded deployment, with somebody signed in to try it as.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use http::header;
use tokio_util::sync::CancellationToken;

use super::{
    WRONG, bind, complain, load, print, stop, until_told_to_stop,
    welcome::{self, Visitors},
    with_runtime,
};
use crate::{
    clock::Now,
    config::{Config, ListenAddress, Mode},
    dev::{Deployment, DeploymentOptions, SyncOptions},
    launch::{Running, Sockets},
    server::Bound,
    telemetry,
};

/// `dev` cannot be started.
#[derive(Debug, thiserror::Error)]
enum DevProblem {
    #[error("the embedded deployment's socket cannot be used: {0}")]
    Socket(#[from] io::Error),
    #[error("the embedded deployment cannot be made: {0}")]
    Deployment(#[from] crate::dev::DeploymentError),
    #[error(transparent)]
    Launch(#[from] crate::launch::LaunchProblem),
    #[error("the embedded deployment did not take its first user: {0}")]
    Seed(#[from] reqwest::Error),
    #[error("the embedded deployment did not take its first user")]
    SeedRefused,
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
    let listener = deployment.into_tokio()?.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
    let bound = listener.local_addr()?;
    let config = settle(config, sockets.public(), bound);
    let deployment = Deployment::new(DeploymentOptions {
        adapter_secret: config.adapter.secret.clone(),
        module: config.adapter.module.clone(),
        issuer: config.token.issuer.clone(),
        application_id: config.token.audience.clone(),
        record_requests: false,
        sync: SyncOptions::default(),
    })?;
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(deployment.serve(listener, shutdown.clone()));
    let visitors = seed(&config, bound).await?;
    let text = welcome::text(&config, &sockets, bound, &visitors);
    let running = Running::start(config, sockets)?;
    print(&text);
    until_told_to_stop().await;
    let code = stop(running).await;
    shutdown.cancel();
    let _ = serving.await;
    Ok(code)
}

/// Puts the numbers that the system chose where the configuration says port 0.
fn settle(mut config: Config, public: Option<SocketAddr>, deployment: SocketAddr) -> Config {
    let url = &mut config.upstream.url;
    if url.port() == Some(0) {
        let _ = url.set_port(Some(deployment.port()));
    }
    let has_no_port = config.token.issuer.parse::<url::Url>().is_ok_and(|issuer| issuer.port() == Some(0));
    match public {
        Some(public) if has_no_port => {
            let issuer = format!("http://{public}{}", config.listen.base_path);
            config.with_issuer(issuer)
        }
        _ => config,
    }
}

/// Signs somebody in to try things as.
async fn seed(config: &Config, deployment: SocketAddr) -> Result<Visitors, DevProblem> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let module = config.adapter.module.as_str();
    let secret = config.adapter.secret.expose();
    let run = async |function: &str, argument: &str, value: serde_json::Value| {
        let mut arguments = serde_json::json!({ "secret": secret });
        if let Some(object) = arguments.as_object_mut() {
            object.insert(argument.to_owned(), value);
        }
        let call = serde_json::json!({ "path": format!("{module}:{function}"), "args": [arguments], "format": "json" });
        let request =
            client.post(format!("http://{deployment}/api/mutation")).header(header::CONTENT_TYPE, "application/json");
        let answer: serde_json::Value = request.body(call.to_string()).send().await?.json().await?;
        answer.get("value").and_then(|value| value.as_str()).map(str::to_owned).ok_or(DevProblem::SeedRefused)
    };
    let user =
        serde_json::json!({ "email": "ada@example.com", "name": "Ada Lovelace", "emailVerified": Now::read().wall.0 });
    let user_id = run("createUser", "user", user).await?;
    let expires = Now::read().wall.0 + 30 * 24 * 60 * 60 * 1_000;
    let visitors = Visitors { session_token: random_token(), other_session_token: random_token() };
    for token in [&visitors.session_token, &visitors.other_session_token] {
        let session = serde_json::json!({ "userId": user_id, "sessionToken": token, "expires": expires });
        run("createSession", "session", session).await?;
    }
    Ok(visitors)
}

fn random_token() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness the keys above could not have been made either.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
