//! Sockets, bound before anything is served, so that a busy port is an error with a name and `:0` has a number.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use socket2::{Domain, Socket as Socket2, Type};

use super::accept::Listening;
use crate::config::ListenAddress;

/// A socket that listens and is not served yet.
#[derive(Debug)]
pub struct Bound {
    address: ListenAddress,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A socket that cannot be bound. Names the key, so that the reader knows what to change.
#[derive(Debug, thiserror::Error)]
#[error("{key} = \"{address}\": {reason}.{}", advice(.key, .reason))]
pub struct BindProblem {
    key: &'static str,
    address: String,
    reason: BindReason,
}

#[derive(Debug, thiserror::Error)]
enum BindReason {
    #[error("another program listens there already")]
    Busy,
    #[error("this user may not listen there")]
    Forbidden,
    #[error("this machine has no such address")]
    NoSuchAddress,
    #[error("others can enter its directory, which is not the socket's own, so the socket would be open to them")]
    SharedDirectory,
    #[error("there is something at that path which is not a socket")]
    NotASocket,
    #[error("{0}")]
    Other(io::Error),
}

fn advice(key: &str, reason: &BindReason) -> String {
    let variable = format!("CONVEX_AUTH_PROXY__{}", key.to_uppercase().replace('.', "__"));
    let change = format!("{key} in config.toml, or {variable}.");
    match reason {
        BindReason::SharedDirectory => {
            " Name a socket in a directory of its own, such as unix:/run/convex-auth-proxy/adapter.sock.".to_owned()
        }
        BindReason::Busy => format!(" Stop the other program, or choose another address: {change}"),
        BindReason::NotASocket => format!(" Move it away, or choose another path: {change}"),
        BindReason::Forbidden | BindReason::NoSuchAddress | BindReason::Other(_) => {
            format!(" Choose another address: {change}")
        }
    }
}

impl Bound {
    /// Binds one listener. `key` is the configuration key that names the address.
    ///
    /// A unix socket gets mode 0600 in a directory of mode 0700, which is made, or made so, before the bind; a socket that nobody listens on
    /// any more is replaced.
    ///
    /// # Errors
    ///
    /// [`BindProblem`]: busy, forbidden, no such address, or a path that would not be private.
    pub fn new(key: &'static str, address: &ListenAddress) -> Result<Self, BindProblem> {
        let problem = |reason| BindProblem { key, address: display(address), reason };
        match address {
            ListenAddress::Tcp(wanted) => {
                let listener = bind_tcp(*wanted).map_err(|error| problem(reason(error)))?;
                let bound = listener.local_addr().map_err(|error| problem(reason(error)))?;
                Ok(Self { address: ListenAddress::Tcp(bound), socket: Socket::Tcp(listener) })
            }
            ListenAddress::Unix(path) => {
                let listener = bind_unix(path).map_err(problem)?;
                Ok(Self { address: address.clone(), socket: Socket::Unix(listener) })
            }
        }
    }

