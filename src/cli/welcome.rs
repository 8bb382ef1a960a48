//! What `dev` prints: what goes into `.env.local`, and a line to paste for each thing that the proxy does.

use std::net::SocketAddr;

use crate::{
    config::{Config, ListenAddress},
    launch::{Sockets, Visitors},
};

pub(super) fn text(config: &Config, sockets: &Sockets, deployment: SocketAddr, visitors: &Visitors) -> String {
    let public = format!("http://{}{}", local(sockets.public()), config.listen.base_path);
    let adapter = Curl::to_adapter(config, sockets);
    let admin = sockets.admin().map(|address| format!("http://{}", local(Some(address))));
    let mut text = format!("convex-auth-proxy {} in front of an embedded deployment\n\n", env!("CARGO_PKG_VERSION"));
    for (name, address) in sockets.display() {
        text.push_str(&format!("  {name:<11}{address}\n"));
    }
    text.push_str(&format!("  {:<11}{deployment}\n\n", "deployment"));
    text.push_str("For .env.local (say localhost on both sides: cookies are bound to the host's name)\n\n");
    text.push_str(&format!("NEXT_PUBLIC_CONVEX_URL={public}\n"));
    if let Some(adapter) = &adapter {
        text.push_str(&format!("CONVEX_ADAPTER_URL={}\n", adapter.base));
    }
    text.push_str(&format!("CONVEX_AUTH_ADAPTER_SECRET={}\n\n", config.adapter.secret.expose()));
    text.push_str("To try (Ada Lovelace is signed in)\n\n");
    for (what, line) in lines(config, &public, adapter.as_ref(), admin.as_deref(), deployment, visitors) {
        text.push_str(&format!("# {what}\n{line}\n"));
    }
    text.push_str("\nCtrl-C stops it; nothing is kept.\n");
    text
}

/// How the adapter listener is reached from a shell.
struct Curl {
    base: String,
    options: String,
}

impl Curl {
    fn to_adapter(config: &Config, sockets: &Sockets) -> Option<Self> {
        let (base, mut options) = match config.listen.adapter.as_ref()? {
            ListenAddress::Tcp(_) => (format!("http://{}", local(sockets.adapter())), String::new()),
            ListenAddress::Unix(path) => {
                ("http://localhost".to_owned(), format!(" --unix-socket '{}'", path.display()))
            }
        };
        if let Some(token) = config.adapter.tokens.first() {
            options.push_str(&format!(" -H 'Authorization: Bearer {}'", token.expose()));
        }
        Some(Self { base, options })
    }
}

