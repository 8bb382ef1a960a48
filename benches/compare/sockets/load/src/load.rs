//! The clients. Lines on standard input say what they do; each is answered by one line when it is done.
//!
//! ```text
//! open N           N more sockets, each with its query's first value           → {"sockets":…,"seconds":…}
//! mutate SIZE BURST ROUNDS [AT_ONCE]
//!                  on every socket ROUNDS times: BURST mutations of SIZE bytes by one write, then all of their answers.
//!                  On at most AT_ONCE sockets at one time; all, when it is left out
//!                                                                              → {"messages":…,"seconds":…,"fragments":…}
//! mutate-apart …   the same, each message and each answer by a write of its own
//! push …           the same with transitions that the deployment is asked for behind the relay's back
//! close            all sockets are closed, in order                            → {"sockets":0}
//! ```
//!
//! `fragments` are frames that did not end their message. A message is counted where it is relayed: a mutation and its
//! answer are two, a transition is one. Between two lines the sockets idle: they read, and answer pings.

use std::{io, sync::Arc, time::Instant};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    frame::{Inbox, Incoming, Masking, Outbox},
    http::{self, Head},
    message::{self, Version, Writing},
};

/// Where the sockets are opened, and how.
#[derive(Debug)]
pub struct Target {
    address: String,
    /// The deployment itself.
    control: Option<String>,
    headers: Vec<String>,
}

impl Target {
    /// Takes the arguments that follow `load`.
    ///
    /// # Errors
    ///
    /// An option that does not exist or has no value.
    pub fn parse(address: &str, options: &[&str]) -> io::Result<Self> {
        let mut target = Self { address: address.to_owned(), control: None, headers: Vec::new() };
        let (pairs, rest) = options.as_chunks::<2>();
        for [name, value] in pairs {
            match *name {
                "--control" => target.control = Some((*value).to_owned()),
                "--header" => target.headers.push((*value).to_owned()),
                _ => return Err(io::Error::other(format!("{name} is no option of load"))),
            }
        }
        if rest.is_empty() { Ok(target) } else { Err(io::Error::other("an option of load has no value")) }
    }
}

/// Does what standard input says, until it ends.
///
/// # Errors
///
/// The first thing that went wrong on any socket; nothing that was counted before is to be trusted then.
pub async fn obey(target: Target) -> io::Result<()> {
    let asking = match &target.control {
        Some(address) => Some(control(address).await?),
        None => None,
    };
    let mut fleet = Fleet { target: Arc::new(target), asking, sockets: Vec::new(), tasks: JoinSet::new() };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["open", count] => fleet.open(number(count)?).await?,
            [kind, size, burst, rounds, at_once @ ..] => {
                let kind = match *kind {
                    "mutate" => Kind::Mutate(Writing::Together),
                    "mutate-apart" => Kind::Mutate(Writing::Apart),
                    "push" => Kind::Push,
                    _ => return Err(io::Error::other(format!("not understood: {line}"))),
                };
                let job = Job { kind, size: number(size)?, burst: number(burst)?, rounds: number(rounds)? };
                fleet.exchange(job, at_once.first().map(|word| number(word)).transpose()?).await?
            }
            ["close"] => fleet.close().await?,
            _ => return Err(io::Error::other(format!("not understood: {line}"))),
        };
        println!("{answer}");
    }
    Ok(())
}

/// Lines for the deployment's `/control`.
type Asking = mpsc::UnboundedSender<String>;

async fn control(address: &str) -> io::Result<Asking> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(b"GET /control HTTP/1.1\r\n\r\n").await?;
    let (asking, mut lines) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            stream.write_all(line.as_bytes()).await?;
        }
        io::Result::Ok(())
    });
    Ok(asking)
}

/// All sockets of this process.
struct Fleet {
    target: Arc<Target>,
    asking: Option<Asking>,
    sockets: Vec<mpsc::Sender<Order>>,
    tasks: JoinSet<io::Result<()>>,
}

