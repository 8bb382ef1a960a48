//! Whether the deployment answers: asked in the background, so that a probe costs nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::sleep;

/// Ready once the deployment has answered; a later outage is shown and takes no replica out of service, since that would take all
/// replicas out at once, and what is in memory can still be answered.
#[derive(Debug, Default)]
pub struct Readiness {
    has_answered: AtomicBool,
    answers: AtomicBool,
}

/// Asks the deployment's `GET /version` again and again.
#[derive(Debug)]
pub struct Watch {
    readiness: Arc<Readiness>,
    client: reqwest::Client,
    url: String,
    pause: Duration,
}

impl Readiness {
    /// Whether the deployment has answered since the start.
    pub fn is_ready(&self) -> bool {
        self.has_answered.load(Relaxed)
    }

    /// Whether it answered when it was last asked.
    pub fn deployment_answers(&self) -> bool {
        self.answers.load(Relaxed)
    }
}

impl Watch {
    /// A watch on a deployment. `tls` are the roots that its certificate is checked against.
    ///
    /// # Errors
    ///
    /// [`reqwest::Error`]: the client cannot be made.
    pub fn new(
        readiness: Arc<Readiness>,
        deployment: &url::Url,
        tls: rustls::ClientConfig,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let url = format!("{}/version", deployment.as_str().trim_end_matches('/'));
        Ok(Self { readiness, client, url, pause: PAUSE })
    }

    /// The same with another pause than ten seconds once the deployment has answered.
    #[must_use]
    pub fn every(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Asks until the future is dropped: quickly while there was no answer yet, then every ten seconds.
    pub async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let answers = self.ask().await;
            let has_changed = self.readiness.answers.swap(answers, Relaxed) != answers;
            if answers {
                self.readiness.has_answered.store(true, Relaxed);
            }
            if has_changed {
                tracing::info!(target: "deployment", answers, "the deployment's state has changed");
            }
            pause = if self.readiness.is_ready() { self.pause } else { (pause * 2).min(self.pause) };
            sleep(pause).await;
        }
    }

    async fn ask(&self) -> bool {
        match self.client.get(&self.url).send().await {
            Ok(answer) => answer.status().is_success(),
            Err(error) => {
                tracing::debug!(target: "deployment", %error, "GET /version");
                false
            }
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(25);
const PAUSE: Duration = Duration::from_secs(10);
