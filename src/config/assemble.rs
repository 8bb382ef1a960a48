//! The sections of a [`Config`], read and checked against one another.
//!
//! Every section is read to its end before any of them gives up, so that one run tells all problems.

use std::net::SocketAddr;

use super::{
    Adapter, Cache, Config, Dev, Limits, Listen, ListenAddress, Log, LogFormat, Mode, Nulls, OnPublic, Session,
    Timeouts,
    address::{
        base_path, collide, host, is_local, listen_address_or_off, origin, socket_address, socket_address_or_off,
    },
    issuer::upstream_and_token,
    mirror::{self, Key},
    read::{Reader, Reported, line, list, whole},
    reason::Reason,
    value::{self, DURATION_MAX, adapter_secret, caller_token, choice, cookie_name, log_filter, module, timeout},
};
use crate::secret::Secret;

/// Counts and sizes end here. Our choice: far above any machine, far below where sums of them could overflow.
const LIMIT_MAX: u64 = 1 << 40;

/// The origins that `dev` takes for the app's when none are given: where `next dev` serves.
const DEV_ORIGIN: &str = "http://localhost:3000";

/// Reads and checks everything.
pub(super) fn assemble(reader: &mut Reader, mode: Mode) -> Result<Config, Reported> {
    let dev = dev(reader);
    let (listen, adapter) = listen_and_adapter(reader, mode, &dev);
    let deployment = upstream_and_token(reader, mode, &listen, &dev);
    let session = session(reader, mode);
    let cache = cache(reader);
    let limits = limits(reader);
    let timeouts = timeouts(reader);
    let log = log(reader);
    let (upstream, token) = deployment?;
    Ok(Config {
        listen: listen?,
        upstream,
        adapter: adapter?,
        token,
        session: session?,
        cache: cache?,
        dev: dev?,
        limits: limits?,
        timeouts: timeouts?,
        log: log?,
    })
}

fn dev(reader: &mut Reader) -> Result<Dev, Reported> {
    Ok(Dev { listen: reader.needed(&mirror::DEV_LISTEN, line(socket_address))? })
}

/// Both in one, because an adapter listener that other machines reach needs tokens.
fn listen_and_adapter(
    reader: &mut Reader,
    mode: Mode,
    dev: &Result<Dev, Reported>,
) -> (Result<Listen, Reported>, Result<Adapter, Reported>) {
    let public = reader.needed(&mirror::LISTEN_PUBLIC, line(socket_address));
    let listener = reader.needed(&mirror::LISTEN_ADAPTER, line(listen_address_or_off));
    let admin = reader.needed(&mirror::LISTEN_ADMIN, line(socket_address_or_off));
    let base_path = reader.needed(&mirror::LISTEN_BASE_PATH, line(base_path));
    let hosts = reader.needed(&mirror::LISTEN_HOSTS, list(host));

    let tcp = match &listener {
        Ok(Some(ListenAddress::Tcp(address))) => Some(*address),
        Ok(Some(ListenAddress::Unix(_)) | None) | Err(_) => None,
    };
    let embedded = dev.as_ref().ok().filter(|_| mode == Mode::Dev).map(|dev| dev.listen);
    let collisions = refuse_collisions(
        reader,
        &[
            (&mirror::LISTEN_PUBLIC, "listen.public", public.ok()),
            (&mirror::LISTEN_ADAPTER, "listen.adapter", tcp),
            (&mirror::LISTEN_ADMIN, "listen.admin", admin.ok().flatten()),
            (&mirror::DEV_LISTEN, "dev.listen", embedded),
        ],
    );

    let module = reader.needed(&mirror::ADAPTER_MODULE, line(module));
    let secret = shared_secret(reader, mode);
    let on_public = [("require-secret", OnPublic::RequireSecret), ("deny", OnPublic::Deny)];
    let on_public = reader.needed(&mirror::ADAPTER_ON_PUBLIC, line(choice(&on_public)));
    let tokens = reader.needed(&mirror::ADAPTER_TOKENS, list(caller_token));
    let nulls = reader.needed(&mirror::ADAPTER_NULLS, line(choice(&[("drop", Nulls::Drop), ("keep", Nulls::Keep)])));

    let guarded = match (&listener, &tokens) {
        (Ok(Some(address)), Ok(tokens)) if tokens.is_empty() && !is_local(address) => {
            Err(reader.refuse(&mirror::LISTEN_ADAPTER, Reason::OpenAdapter))
        }
        (Ok(_) | Err(_), Ok(_) | Err(_)) => Ok(()),
    };
    let listen = || {
        collisions?;
        guarded?;
        Ok(Listen { public: public?, adapter: listener?, admin: admin?, base_path: base_path?, hosts: hosts? })
    };
    let adapter =
        || Ok(Adapter { module: module?, secret: secret?, on_public: on_public?, tokens: tokens?, nulls: nulls? });
    (listen(), adapter())
}