impl Fleet {
    async fn open(&mut self, count: u32) -> io::Result<String> {
        let started = Instant::now();
        let first = self.sockets.len();
        let permits = Arc::new(Semaphore::new(OPENED_AT_ONCE));
        let mut opening = JoinSet::new();
        for index in first..first + usize::try_from(count).map_err(io::Error::other)? {
            let (target, permits) = (Arc::clone(&self.target), Arc::clone(&permits));
            opening.spawn(async move {
                let _permit = permits.acquire().await.map_err(io::Error::other)?;
                Socket::open(&target, index).await
            });
        }
        while let Some(socket) = opening.join_next().await {
            let socket = socket.map_err(io::Error::other)??;
            let (sender, orders) = mpsc::channel(1);
            self.sockets.push(sender);
            self.tasks.spawn(socket.live(orders, self.asking.clone()));
        }
        Ok(format!(r#"{{"sockets":{},"seconds":{:.6}}}"#, self.sockets.len(), started.elapsed().as_secs_f64()))
    }

    /// At most `at_once` sockets do the job at one time; all, when that is not given.
    async fn exchange(&mut self, job: Job, at_once: Option<usize>) -> io::Result<String> {
        let at_once = at_once.unwrap_or(self.sockets.len());
        let permits = Arc::new(Semaphore::new(at_once));
        let mut pending = Vec::with_capacity(self.sockets.len());
        let started = Instant::now();
        for socket in &self.sockets {
            let (done, answer) = oneshot::channel();
            let order = Order::Exchange(job, Arc::clone(&permits), done);
            if socket.send(order).await.is_err() {
                return Err(self.why().await);
            }
            pending.push(answer);
        }
        let mut fragments = 0;
        for answer in pending {
            match answer.await {
                Ok(more) => fragments += more,
                Err(_) => return Err(self.why().await),
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let each = job.burst as usize * job.rounds as usize * if job.kind == Kind::Push { 1 } else { 2 };
        let messages = each * self.sockets.len();
        Ok(format!(r#"{{"messages":{messages},"seconds":{seconds:.6},"fragments":{fragments}}}"#))
    }

    async fn close(&mut self) -> io::Result<String> {
        self.sockets.clear();
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(r#"{"sockets":0}"#.to_owned())
    }

    /// Why a socket is gone that should be there.
    async fn why(&mut self) -> io::Error {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => return problem,
                Err(problem) => return io::Error::other(problem),
            }
        }
        io::Error::other("a socket ended")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mutate(Writing),
    Push,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    kind: Kind,
    size: usize,
    burst: u32,
    rounds: u32,
}

enum Order {
    /// Answered by how many frames came that did not end their message.
    Exchange(Job, Arc<Semaphore>, oneshot::Sender<u64>),
}

struct Socket {
    stream: TcpStream,
    inbox: Inbox,
    outbox: Outbox,
    session: String,
    version: Version,
    /// Of the next mutation.
    request: u32,
    /// Of the next answer.
    awaited: u32,
    /// Those that came.
    transitions: u64,
}

impl Socket {
    /// Upgrades, says what a client says first and waits for its query's first value.
    async fn open(target: &Target, index: usize) -> io::Result<Self> {
        let mut stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        let mut head = format!(
            "GET /api/1.28.0/sync HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n",
            target.address
        );
        for header in &target.headers {
            head.push_str(&header.replace("{n}", &index.to_string()));
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let head = Head::read(&mut stream, Vec::new()).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if !head.start().starts_with("HTTP/1.1 101") {
            return Err(io::Error::other(format!("the upgrade was answered by {}", head.start())));
        }
        if head.value("sec-websocket-accept") != Some(&http::accept(KEY)) {
            return Err(io::Error::other("Sec-WebSocket-Accept is wrong"));
        }

        let mut socket = Self {
            stream,
            inbox: Inbox::new(Masking::Plain, head.rest),
            outbox: Outbox::new(Masking::Masked),
            session: format!("{:08x}-0000-4000-8000-{index:012x}", std::process::id()),
            version: Version::default(),
            request: 0,
            awaited: 0,
            transitions: 0,
        };
        socket.outbox.push_text(|out| message::connect(out, &socket.session));
        socket.outbox.push_text(message::first_query_set);
        socket.read_until(|socket| socket.version.query_set == 1).await?;
        Ok(socket)
    }

    async fn live(mut self, mut orders: mpsc::Receiver<Order>, asking: Option<Asking>) -> io::Result<()> {
        loop {
            self.take_all()?;
            self.outbox.flush(&mut self.stream).await?;
            tokio::select! {
                read = self.inbox.fill(&mut self.stream) => read?,
                order = orders.recv() => match order {
                    Some(Order::Exchange(job, permits, done)) => {
                        let _permit = permits.acquire().await.map_err(io::Error::other)?;
                        let before = self.inbox.fragments;
                        for _ in 0..job.rounds {
                            match job.kind {
                                Kind::Mutate(writing) => self.mutate(job, writing).await?,
                                Kind::Push => self.ask(job, asking.as_ref()).await?,
                            }
                        }
                        // Nobody waits any more when another socket failed.
                        let _ = done.send(self.inbox.fragments - before);
                    }
                    None => {
                        self.outbox.push_close();
                        return self.outbox.flush(&mut self.stream).await;
                    }
                },
            }
        }
    }

    async fn mutate(&mut self, job: Job, writing: Writing) -> io::Result<()> {
        for _ in 0..job.burst {
            let request = self.request;
            self.outbox.push_text(|out| message::mutation(out, request, writing, job.size));
            if writing == Writing::Apart {
                self.outbox.cut();
            }
            self.request += 1;
        }
        // Read while writing: a large burst fits into no buffer, and its answers come before it has left.
        let (mut reading, mut writing) = self.stream.split();
        while !self.outbox.is_empty() {
            tokio::select! {
                biased;
                written = self.outbox.write(&mut writing) => written?,
                read = self.inbox.fill(&mut reading) => read?,
            }
        }
        self.read_until(|socket| socket.awaited == socket.request).await
    }

    async fn ask(&mut self, job: Job, asking: Option<&Asking>) -> io::Result<()> {
        let asking = asking.ok_or_else(|| io::Error::other("push needs --control"))?;
        let line = format!("{} {} {}\n", self.session, job.size, job.burst);
        let until = self.transitions + u64::from(job.burst);
        asking.send(line).map_err(|_| io::Error::other("the control connection is gone"))?;
        self.read_until(|socket| socket.transitions >= until).await
    }

    async fn read_until(&mut self, is_done: impl Fn(&Self) -> bool) -> io::Result<()> {
        loop {
            self.take_all()?;
            self.outbox.flush(&mut self.stream).await?;
            if is_done(self) {
                return Ok(());
            }
            self.inbox.fill(&mut self.stream).await?;
        }
    }

    /// Takes whatever is there whole, checks it, and readies the answers to pings.
    fn take_all(&mut self) -> io::Result<()> {
        while let Some(incoming) = self.inbox.next()? {
            let text = match incoming {
                Incoming::Text(text) => text,
                Incoming::Ping(payload) => {
                    self.outbox.push_pong(payload);
                    continue;
                }
                Incoming::Close(reason) => {
                    let reason = String::from_utf8_lossy(reason.get(2..).unwrap_or_default());
                    return Err(io::Error::other(format!("closed by the other side: {reason:?}")));
                }
            };
            if message::has(text, b"\"type\"", b"\"MutationResponse\"") {
                if message::number(text, b"\"requestId\"") != Some(self.awaited)
                    || !message::has(text, b"\"success\"", b"true")
                {
                    return Err(io::Error::other("an answer out of turn, or a refusal"));
                }
                self.awaited += 1;
            } else if message::has(text, b"\"type\"", b"\"Transition\"") {
                let (from, to) =
                    message::versions(text).ok_or_else(|| io::Error::other("a transition without versions"))?;
                if from != self.version {
                    return Err(io::Error::other("a start version that is not the last end"));
                }
                self.version = to;
                self.transitions += 1;
            } else if !message::has(text, b"\"type\"", b"\"Ping\"") {
                return Err(io::Error::other(format!("unexpected: {}", String::from_utf8_lossy(text))));
            }
        }
        Ok(())
    }
}

fn number<N: std::str::FromStr<Err: Into<Box<dyn std::error::Error + Send + Sync>>>>(word: &str) -> io::Result<N> {
    word.parse().map_err(io::Error::other)
}

/// Any sixteen bytes do.
const KEY: &str = "bWVhc3VyZWQgaGVyZSEhIQ==";
/// Below what a listener's queue holds.
const OPENED_AT_ONCE: usize = 64;
