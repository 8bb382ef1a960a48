//! The keys as an operator sees them: one entry per key, with its names, its kind and its default.
//!
//! This is the only list of keys. The sources look names up in it, the readers take their defaults from it, and a test
//! holds `config.toml` to it. It says nothing about what a value means: that is `assemble`'s.

/// What every name in the environment starts with; `LISTEN__PUBLIC` follows.
pub(super) const PREFIX: &str = "CONVEX_AUTH_PROXY__";

/// One key of the configuration.
#[derive(Debug)]
pub(super) struct Key {
    /// The table in the file.
    pub(super) section: &'static str,
    /// The name inside the table.
    pub(super) name: &'static str,
    /// The name that the guide uses in the environment.
    pub(super) guide: Option<&'static str>,
    /// How a value is written in TOML.
    pub(super) shape: Shape,
    /// Whether a value may be shown in a message.
    pub(super) secrecy: Secrecy,
    /// The kind of value, in words that follow "wanted:".
    pub(super) wanted: &'static str,
    /// The default as the environment would have it; `None` when there is none, or when it depends on other keys.
    pub(super) default: Option<&'static str>,
    /// A value that would be accepted; `None` when the default serves as the example.
    example: Option<&'static str>,
    /// The key of the same section whose value is in the file that this key names.
    pub(super) file_of: Option<&'static str>,
}

/// How a value is written in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A string.
    Text,
    /// An array of strings.
    List,
    /// An integer.
    Whole,
}

/// Whether a value may be shown in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// It may.
    Open,
    /// Never: the value is a secret, or could be one that was written under the wrong key.
    Secret,
}

impl Key {
    const fn new(shape: Shape, section: &'static str, name: &'static str, wanted: &'static str) -> Self {
        Self {
            section,
            name,
            guide: None,
            shape,
            secrecy: Secrecy::Open,
            wanted,
            default: None,
            example: None,
            file_of: None,
        }
    }

    const fn text(section: &'static str, name: &'static str, wanted: &'static str) -> Self {
        Self::new(Shape::Text, section, name, wanted)
    }

    const fn list(section: &'static str, name: &'static str, wanted: &'static str) -> Self {
        Self::new(Shape::List, section, name, wanted)
    }

    const fn whole(section: &'static str, name: &'static str, wanted: &'static str) -> Self {
        Self::new(Shape::Whole, section, name, wanted)
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn example(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    const fn guide(self, name: &'static str) -> Self {
        Self { guide: Some(name), ..self }
    }

    const fn secret(self) -> Self {
        Self { secrecy: Secrecy::Secret, ..self }
    }

    const fn file_of(self, name: &'static str) -> Self {
        Self { file_of: Some(name), ..self }
    }

    /// `section.name`.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The name under the prefix in the environment.
    pub(super) fn environment_name(&self) -> String {
        format!("{PREFIX}{}__{}", self.section.to_ascii_uppercase(), self.name.to_ascii_uppercase())
    }

    /// A value that would be accepted, as the environment would have it.
    pub(super) fn example_text(&self) -> &'static str {
        self.example.or(self.default).unwrap_or("")
    }

    /// Whether both keys hold the same value, one of them by way of a file. A key is a spelling of itself.
    pub(super) fn is_spelling_of(&self, other: &Self) -> bool {
        self.section == other.section && self.file_of.unwrap_or(self.name) == other.file_of.unwrap_or(other.name)
    }
}

/// Every key, in the order of `config.toml`.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    ALL.iter().copied()
}

/// The key of a section and a name, both in lower case.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    all().find(|key| key.section == section && key.name == name)
}

/// Whether any key has this section.
pub(super) fn is_section(name: &str) -> bool {
    all().any(|key| key.section == name)
}

macro_rules! keys {
    ($($identifier:ident = $key:expr;)+) => {
        $(pub(super) static $identifier: Key = $key;)+
        static ALL: &[&Key] = &[$(&$identifier),+];
    };
}

const ADDRESS: &str = "an IP address and a port";
const ADDRESS_OR_SOCKET: &str = "an IP address and a port, unix:/absolute/path, or nothing to turn it off";
const URL: &str = "an http or https URL with a host and perhaps a port, nothing after it";
const TIMEOUT: &str = "a duration with its unit, above zero, at most 24h";
const COUNT: &str = "a whole number, at least 1";
const BYTES: &str = "a whole number of bytes, at least 1";
const COOKIES: &str = "__Secure-authjs.session-token,authjs.session-token,\
    __Secure-next-auth.session-token,next-auth.session-token";

