//! A sync socket at the deployment: the handshake, and the stream that is left of it.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tower::ServiceExt;

use super::{Causes, Crossing, Upstream, crossing, is_timeout};
use crate::{body::Body, error::Rejection, permit::is_json, sync::Question};

/// The stream of a socket. The larger kind is boxed: an idle plain one must be small.
pub enum SocketStream {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>>),
}

/// What came of the wish for a socket.
pub enum SocketAnswer {
    /// The stream, and what was read of it behind the answer's head.
    Open(SocketStream, Vec<u8>),
    /// The deployment says no, for example to a client that is too old.
    Refused(Response<Body>),
}

/// Bytes of a refusal's body at most that are passed on.
const REFUSAL_BYTES: usize = 16 * 1_024;
/// How long it may take.
const REFUSAL_WITHIN: Duration = Duration::from_secs(5);

impl Upstream {
    /// Opens a socket at the deployment. `path` is the route's, without what it is mounted under.
    ///
    /// # Errors
    ///
    /// [`Rejection::UpstreamUnreachable`], [`Rejection::UpstreamTimeout`], and [`Rejection::UpstreamUnreadable`] for an answer that is
    /// neither the one to this question nor a refusal of Convex's.
    pub async fn open_socket(&self, path: &str, crossing: Crossing) -> Result<SocketAnswer, Rejection> {
        let question = Question::new()?;
        let request = self.socket_request(path, crossing, &question)?;
        let within = self.target.connect_timeout + self.target.read_timeout;
        timeout(within, self.shake_hands(request, &question)).await.unwrap_or(Err(Rejection::UpstreamTimeout))
    }

    fn socket_request(&self, path: &str, crossing: Crossing, question: &Question) -> Result<Request<Body>, Rejection> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = path.parse().map_err(|_| Rejection::NotFound)?;
        *request.headers_mut() = crossing.uncompressed().headers;
        question.ask(request.headers_mut());
        let host = HeaderValue::try_from(self.target.authority.as_str()).map_err(|_| Rejection::UpstreamUnreachable)?;
        request.headers_mut().insert(header::HOST, host);
        Ok(request)
    }

    async fn shake_hands(&self, request: Request<Body>, question: &Question) -> Result<SocketAnswer, Rejection> {
        let target = http::Uri::builder()
            .scheme(self.target.scheme.clone())
            .authority(self.target.authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|_| Rejection::UpstreamUnreachable)?;
        let connected = self.socket_connector.clone().oneshot(target).await.map_err(|error| {
            tracing::warn!(target: "upstream", error = %Causes(&*error), "no socket to the deployment");
            if is_timeout(&*error) { Rejection::UpstreamTimeout } else { Rejection::UpstreamUnreachable }
        })?;
        let stream = match connected {
            MaybeHttpsStream::Http(stream) => SocketStream::Plain(stream.into_inner()),
            tls @ MaybeHttpsStream::Https(_) => SocketStream::Tls(Box::new(TokioIo::new(tls))),
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| Rejection::UpstreamUnreachable)?;
        tokio::spawn(connection.with_upgrades());
        let answer = sender.send_request(request).await.map_err(|_| Rejection::UpstreamUnreachable)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return refusal(answer).await.map(SocketAnswer::Refused);
        }
        if !question.is_answered_by(answer.headers()) {
            return Err(Rejection::UpstreamUnreadable);
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(|_| Rejection::UpstreamUnreachable)?;
        let parts = upgraded.downcast::<TokioIo<SocketStream>>().map_err(|_| Rejection::UpstreamUnreachable)?;
        Ok(SocketAnswer::Open(parts.io.into_inner(), parts.read_buf.to_vec()))
    }
}

/// A refusal of Convex's, as it came. A page of some gateway's is none.
async fn refusal(answer: Response<Incoming>) -> Result<Response<Body>, Rejection> {
    let (head, body) = answer.into_parts();
    let is_refusal = head.status.is_client_error() || head.status.is_server_error();
    if !is_refusal || head.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Rejection::UpstreamUnreadable);
    }
    if !is_json(&head.headers) {
        return Err(Rejection::UpstreamUnreadable);
    }
    let read = timeout(REFUSAL_WITHIN, Limited::new(body, REFUSAL_BYTES).collect()).await;
    let Ok(Ok(whole)) = read else { return Err(Rejection::UpstreamUnreadable) };
    let mut response = Response::new(Body::bytes(whole.to_bytes()));
    *response.status_mut() = head.status;
    *response.headers_mut() = crossing::back(&head.headers);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    Ok(response)
}

/// The connector of sockets: HTTP/1.1 alone, which is what becomes one.
pub(super) type SocketConnector = HttpsConnector<HttpConnector>;

impl AsyncRead for SocketStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for SocketStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl fmt::Debug for SocketStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain(_) => "SocketStream(plain)",
            Self::Tls(_) => "SocketStream(tls)",
        })
    }
}

impl fmt::Debug for SocketAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Open(..) => "Open",
            Self::Refused(_) => "Refused",
        })
    }
}
