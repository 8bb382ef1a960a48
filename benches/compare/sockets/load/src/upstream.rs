//! A deployment that knows just enough: versions, one query, mutations, one session.
//!
//! It answers all that has come at once by one write, so that what a relay meets in bursts is a burst, unless a mutation
//! asks for an answer that leaves alone. It sends no pings
//! of its own. Whoever wants a transition out of turn asks on a connection to `/control`, which bypasses the relay: each
//! line there is `SESSION SIZE COUNT` and makes the socket of that session send COUNT transitions by one write.

use std::{cell::RefCell, collections::HashMap, io, rc::Rc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::LocalSet,
};

use crate::{
    frame::{Inbox, Incoming, Masking, Outbox},
    http::{self, Head},
    message::{self, Version, Writing},
};

/// Serves for ever, on the thread that calls.
///
/// # Errors
///
/// When the listener cannot be opened or dies. A connection on which the other end misbehaves ends alone, and standard
/// error says why.
pub async fn serve(listen: &str) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    http::announce(&listener)?;
    let sockets = Sockets::default();
    LocalSet::new()
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                let sockets = sockets.clone();
                tokio::task::spawn_local(async move {
                    match connection(stream, &sockets).await {
                        Err(problem) if !is_end(&problem) => eprintln!("upstream: {problem}"),
                        _ => {}
                    }
                });
            }
        })
        .await
}

/// The open sockets by their sessions.
type Sockets = Rc<RefCell<HashMap<String, mpsc::UnboundedSender<Push>>>>;

struct Push {
    size: usize,
    count: u32,
}

async fn connection(mut stream: TcpStream, sockets: &Sockets) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut rest = Vec::new();
    while let Some(mut head) = Head::read(&mut stream, rest).await? {
        if let Some(key) = head.value("sec-websocket-key") {
            let accept = http::accept(key);
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await?;
            return Socket::new(head.rest).run(stream, sockets).await;
        }
        if head.start().starts_with("GET /control ") {
            return control(stream, head.rest, sockets).await;
        }
        let body = head.body(&mut stream).await?;
        let answer = answer(head.start(), &body);
        stream.write_all(answer.as_bytes()).await?;
        rest = head.rest;
    }
    Ok(())
}

