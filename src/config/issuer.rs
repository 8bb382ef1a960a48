//! The deployment, the issuer and the key: three things that decide about one another.
//!
//! The issuer is the deployment's site unless another was given; when it is, the deployment publishes the key set, and
//! ours has to be the same one.

use url::Url;

use super::{
    ClientTokens, Dev, Listen, Mode, ProfileClaim, Token, Upstream,
    address::{deployment_url, is_issuer, issuer, site_of, without_slash},
    mirror::{self, Key},
    read::{Reader, Reported, line, list, text},
    reason::Reason,
    value::{choice, filled, lifetime},
};
use crate::{
    keys::{Algorithm, Concerns, KeyProblem, PublishedSet, SigningKey, check_kid, check_set, publish},
    secret::Secret,
};

/// Reads `upstream.*` and `token.*`.
pub(super) fn upstream_and_token(
    reader: &mut Reader,
    mode: Mode,
    listen: &Result<Listen, Reported>,
    dev: &Result<Dev, Reported>,
) -> Result<(Upstream, Token), Reported> {
    let url = match reader.perhaps(&mirror::UPSTREAM_URL, line(deployment_url)) {
        Ok(Some(given)) => Ok(given),
        Ok(None) => embedded_url(reader, mode, dev),
        Err(reported) => Err(reported),
    };
    let given_site = reader.perhaps(&mirror::UPSTREAM_SITE_URL, line(deployment_url));
    let given_issuer = reader.perhaps(&mirror::TOKEN_ISSUER, line(issuer));

    let site_url = given_site.map(|given| given.or_else(|| url.as_ref().ok().and_then(site_of)));
    let issuer = match (given_issuer, &site_url) {
        (Err(reported), _) => Err(reported),
        (Ok(Some(given)), _) => Ok(given),
        (Ok(None), _) if mode == Mode::Dev => listen
            .as_ref()
            .map(|listen| format!("http://{}{}", listen.public, listen.base_path))
            .map_err(|reported| *reported),
        (Ok(None), Ok(Some(site))) => Ok(without_slash(site)),
        (Ok(None), Err(reported)) => Err(*reported),
        (Ok(None), Ok(None)) => match &url {
            Ok(_) => Err(reader.refuse(&mirror::UPSTREAM_SITE_URL, Reason::SiteUnknown)),
            Err(reported) => Err(*reported),
        },
    };

    let token = token(reader, mode, &site_url, issuer);
    Ok((Upstream { url: url?, site_url: site_url? }, token?))
}

/// Where `dev` has its deployment; nowhere in `serve`.
fn embedded_url(reader: &mut Reader, mode: Mode, dev: &Result<Dev, Reported>) -> Result<Url, Reported> {
    match (mode, dev) {
        (Mode::Serve, _) => Err(reader.refuse(&mirror::UPSTREAM_URL, Reason::Missing)),
        (Mode::Dev, Err(reported)) => Err(*reported),
        // An address with an IPv6 zone has no URL.
        (Mode::Dev, Ok(dev)) => deployment_url(&format!("http://{}", dev.listen))
            .map_err(|reason| reader.refuse(&mirror::DEV_LISTEN, reason)),
    }
}

fn token(
    reader: &mut Reader,
    mode: Mode,
    site_url: &Result<Option<Url>, Reported>,
    issuer: Result<String, Reported>,
) -> Result<Token, Reported> {
    let pem = reader.secret(&mirror::TOKEN_PRIVATE_KEY, &mirror::TOKEN_PRIVATE_KEY_FILE);
    // What can be told without the key is told here, so that a bad key does not hide it.
    let jwks = reader.perhaps(&mirror::TOKEN_JWKS, text(checked(check_set)));
    let kid = reader.perhaps(&mirror::TOKEN_KID, line(checked(check_kid)));
    let audience = reader.needed(&mirror::TOKEN_AUDIENCE, line(filled));
    let lifetime = reader.needed(&mirror::TOKEN_LIFETIME, line(lifetime));
    let algorithms = line(|text: &str| text.parse::<Algorithm>().map_err(|_| Reason::NoneOfThese));
    let algorithm = reader.perhaps(&mirror::TOKEN_ALGORITHM, algorithms);
    let claims = [("email", ProfileClaim::Email), ("name", ProfileClaim::Name), ("picture", ProfileClaim::Picture)];
    let claims = reader.needed(&mirror::TOKEN_CLAIMS, list(choice(&claims)));
    let policies = [("check", ClientTokens::Check), ("pass", ClientTokens::Pass), ("refuse", ClientTokens::Refuse)];
    let client_tokens = reader.needed(&mirror::TOKEN_CLIENT_TOKENS, line(choice(&policies)));

    let matched = match (&issuer, site_url, &jwks) {
        (Ok(issuer), Ok(Some(site)), Ok(None)) if mode == Mode::Serve && is_issuer(site, issuer) => {
            Err(reader.refuse(&mirror::TOKEN_JWKS, Reason::MissingSet))
        }
        (Ok(_) | Err(_), Ok(_) | Err(_), Ok(_) | Err(_)) => Ok(()),
    };
    let key = pem.and_then(|pem| signing_key(reader, mode, pem, algorithm));
    let published = key.and_then(|(key, source)| {
        let PublishedSet { jwks, kid } =
            publish(&key, jwks?.as_deref(), kid?.as_deref()).map_err(|problem| refuse(reader, source, problem))?;
        Ok((key, jwks, kid))
    });
    matched?;
    let (key, jwks, kid) = published?;
    Ok(Token {
        key,
        kid,
        jwks,
        issuer: issuer?,
        audience: audience?,
        lifetime: lifetime?,
        claims: claims?,
        client_tokens: client_tokens?,
    })
}

/// The key that was given, or in `dev` a fresh one, and the key of the configuration that it came from.
fn signing_key(
    reader: &mut Reader,
    mode: Mode,
    pem: Option<(Secret, &'static Key)>,
    algorithm: Result<Option<Algorithm>, Reported>,
) -> Result<(SigningKey, &'static Key), Reported> {
    // An algorithm that was refused leaves the key to be judged by itself.
    let asked = algorithm.unwrap_or(None);
    let (key, source) = match (pem, mode) {
        (Some((pem, source)), _) => (SigningKey::from_pem(&pem, asked), source),
        (None, Mode::Dev) => {
            reader.settled()?;
            (SigningKey::generate(asked.unwrap_or(Algorithm::Rs256)), &mirror::TOKEN_PRIVATE_KEY)
        }
        (None, Mode::Serve) => return Err(reader.refuse(&mirror::TOKEN_PRIVATE_KEY, Reason::Missing)),
    };
    let key = key.map_err(|problem| refuse(reader, source, problem))?;
    algorithm.map(|_| (key, source))
}

/// A text with something in it that a check of the key room lets pass.
fn checked(check: impl Fn(&str) -> Result<(), KeyProblem>) -> impl Fn(&str) -> Result<String, Reason> {
    move |text| {
        let filled = filled(text)?;
        check(&filled).map_err(Reason::Key)?;
        Ok(filled)
    }
}

/// Notes a problem of the key at what it concerns.
fn refuse(reader: &mut Reader, source: &'static Key, problem: KeyProblem) -> Reported {
    let key = match problem.concerns() {
        Concerns::PrivateKey => source,
        Concerns::Jwks => &mirror::TOKEN_JWKS,
        Concerns::Kid => &mirror::TOKEN_KID,
        Concerns::Algorithm => &mirror::TOKEN_ALGORITHM,
    };
    reader.refuse(key, Reason::Key(problem))
}