    /// The address as it was bound: with a real port where 0 was asked for. None for a unix socket.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self.address {
            ListenAddress::Tcp(address) => Some(address),
            ListenAddress::Unix(_) => None,
        }
    }

    /// The socket for a listener of Tokio's; none for a unix socket.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`]: no runtime, or no more descriptors.
    pub fn into_tokio(self) -> io::Result<Option<tokio::net::TcpListener>> {
        Ok(match self.listen()? {
            Listening::Tcp(listener) => Some(listener),
            Listening::Unix(_) => None,
        })
    }

    /// The address as text: `127.0.0.1:8081`, or `unix:/path`.
    pub fn display(&self) -> String {
        display(&self.address)
    }

    /// The socket, in the hands of the runtime that runs this.
    pub(super) fn listen(self) -> io::Result<Listening> {
        Ok(match self.socket {
            Socket::Tcp(listener) => Listening::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Socket::Unix(listener) => Listening::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }
}

fn display(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(address) => address.to_string(),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket2::new(Domain::for_address(address), Type::STREAM, None)?;
    // So that a restart does not wait for old connections to fade.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Connections that wait to be accepted; the system has a bound of its own (`net.core.somaxconn`). After a restart all clients come at once,
/// and those who find no place try again only after a second.
const BACKLOG: i32 = 4_096;

fn bind_unix(path: &Path) -> Result<UnixListener, BindReason> {
    let directory = path.parent().ok_or(BindReason::NotASocket)?;
    make_private(directory, path)?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(BindReason::NotASocket),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(BindReason::Busy),
        Ok(_) => fs::remove_file(path).map_err(BindReason::Other)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(reason)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(BindReason::Other)?;
    listener.set_nonblocking(true).map_err(BindReason::Other)?;
    Ok(listener)
}

fn make_private(directory: &Path, socket: &Path) -> Result<(), BindReason> {
    let Ok(metadata) = fs::metadata(directory) else {
        return fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(reason);
    };
    let is_shared = metadata.mode() & 0o1000 != 0;
    let is_private = metadata.mode() & 0o077 == 0;
    if is_shared {
        return Err(BindReason::SharedDirectory);
    }
    if is_private {
        return Ok(());
    }
    // One that holds other things is used by somebody for something: its mode is not ours to change.
    let is_our_own =
        fs::read_dir(directory).map_err(reason)?.all(|entry| entry.is_ok_and(|entry| entry.path() == socket));
    if !is_our_own {
        return Err(BindReason::SharedDirectory);
    }
    // Only its owner may change a mode, so this is also the check of whose it is.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(|_| BindReason::SharedDirectory)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the standard library's list is open")]
fn reason(error: io::Error) -> BindReason {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindReason::Busy,
        io::ErrorKind::PermissionDenied => BindReason::Forbidden,
        io::ErrorKind::AddrNotAvailable => BindReason::NoSuchAddress,
        _ => BindReason::Other(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::Bound;
    use crate::config::ListenAddress;

    #[test]
    fn a_busy_port_is_an_error_that_names_the_key() {
        let first =
            Bound::new("listen.public", &ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address"))).expect("free");
        let address = first.tcp_address().expect("an address");
        let problem = Bound::new("listen.public", &ListenAddress::Tcp(address)).expect_err("busy").to_string();
        let problem = problem.replace(&address.port().to_string(), "PORT");
        insta::assert_snapshot!(problem, @r#"listen.public = "127.0.0.1:PORT": another program listens there already. Stop the other program, or choose another address: listen.public in config.toml, or CONVEX_AUTH_PROXY__LISTEN__PUBLIC."#);
    }

    #[test]
    fn a_unix_socket_is_private_and_replaces_a_dead_one() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("inner/adapter.sock");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let address = ListenAddress::Unix(path.clone());
        let bound = Bound::new("listen.adapter", &address).expect("free");
        assert_eq!((mode(&path), mode(path.parent().expect("a parent"))), (0o600, 0o700));
        assert!(
            Bound::new("listen.adapter", &address).expect_err("busy").to_string().contains("listens there already")
        );
        drop(bound);
        Bound::new("listen.adapter", &address).expect("the dead socket is replaced");
    }

    #[test]
    fn a_shared_directory_and_a_file_in_the_way_are_refused() {
        let root = tempfile::tempdir().expect("a directory");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o1777)).expect("owned");
        let problem =
            Bound::new("listen.adapter", &ListenAddress::Unix(root.path().join("a.sock"))).expect_err("shared");
        assert!(problem.to_string().contains("directory of its own"), "{problem}");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("owned");
        fs::write(root.path().join("other"), "").expect("written");
        let problem = Bound::new("listen.adapter", &ListenAddress::Unix(root.path().join("a.sock"))).expect_err("used");
        assert!(problem.to_string().contains("directory of its own"), "{problem}");
        assert_eq!(fs::metadata(root.path()).expect("it is there").permissions().mode() & 0o777, 0o755);
        fs::remove_file(root.path().join("other")).expect("removed");
        fs::write(root.path().join("a.sock"), "precious").expect("written");
        let problem =
            Bound::new("listen.adapter", &ListenAddress::Unix(root.path().join("a.sock"))).expect_err("a file");
        assert!(problem.to_string().contains("not a socket"), "{problem}");
        assert_eq!(fs::read_to_string(root.path().join("a.sock")).expect("still there"), "precious");
    }
}