keys! {
    LISTEN_PUBLIC = Key::text("listen", "public", ADDRESS).default("127.0.0.1:8080");
    LISTEN_ADAPTER = Key::text("listen", "adapter", ADDRESS_OR_SOCKET)
        .default("127.0.0.1:8081");
    LISTEN_ADMIN = Key::text("listen", "admin", "an IP address and a port, or nothing to turn it off")
        .default("127.0.0.1:8082");
    LISTEN_BASE_PATH = Key::text("listen", "base_path", "nothing, or a path such as /convex, no slash at the end")
        .default("").example("/convex");
    LISTEN_HOSTS = Key::list("listen", "hosts", "host names without scheme and port")
        .default("").example("proxy.internal");

    UPSTREAM_URL = Key::text("upstream", "url", URL)
        .guide("CONVEX_URL").example("https://happy-otter-123.convex.cloud");
    UPSTREAM_SITE_URL = Key::text("upstream", "site_url", URL)
        .guide("CONVEX_SITE_URL").example("https://happy-otter-123.convex.site");

    ADAPTER_MODULE = Key::text("adapter", "module", "the path of a Convex module, such as authAdapter or auth/adapter")
        .default("authAdapter");
    ADAPTER_SECRET = Key::text("adapter", "secret", "the secret that the deployment has, in one line")
        .guide("CONVEX_AUTH_ADAPTER_SECRET").secret().example("<the value that the deployment has>");
    ADAPTER_SECRET_FILE = Key::text("adapter", "secret_file", "the path of a file that holds adapter.secret")
        .file_of("secret").secret().example("/run/secrets/adapter-secret");
    ADAPTER_ON_PUBLIC = Key::text("adapter", "on_public", "require-secret or deny").default("require-secret");
    ADAPTER_TOKENS = Key::list("adapter", "tokens", "tokens of at least 16 visible ASCII characters each")
        .default("").secret().example("<a long random text>");
    ADAPTER_NULLS = Key::text("adapter", "nulls", "drop or keep").default("drop");

    TOKEN_PRIVATE_KEY = Key::text("token", "private_key", "a private key as PKCS#8 PEM")
        .guide("CONVEX_AUTH_PRIVATE_KEY").secret().example("<what `convex-auth-proxy keygen` prints>");
    TOKEN_PRIVATE_KEY_FILE = Key::text("token", "private_key_file", "the path of a file that holds token.private_key")
        .file_of("private_key").secret().example("/run/secrets/convex-auth.pem");
    TOKEN_JWKS = Key::text("token", "jwks", "the JSON Web Key Set that the deployment publishes, this key in it")
        .guide("JWKS").secret().example("<the value that the deployment has>");
    TOKEN_KID = Key::text("token", "kid", "the kid of the key in token.jwks, in one line").example("key-1");
    TOKEN_ISSUER = Key::text("token", "issuer", "an http or https URL, exactly as the deployment's provider has it")
        .example("https://happy-otter-123.convex.site");
    TOKEN_AUDIENCE = Key::text("token", "audience", "the provider's applicationID, in one line").default("convex");
    TOKEN_LIFETIME = Key::text("token", "lifetime", "a duration in whole seconds with its unit, from 10s to 24h")
        .default("1h");
    TOKEN_ALGORITHM = Key::text("token", "algorithm", "RS256, EdDSA or ES256, as the key has it").example("RS256");
    TOKEN_CLAIMS = Key::list("token", "claims", "some of email, name and picture").default("").example("email,name");
    TOKEN_CLIENT_TOKENS = Key::text("token", "client_tokens", "check, pass or refuse").default("check");

    SESSION_COOKIES = Key::list("session", "cookies", "names of cookies, at least one")
        .default(COOKIES);
    SESSION_ORIGINS = Key::list("session", "origins", "origins such as https://app.example.com, without a path")
        .example("https://app.example.com");

    CACHE_CAPACITY = Key::whole("cache", "capacity", COUNT).default("100_000");
    CACHE_TTL = Key::text("cache", "ttl", "a duration with its unit, 0s to keep nothing, at most 24h").default("2s");

    DEV_LISTEN = Key::text("dev", "listen", ADDRESS).default("127.0.0.1:3210");

    LIMITS_HEADER_BYTES = Key::whole("limits", "header_bytes", "a whole number of bytes, from 1_024 to 65_536")
        .default("32_768");
    LIMITS_BODY_BYTES = Key::whole("limits", "body_bytes", BYTES).default("16_779_216");
    LIMITS_ANSWER_BYTES = Key::whole("limits", "answer_bytes", BYTES).default("16_842_752");
    LIMITS_CONNECTIONS = Key::whole("limits", "connections", COUNT).default("10_000");
    LIMITS_REQUESTS_IN_FLIGHT = Key::whole("limits", "requests_in_flight", COUNT).default("1_024");
    LIMITS_BUFFERED_BYTES = Key::whole("limits", "buffered_bytes", BYTES).default("268_435_456");
    LIMITS_UPSTREAM_IDLE_CONNECTIONS = Key::whole("limits", "upstream_idle_connections", COUNT).default("128");

    TIMEOUTS_HEADER = Key::text("timeouts", "header", TIMEOUT).default("10s");
    TIMEOUTS_BODY = Key::text("timeouts", "body", TIMEOUT).default("60s");
    TIMEOUTS_IDLE = Key::text("timeouts", "idle", TIMEOUT).default("75s");
    TIMEOUTS_CONNECT = Key::text("timeouts", "connect", TIMEOUT).default("5s");
    TIMEOUTS_UPSTREAM = Key::text("timeouts", "upstream", TIMEOUT).default("305s");
    TIMEOUTS_SESSION_READ = Key::text("timeouts", "session_read", TIMEOUT).default("10s");
    TIMEOUTS_STALL = Key::text("timeouts", "stall", TIMEOUT).default("60s");
    TIMEOUTS_UPSTREAM_IDLE = Key::text("timeouts", "upstream_idle", TIMEOUT).default("20s");
    TIMEOUTS_SHUTDOWN = Key::text("timeouts", "shutdown", TIMEOUT).default("30s");

    LOG_LEVEL = Key::text("log", "level", "a level such as info, or a filter such as info,hyper=warn").default("info");
    LOG_FORMAT = Key::text("log", "format", "text or json").default("text");
}
