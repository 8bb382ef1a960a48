//! Tokens over loopback HTTP, from a whole proxy in front of an embedded deployment.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{net::TcpStream, runtime};

use super::{BenchProblem, Case, Row, Work, check_token, pace::Pace, report::Latency};
use crate::{
    config::{self, ListenAddress, Mode, Sources},
    launch::{Embedded, Running, Sockets},
    server::Bound,
};

pub(super) fn measure(case: Case) -> Result<Row, BenchProblem> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(start)?;
    runtime.block_on(async {
        let served = Served::start(case).await?;
        let row = served.load(case).await;
        served.running.stop().await;
        served.embedded.stop().await;
        row
    })
}

/// A proxy on loopback, with a session for each connection to come.
struct Served {
    public: SocketAddr,
    adapter: SocketAddr,
    session_tokens: Vec<String>,
    embedded: Embedded,
    running: Running,
}

/// One client: a connection of its own, and one request that it sends again and again.
struct Client {
    sender: SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    is_fresh: bool,
    last: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
}

impl Served {
    async fn start(case: Case) -> Result<Self, BenchProblem> {
        let anywhere = "127.0.0.1:0";
        let pairs = [
            ("CONVEX_AUTH_PROXY__LISTEN__PUBLIC", anywhere),
            ("CONVEX_AUTH_PROXY__LISTEN__ADAPTER", anywhere),
            ("CONVEX_AUTH_PROXY__LISTEN__ADMIN", ""),
            ("CONVEX_AUTH_PROXY__DEV__LISTEN", anywhere),
            // All clients begin at once.
            ("CONVEX_AUTH_PROXY__LIMITS__REQUESTS_IN_FLIGHT", "10000"),
            ("CONVEX_AUTH_PROXY__TOKEN__ALGORITHM", case.algorithm().name()),
        ];
        let config = config::load(&Sources::from_pairs(Mode::Dev, &pairs)).map_err(start)?;
        let sockets = Sockets::bind(&config)
            .map_err(|problems| start(problems.first().map(ToString::to_string).unwrap_or_default()))?;
        let socket = Bound::new("dev.listen", &ListenAddress::Tcp(config.dev.listen)).map_err(start)?;
        let embedded = Embedded::start(config, sockets.public(), socket).await.map_err(start)?;
        let (Some(public), Some(adapter)) = (sockets.public(), sockets.adapter()) else {
            return Err(start("no address"));
        };
        let running = Running::start(embedded.config().clone(), sockets).map_err(start)?;
        let mut served = Self { public, adapter, session_tokens: Vec::new(), embedded, running };
        served.sign_in(case.at_once).await?;
        Ok(served)
    }

    /// One session's tokens are signed one after the other, so each connection has its own.
    async fn sign_in(&mut self, sessions: usize) -> Result<(), BenchProblem> {
        let mut sender = connect(self.adapter).await?;
        for number in 0..sessions {
            let token = format!("session-{number}-of-a-bench-{:032x}", number);
            let session = serde_json::json!({
                "session": {
                    "sessionToken": token,
                    "userId": self.embedded.visitors().user_id,
                    "expires": "2100-01-01T00:00:00.000Z",
                }
            });
            let request = post(self.adapter, "/adapter/createSession", session.to_string(), None);
            send(&mut sender, &request).await?;
            self.session_tokens.push(token);
        }
        Ok(())
    }

    async fn load(&self, case: Case) -> Result<Row, BenchProblem> {
        let is_fresh = case.work == Work::FreshOverHttp;
        let clients = try_join_all(self.session_tokens.iter().map(|token| self.client(token, is_fresh))).await?;
        let begun = Instant::now();
        let took = try_join_all(clients.into_iter().map(|client| client.ask(case.each))).await?.concat();
        let per_second = took.len() as f64 / begun.elapsed().saturating_sub(case.each / 10).as_secs_f64();
        let row = Row::new(case, Pace { per_second, cpu_micros: None });
        Ok(Row { latency: Some(Latency::of(took)), ..row })
    }

    /// A client whose first token was verified.
    async fn client(&self, session_token: &str, is_fresh: bool) -> Result<Client, BenchProblem> {
        let (to, request) = if is_fresh {
            let asked = serde_json::json!({ "sessionToken": session_token, "forceRefresh": true }).to_string();
            (self.adapter, post(self.adapter, "/auth/token", asked, None))
        } else {
            (self.public, post(self.public, "/auth/token", String::new(), Some(session_token)))
        };
        let mut client = Client { sender: connect(to).await?, request, is_fresh, last: String::new() };
        let token = client.token().await?;
        check_token(&token, &self.embedded.config().token.key, &self.embedded.visitors().user_id)?;
        client.last = token;
        Ok(client)
    }
}

impl Client {
    /// Asks until the time is over; gives how long each answer took that came after the first tenth of it.
    async fn ask(mut self, each: Duration) -> Result<Vec<Duration>, BenchProblem> {
        let (begun, warm_after) = (Instant::now(), each / 10);
        let mut took = Vec::new();
        while begun.elapsed() < each + warm_after {
            let asked = Instant::now();
            let answer = send(&mut self.sender, &self.request).await?;
            let answered = asked.elapsed();
            let token = read_token(&answer)?;
            if self.is_fresh == (token == self.last) {
                return Err(BenchProblem::Wrong("a token"));
            }
            self.last = token;
            if begun.elapsed() > warm_after {
                took.push(answered);
            }
        }
        Ok(took)
    }

    async fn token(&mut self) -> Result<String, BenchProblem> {
        read_token(&send(&mut self.sender, &self.request).await?)
    }
}

fn read_token(answer: &[u8]) -> Result<String, BenchProblem> {
    serde_json::from_slice(answer).map(|TokenAnswer { token }| token).map_err(|_| BenchProblem::Wrong("an answer"))
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Full<Bytes>>, BenchProblem> {
    let stream = TcpStream::connect(to).await.map_err(broken)?;
    stream.set_nodelay(true).map_err(broken)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection);
    Ok(sender)
}

fn post(to: SocketAddr, path: &'static str, body: String, session_token: Option<&str>) -> Request<Full<Bytes>> {
    let mut request =
        Request::post(path).header(header::HOST, to.to_string()).header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = session_token {
        request = request.header(header::COOKIE, format!("authjs.session-token={token}"));
    }
    request.body(Full::from(body)).unwrap_or_default()
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, request: &Request<Full<Bytes>>) -> Result<Bytes, BenchProblem> {
    sender.ready().await.map_err(broken)?;
    let answer = sender.send_request(request.clone()).await.map_err(broken)?;
    if answer.status() != StatusCode::OK {
        return Err(BenchProblem::Wrong("an answer"));
    }
    Ok(answer.into_body().collect().await.map_err(broken)?.to_bytes())
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn start(problem: impl ToString) -> BenchProblem {
    BenchProblem::Start(problem.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn broken(problem: impl ToString) -> BenchProblem {
    BenchProblem::Connection(problem.to_string())
}