fn answer(start: &str, body: &[u8]) -> String {
    let (status, body) = match start {
        "GET /version HTTP/1.1" => ("200 OK", "unknown".to_owned()),
        "POST /api/query HTTP/1.1" => ("200 OK", session(body)),
        _ => ("404 Not Found", String::new()),
    };
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Whatever is asked for is a live session, each of a user of its own.
fn session(body: &[u8]) -> String {
    let token = message::string(body, b"\"sessionToken\"").unwrap_or("none");
    format!(
        r#"{{"status":"success","value":{{"session":{{"_id":"s-{token}","_creationTime":1.0,"userId":"u-{token}","sessionToken":"{token}","expires":4102444800000.0}},"user":{{"_id":"u-{token}","_creationTime":1.0,"email":"a@b.c"}}}},"logLines":[]}}"#
    )
}

async fn control(stream: TcpStream, rest: Vec<u8>, sockets: &Sockets) -> io::Result<()> {
    let mut lines = BufReader::new(rest.as_slice().chain(stream)).lines();
    while let Some(line) = lines.next_line().await? {
        let wrong = || io::Error::other("a control line that is not SESSION SIZE COUNT");
        let mut words = line.split(' ');
        let session = words.next().ok_or_else(wrong)?;
        let size = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
        let count = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
        let sockets = sockets.borrow();
        let socket = sockets.get(session).ok_or_else(|| io::Error::other("no socket has that session"))?;
        // One that closes meanwhile is missed where its messages are awaited.
        let _ = socket.send(Push { size, count });
    }
    Ok(())
}

struct Socket {
    inbox: Inbox,
    outbox: Outbox,
    version: Version,
    session: Option<String>,
}

impl Socket {
    fn new(rest: Vec<u8>) -> Self {
        Self {
            inbox: Inbox::new(Masking::Masked, rest),
            outbox: Outbox::new(Masking::Plain),
            version: Version::default(),
            session: None,
        }
    }

    async fn run(mut self, mut stream: TcpStream, sockets: &Sockets) -> io::Result<()> {
        let (sender, mut pushes) = mpsc::unbounded_channel();
        let ended = self.converse(&mut stream, sockets, &sender, &mut pushes).await;
        if let Some(session) = self.session {
            sockets.borrow_mut().remove(&session);
        }
        ended
    }

    async fn converse(
        &mut self,
        stream: &mut TcpStream,
        sockets: &Sockets,
        sender: &mpsc::UnboundedSender<Push>,
        pushes: &mut mpsc::UnboundedReceiver<Push>,
    ) -> io::Result<()> {
        loop {
            let open = self.answer_all(sockets, sender)?;
            self.outbox.flush(stream).await?;
            if !open {
                return Ok(());
            }
            tokio::select! {
                read = self.inbox.fill(stream) => read?,
                Some(Push { size, count }) = pushes.recv() => for _ in 0..count {
                    self.push_transition(Version { ts: self.version.ts + 1, ..self.version }, size);
                },
            }
        }
    }

    /// Whether the socket stays open.
    fn answer_all(&mut self, sockets: &Sockets, sender: &mpsc::UnboundedSender<Push>) -> io::Result<bool> {
        let mut next = self.version;
        while let Some(incoming) = self.inbox.next()? {
            let text = match incoming {
                Incoming::Text(text) => text,
                Incoming::Ping(payload) => {
                    self.outbox.push_pong(payload);
                    continue;
                }
                Incoming::Close(_) => {
                    self.outbox.push_close();
                    return Ok(false);
                }
            };
            if is(text, b"\"Mutation\"") {
                let request = required(text, b"\"requestId\"")?;
                let size = text.len();
                self.outbox.push_text(|out| message::mutation_response(out, request, size));
                if message::writing(text) == Writing::Apart {
                    self.outbox.cut();
                }
                continue;
            }
            if is(text, b"\"Connect\"") {
                let session =
                    message::string(text, b"\"sessionId\"").ok_or_else(|| io::Error::other("no sessionId"))?;
                sockets.borrow_mut().insert(session.to_owned(), sender.clone());
                self.session = Some(session.to_owned());
                continue;
            }
            if is(text, b"\"ModifyQuerySet\"") {
                follow(next.query_set, text)?;
                next.query_set = required(text, b"\"newVersion\"")?;
            } else if is(text, b"\"Authenticate\"") {
                follow(next.identity, text)?;
                next.identity += 1;
            } else {
                return Err(io::Error::other("a message of a kind that no client here sends"));
            }
        }
        if next != self.version {
            next.ts += 1;
            self.push_transition(next, FIRST_TRANSITION_BYTES);
        }
        Ok(true)
    }

    fn push_transition(&mut self, to: Version, size: usize) {
        let from = std::mem::replace(&mut self.version, to);
        self.outbox.push_text(|out| message::transition(out, from, to, size));
    }
}

fn is(text: &[u8], kind: &[u8]) -> bool {
    message::has(text, b"\"type\"", kind)
}

fn required(text: &[u8], name: &[u8]) -> io::Result<u32> {
    message::number(text, name).ok_or_else(|| io::Error::other("a member that must be there is not"))
}

fn follow(last: u32, text: &[u8]) -> io::Result<()> {
    if required(text, b"\"baseVersion\"")? == last {
        Ok(())
    } else {
        Err(io::Error::other("a base version that is not the last"))
    }
}

/// How a client leaves, in order or not.
fn is_end(problem: &io::Error) -> bool {
    matches!(problem.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

const FIRST_TRANSITION_BYTES: usize = 300;