fn lines(
    config: &Config,
    public: &str,
    adapter: Option<&Curl>,
    admin: Option<&str>,
    deployment: SocketAddr,
    visitors: &Visitors,
) -> Vec<(&'static str, String)> {
    const JSON: &str = "-H 'Content-Type: application/json'";
    let cookie = config
        .session
        .cookies
        .get(1)
        .or_else(|| config.session.cookies.first())
        .map_or("authjs.session-token", String::as_str);
    let signed_in = format!("-H 'Cookie: {cookie}={}'", visitors.session_token);
    let module = config.adapter.module.as_str().strip_suffix(".js").unwrap_or(config.adapter.module.as_str());
    let secret = serde_json::Value::from(config.adapter.secret.expose()).to_string().replace('\'', r"'\''");
    let mut lines = vec![
        ("who am I? nobody", format!(r#"curl -s {public}/api/query {JSON} -d '{{"path":"demo:whoami","args":{{}}}}'"#)),
        (
            "who am I with the session cookie?",
            format!(r#"curl -s {public}/api/query {JSON} {signed_in} -d '{{"path":"demo:whoami","args":{{}}}}'"#),
        ),
        (
            "write a message",
            format!(
                r#"curl -s {public}/api/mutation {JSON} {signed_in} -d '{{"path":"demo:send","args":{{"body":"hello"}}}}'"#
            ),
        ),
        ("read the messages", format!(r#"curl -s {public}/api/query {JSON} -d '{{"path":"demo:list","args":{{}}}}'"#)),
        ("a Convex token for the cookie", format!("curl -s -X POST {public}/auth/token {signed_in}")),
        (
            "the sync socket opens (101); from here on Convex's clients know what to say",
            format!(
                "curl -si -m 1 {public}/api/sync {signed_in} -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
                 -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==' | head -n 1"
            ),
        ),
        (
            "an adapter function, refused without the secret",
            format!(
                r#"curl -s {public}/api/query {JSON} -d '{{"path":"{module}:getSessionAndUser","args":{{"sessionToken":"{}"}}}}'"#,
                visitors.session_token
            ),
        ),
        (
            "the same with the secret, as the guide's adapter calls it",
            format!(
                r#"curl -s {public}/api/query {JSON} -d '{{"path":"{module}:getSessionAndUser","args":{{"sessionToken":"{}","secret":{secret}}}}}'"#,
                visitors.session_token
            ),
        ),
    ];
    if let Some(Curl { base, options }) = adapter {
        let from = format!("curl -s{options} {base}");
        lines.extend([
            ("the same on the adapter listener: no secret needed", format!(r#"{from}/api/query {JSON} -d '{{"path":"{module}:getSessionAndUser","args":{{"sessionToken":"{}"}}}}'"#, visitors.session_token)),
            ("create a user, Auth.js in and out: dates and nulls as they are", format!(r#"{from}/adapter/createUser {JSON} -d '{{"user":{{"email":"grace@example.com","name":"Grace Hopper","emailVerified":"2026-01-01T00:00:00.000Z","image":null}}}}'"#)),
            ("read a session and its user", format!(r#"{from}/adapter/getSessionAndUser {JSON} -d '{{"sessionToken":"{}"}}'"#, visitors.session_token)),
            ("a Convex token for a session that the app's server names", format!(r#"{from}/auth/token {JSON} -d '{{"sessionToken":"{}"}}'"#, visitors.session_token)),
            ("sign out of another session", format!(r#"{from}/adapter/deleteSession {JSON} -d '{{"sessionToken":"{}"}}'"#, visitors.other_session_token)),
        ]);
    }
    lines.extend([(
        "the key documents",
        format!("curl -s {public}/.well-known/openid-configuration {public}/.well-known/jwks.json"),
    )]);
    lines.push((
        "how often has each function of the deployment been called?",
        format!("curl -s http://{deployment}/_dev/calls"),
    ));
    if let Some(admin) = admin {
        lines.extend([
            ("is it ready?", format!("curl -s {admin}/readyz")),
            ("what has it done?", format!("curl -s {admin}/metrics")),
        ]);
    }
    lines
}

/// The address as a browser should name it: `localhost` for loopback.
fn local(address: Option<SocketAddr>) -> String {
    match address {
        Some(address) if address.ip().is_loopback() || address.ip().is_unspecified() => {
            format!("localhost:{}", address.port())
        }
        Some(address) => address.to_string(),
        None => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Visitors, text};
    use crate::{
        config::{self, Mode, Sources},
        launch::Sockets,
    };

    #[test]
    fn dev_says_what_to_paste() {
        let pairs = [
            ("CONVEX_AUTH_ADAPTER_SECRET", "SECRET"),
            ("CONVEX_AUTH_PROXY__TOKEN__ALGORITHM", "EdDSA"),
            ("CONVEX_AUTH_PROXY__LISTEN__PUBLIC", "127.0.0.1:0"),
            ("CONVEX_AUTH_PROXY__LISTEN__ADAPTER", "127.0.0.1:0"),
            ("CONVEX_AUTH_PROXY__LISTEN__ADMIN", "127.0.0.1:0"),
        ];
        let config = config::load(&Sources::from_pairs(Mode::Dev, &pairs)).expect("a configuration");
        let sockets = Sockets::bind(&config).expect("free ports");
        let visitors = Visitors {
            user_id: "USER".to_owned(),
            session_token: "SESSION".to_owned(),
            other_session_token: "OTHER".to_owned(),
        };
        let mut welcome = text(&config, &sockets, config.dev.listen, &visitors);
        for (name, address) in [("8080", sockets.public()), ("8081", sockets.adapter()), ("8082", sockets.admin())] {
            let port = address.expect("an address").port().to_string();
            welcome = welcome.replace(&format!(":{port}"), &format!(":{name}"));
        }
        insta::assert_snapshot!(welcome, @r#"
        convex-auth-proxy 0.1.0 in front of an embedded deployment

          public     127.0.0.1:8080
          adapter    127.0.0.1:8081
          admin      127.0.0.1:8082
          deployment 127.0.0.1:3210

        For .env.local (say localhost on both sides: cookies are bound to the host's name)

        NEXT_PUBLIC_CONVEX_URL=http://localhost:8080
        CONVEX_ADAPTER_URL=http://localhost:8081
        CONVEX_AUTH_ADAPTER_SECRET=SECRET

        To try (Ada Lovelace is signed in)

        # who am I? nobody
        curl -s http://localhost:8080/api/query -H 'Content-Type: application/json' -d '{"path":"demo:whoami","args":{}}'
        # who am I with the session cookie?
        curl -s http://localhost:8080/api/query -H 'Content-Type: application/json' -H 'Cookie: authjs.session-token=SESSION' -d '{"path":"demo:whoami","args":{}}'
        # write a message
        curl -s http://localhost:8080/api/mutation -H 'Content-Type: application/json' -H 'Cookie: authjs.session-token=SESSION' -d '{"path":"demo:send","args":{"body":"hello"}}'
        # read the messages
        curl -s http://localhost:8080/api/query -H 'Content-Type: application/json' -d '{"path":"demo:list","args":{}}'
        # a Convex token for the cookie
        curl -s -X POST http://localhost:8080/auth/token -H 'Cookie: authjs.session-token=SESSION'
        # the sync socket opens (101); from here on Convex's clients know what to say
        curl -si -m 1 http://localhost:8080/api/sync -H 'Cookie: authjs.session-token=SESSION' -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==' | head -n 1
        # an adapter function, refused without the secret
        curl -s http://localhost:8080/api/query -H 'Content-Type: application/json' -d '{"path":"authAdapter:getSessionAndUser","args":{"sessionToken":"SESSION"}}'
        # the same with the secret, as the guide's adapter calls it
        curl -s http://localhost:8080/api/query -H 'Content-Type: application/json' -d '{"path":"authAdapter:getSessionAndUser","args":{"sessionToken":"SESSION","secret":"SECRET"}}'
        # the same on the adapter listener: no secret needed
        curl -s http://localhost:8081/api/query -H 'Content-Type: application/json' -d '{"path":"authAdapter:getSessionAndUser","args":{"sessionToken":"SESSION"}}'
        # create a user, Auth.js in and out: dates and nulls as they are
        curl -s http://localhost:8081/adapter/createUser -H 'Content-Type: application/json' -d '{"user":{"email":"grace@example.com","name":"Grace Hopper","emailVerified":"2026-01-01T00:00:00.000Z","image":null}}'
        # read a session and its user
        curl -s http://localhost:8081/adapter/getSessionAndUser -H 'Content-Type: application/json' -d '{"sessionToken":"SESSION"}'
        # a Convex token for a session that the app's server names
        curl -s http://localhost:8081/auth/token -H 'Content-Type: application/json' -d '{"sessionToken":"SESSION"}'
        # sign out of another session
        curl -s http://localhost:8081/adapter/deleteSession -H 'Content-Type: application/json' -d '{"sessionToken":"OTHER"}'
        # the key documents
        curl -s http://localhost:8080/.well-known/openid-configuration http://localhost:8080/.well-known/jwks.json
        # how often has each function of the deployment been called?
        curl -s http://127.0.0.1:3210/_dev/calls
        # is it ready?
        curl -s http://localhost:8082/readyz
        # what has it done?
        curl -s http://localhost:8082/metrics

        Ctrl-C stops it; nothing is kept.
        "#);
    }
}
