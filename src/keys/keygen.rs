//! What `keygen` prints: a key pair as an environment, a file or a published set.

use std::{fmt, str::FromStr};

use thiserror::Error;
use zeroize::Zeroizing;

use super::{KeyProblem, SigningKey, publish};
use crate::secret::Secret;

/// How a key pair is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Two lines for the deployment's and the proxy's environment: `CONVEX_AUTH_PRIVATE_KEY` and `JWKS`.
    #[default]
    Env,
    /// The private key as PKCS#8 PEM.
    Pem,
    /// The public set as JSON.
    Jwks,
}

impl Format {
    /// As the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Pem => "pem",
            Self::Jwks => "jwks",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is no [`Format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be `env`, `pem` or `jwks`")]
pub struct FormatUnknown;

impl FromStr for Format {
    type Err = FormatUnknown;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Env, Self::Pem, Self::Jwks].into_iter().find(|format| format.name() == text).ok_or(FormatUnknown)
    }
}

/// The text that is printed, with a line break at its end. A secret in two of the three formats, so in all.
///
/// The published key is called `kid`, or by its RFC 7638 thumbprint. The PEM has no name.
///
/// # Errors
///
/// - [`KeyProblem::KidUnusable`]: `kid` is empty, too long, or has control characters.
pub fn render(key: &SigningKey, kid: Option<&str>, format: Format) -> Result<Secret, KeyProblem> {
    let published = publish(key, None, kid)?;
    Ok(match format {
        Format::Env => {
            let pem = key.to_pkcs8_pem();
            let one_line = Zeroizing::new(pem.expose().replace('\n', "\\n"));
            Secret::new(format!("CONVEX_AUTH_PRIVATE_KEY=\"{}\"\n\nJWKS={}\n", one_line.as_str(), published.jwks))
        }
        Format::Pem => key.to_pkcs8_pem(),
        Format::Jwks => Secret::new(format!("{}\n", published.jwks)),
    })
}

#[cfg(test)]
mod tests {
    use super::{Format, FormatUnknown, render};
    use crate::{
        keys::{Algorithm, KeyProblem, SigningKey, publish},
        secret::Secret,
    };

    /// The key of RFC 8037 appendix A.1.
    fn key() -> SigningKey {
        let pem = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----";
        SigningKey::from_pem(&Secret::new(pem), None).unwrap()
    }

    #[test]
    fn an_environment_has_the_key_and_the_set() {
        insta::assert_snapshot!(render(&key(), Some("first"), Format::Env).unwrap().expose(), @r#"
        CONVEX_AUTH_PRIVATE_KEY="-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"

        JWKS={"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"first","use":"sig"}]}
        "#);
    }

    #[test]
    fn a_file_has_the_key_alone() {
        insta::assert_snapshot!(render(&key(), None, Format::Pem).unwrap().expose(), @r"
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
        -----END PRIVATE KEY-----
        ");
    }

    #[test]
    fn a_set_has_no_private_half() {
        insta::assert_snapshot!(render(&key(), None, Format::Jwks).unwrap().expose(), @r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","use":"sig"}]}"#);
    }

    #[test]
    fn what_an_environment_says_reads_as_one_pair() {
        for algorithm in [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Es256] {
            let text = render(&SigningKey::generate(algorithm).unwrap(), None, Format::Env).unwrap();
            let value = |name: &str| text.expose().lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let key = SigningKey::from_pem(&Secret::new(value("CONVEX_AUTH_PRIVATE_KEY=")), None).unwrap();
            let published = publish(&key, Some(value("JWKS=")), None).unwrap();
            assert_eq!(published.kid, Some(key.thumbprint()));
            assert_eq!(published.jwks, value("JWKS="));
        }
    }

    #[test]
    fn a_name_that_nothing_can_have_is_refused() {
        assert_eq!(render(&key(), Some(""), Format::Pem).err(), Some(KeyProblem::KidUnusable));
        assert_eq!("yaml".parse::<Format>(), Err(FormatUnknown));
        for format in [Format::Env, Format::Pem, Format::Jwks] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
    }
}
