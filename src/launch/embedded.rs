//! The embedded deployment as a neighbour of the proxy: served, told of the proxy's tokens, with somebody signed in.

use std::{fmt, io, net::SocketAddr, time::Duration};

use http::header;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::UnixMillis,
    config::Config,
    dev::{Deployment, DeploymentError, DeploymentOptions, SyncOptions},
    server::Bound,
};

/// A deployment that is served until it is [stopped](Embedded::stop), and the configuration of a proxy in front of it.
#[derive(Debug)]
pub struct Embedded {
    config: Config,
    address: SocketAddr,
    visitors: Visitors,
    serving: JoinHandle<io::Result<()>>,
    shutdown: CancellationToken,
}

/// Somebody to try things as, with two sessions: one to use, one to end. `Debug` does not show them.
pub struct Visitors {
    /// `_id` of the user's row.
    pub user_id: String,
    /// The session to use.
    pub session_token: String,
    /// The session to end.
    pub other_session_token: String,
}

/// The embedded deployment cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedProblem {
    /// Its socket cannot be used.
    #[error("the embedded deployment's socket cannot be used: {0}")]
    Socket(#[from] io::Error),
    /// It cannot be made.
    #[error("the embedded deployment cannot be made: {0}")]
    Deployment(#[from] DeploymentError),
    /// Its first user could not be sent.
    #[error("the embedded deployment did not take its first user: {0}")]
    Seed(#[from] reqwest::Error),
    /// Its first user was refused.
    #[error("the embedded deployment did not take its first user")]
    SeedRefused,
}

impl Embedded {
    /// Serves a deployment at `socket` for a proxy that will listen at `public`, and signs somebody in. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// [`EmbeddedProblem`]; nothing is served then.
    pub async fn start(config: Config, public: Option<SocketAddr>, socket: Bound) -> Result<Self, EmbeddedProblem> {
        let listener = socket.into_tokio()?.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
        let address = listener.local_addr()?;
        let config = settle(config, public, address);
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
        let visitors = seed(&config, address).await.inspect_err(|_| shutdown.cancel())?;
        Ok(Self { config, address, visitors, serving, shutdown })
    }

    /// The configuration with the numbers that the system chose where port 0 was asked for.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the deployment listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who is signed in.
    pub fn visitors(&self) -> &Visitors {
        &self.visitors
    }

    /// Ends it.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let _ = self.serving.await;
    }
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
async fn seed(config: &Config, deployment: SocketAddr) -> Result<Visitors, EmbeddedProblem> {
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
        answer.get("value").and_then(|value| value.as_str()).map(str::to_owned).ok_or(EmbeddedProblem::SeedRefused)
    };
    let user =
        serde_json::json!({ "email": "ada@example.com", "name": "Ada Lovelace", "emailVerified": UnixMillis::now().0 });
    let user_id = run("createUser", "user", user).await?;
    let expires = UnixMillis::now().0 + 30 * 24 * 60 * 60 * 1_000;
    let visitors = Visitors { user_id, session_token: random_token(), other_session_token: random_token() };
    for token in [&visitors.session_token, &visitors.other_session_token] {
        let session = serde_json::json!({ "userId": visitors.user_id, "sessionToken": token, "expires": expires });
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

impl fmt::Debug for Visitors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Visitors").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}