/// Refuses every listener that could not be bound beside one above it.
fn refuse_collisions(
    reader: &mut Reader,
    listeners: &[(&'static Key, &'static str, Option<SocketAddr>)],
) -> Result<(), Reported> {
    let mut outcome = Ok(());
    for (position, (key, _, address)) in listeners.iter().enumerate() {
        let taken = listeners.iter().take(position).find(|(_, _, earlier)| match (earlier, address) {
            (Some(earlier), Some(address)) => collide(*earlier, *address),
            (None, _) | (_, None) => false,
        });
        if let Some((_, name, _)) = taken {
            outcome = Err(reader.refuse(key, Reason::SameAddress(name)));
        }
    }
    outcome
}

fn shared_secret(reader: &mut Reader, mode: Mode) -> Result<Secret, Reported> {
    let Some((secret, key)) = reader.secret(&mirror::ADAPTER_SECRET, &mirror::ADAPTER_SECRET_FILE)? else {
        return match mode {
            Mode::Serve => Err(reader.refuse(&mirror::ADAPTER_SECRET, Reason::Missing)),
            Mode::Dev => random_secret().map_err(|reason| reader.refuse(&mirror::ADAPTER_SECRET, reason)),
        };
    };
    match adapter_secret(&secret) {
        Ok(()) => Ok(secret),
        Err(reason) => Err(reader.refuse(key, reason)),
    }
}

/// 32 random bytes in base64url.
fn random_secret() -> Result<Secret, Reason> {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| Reason::NoRandomness)?;
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

fn session(reader: &mut Reader, mode: Mode) -> Result<Session, Reported> {
    let cookies = reader.needed(&mirror::SESSION_COOKIES, |raw| {
        let names = list(cookie_name)(raw)?;
        if names.is_empty() { Err(Reason::Empty.into()) } else { Ok(names) }
    });
    let origins = reader.perhaps(&mirror::SESSION_ORIGINS, list(origin));
    let origins_of_mode = || match mode {
        Mode::Serve => Vec::new(),
        Mode::Dev => vec![DEV_ORIGIN.to_owned()],
    };
    Ok(Session { cookies: cookies?, origins: origins?.unwrap_or_else(origins_of_mode) })
}

fn cache(reader: &mut Reader) -> Result<Cache, Reported> {
    let capacity = reader.needed(&mirror::CACHE_CAPACITY, whole(1, LIMIT_MAX));
    let ttl = reader.needed(&mirror::CACHE_TTL, line(value::duration(std::time::Duration::ZERO, DURATION_MAX)));
    Ok(Cache { capacity: capacity?, ttl: ttl? })
}

fn limits(reader: &mut Reader) -> Result<Limits, Reported> {
    let header_bytes = reader.needed(&mirror::LIMITS_HEADER_BYTES, whole(1_024, 65_536));
    let mut limit = |key| reader.needed(key, whole(1, LIMIT_MAX));
    let body_bytes = limit(&mirror::LIMITS_BODY_BYTES);
    let answer_bytes = limit(&mirror::LIMITS_ANSWER_BYTES);
    let connections = limit(&mirror::LIMITS_CONNECTIONS);
    let requests_in_flight = limit(&mirror::LIMITS_REQUESTS_IN_FLIGHT);
    let buffered_bytes = limit(&mirror::LIMITS_BUFFERED_BYTES);
    let upstream_idle_connections = limit(&mirror::LIMITS_UPSTREAM_IDLE_CONNECTIONS);
    Ok(Limits {
        header_bytes: header_bytes?,
        body_bytes: body_bytes?,
        answer_bytes: answer_bytes?,
        connections: connections?,
        requests_in_flight: requests_in_flight?,
        buffered_bytes: buffered_bytes?,
        upstream_idle_connections: upstream_idle_connections?,
    })
}

fn timeouts(reader: &mut Reader) -> Result<Timeouts, Reported> {
    let mut limit = |key| reader.needed(key, line(timeout));
    let header = limit(&mirror::TIMEOUTS_HEADER);
    let body = limit(&mirror::TIMEOUTS_BODY);
    let idle = limit(&mirror::TIMEOUTS_IDLE);
    let connect = limit(&mirror::TIMEOUTS_CONNECT);
    let upstream = limit(&mirror::TIMEOUTS_UPSTREAM);
    let session_read = limit(&mirror::TIMEOUTS_SESSION_READ);
    let stall = limit(&mirror::TIMEOUTS_STALL);
    let upstream_idle = limit(&mirror::TIMEOUTS_UPSTREAM_IDLE);
    let shutdown = limit(&mirror::TIMEOUTS_SHUTDOWN);
    Ok(Timeouts {
        header: header?,
        body: body?,
        idle: idle?,
        connect: connect?,
        upstream: upstream?,
        session_read: session_read?,
        stall: stall?,
        upstream_idle: upstream_idle?,
        shutdown: shutdown?,
    })
}

fn log(reader: &mut Reader) -> Result<Log, Reported> {
    let level = reader.needed(&mirror::LOG_LEVEL, line(log_filter));
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = reader.needed(&mirror::LOG_FORMAT, line(choice(&formats)));
    Ok(Log { level: level?, format: format? })
}
